//! Commands that destroy what nobody meant to lose: a deny-list, asked before anything starts.
//!
//! It reads a command line the way its shell would cut it into words, and holds the words against [`RULES`]. **It promises nothing.**
//! A deny-list stops accidents, pasted mistakes and models that went astray; whoever wants to get past it will: by a variable, a
//! script file, another language. What holds against those is what the run may not do at all (its grant), and the sandbox.

mod bash;
mod cmd;
mod cut;
mod powershell;
mod words;

/// One kind of destruction.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name on the wire, in `details.rule`.
    pub name: &'static str,
    /// What such a command does, as the end of the sentence "this …".
    pub reason: &'static str,
}

/// Everything that is refused.
pub const RULES: &[Rule] = &[
    Rule { name: "delete_root", reason: "deletes a folder that the system or all of somebody's files live in" },
    Rule { name: "format_disk", reason: "formats, partitions or wipes a disk" },
    Rule { name: "write_device", reason: "writes over a disk" },
    Rule { name: "overwrite_system_file", reason: "writes over a file without which nobody can log in or nothing starts" },
    Rule { name: "fork_bomb", reason: "starts copies of itself until the machine stands still" },
    Rule { name: "shutdown", reason: "ends the machine" },
    Rule { name: "kill_everything", reason: "ends every process there is" },
    Rule { name: "pipe_from_web", reason: "runs what another machine sends, unseen" },
    Rule { name: "change_root_permissions", reason: "changes owners or permissions of everything below a system folder" },
    Rule { name: "hidden_command", reason: "hides what it runs in an encoding" },
];

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The rule's name.
    pub rule: &'static str,
    /// What the command does.
    pub reason: &'static str,
}

impl Refusal {
    fn of(name: &'static str) -> Self {
        let reason = RULES.iter().find(|rule| rule.name == name).map_or("is dangerous", |rule| rule.reason);
        Self { rule: name, reason }
    }
}

/// How deep commands within commands are looked into.
const DEEPEST: usize = 8;

/// Whether `shell` may be given `command`. Shells without rules of their own are read as bash.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(shell: &str, command: &str) -> Result<(), Refusal> {
    read(shell, command, DEEPEST)
}

/// The same for a program and its arguments, which no shell reads.
pub(super) fn check_argv(argv: &[String]) -> Result<(), Refusal> {
    bash::argv(argv, DEEPEST)
}

fn read(shell: &str, command: &str, depth: usize) -> Result<(), Refusal> {
    let Some(depth) = depth.checked_sub(1) else { return Err(Refusal::of("hidden_command")) };
    match shell {
        "cmd" => cmd::check(command, depth),
        "powershell" | "pwsh" => powershell::check(command, depth),
        _ => bash::check(command, depth),
    }
}

/// A program of another shell, called from within one: `bash -c …`, `powershell -Command …`, `cmd /c …`.
fn nested(program: &str, arguments: &[String], depth: usize) -> Result<(), Refusal> {
    let program = program.trim_end_matches(".exe");
    let after = |flag: &dyn Fn(&str) -> bool| arguments.iter().position(|word| flag(word)).map(|at| arguments[at + 1..].join(" "));
    match program {
        "bash" | "sh" | "dash" | "zsh" | "ksh" | "ash" => {
            // The first word after the flags is the script; the rest are its arguments.
            let at = arguments.iter().position(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('c'));
            match at.and_then(|at| arguments.get(at + 1)) {
                Some(script) => read("bash", script, depth),
                None => Ok(()),
            }
        }
        "cmd" => after(&|word| word.eq_ignore_ascii_case("/c") || word.eq_ignore_ascii_case("/k"))
            .map_or(Ok(()), |line| read("cmd", &line, depth)),
        "powershell" | "pwsh" => {
            if arguments.iter().any(|word| powershell::is_encoded(word)) {
                return Err(Refusal::of("hidden_command"));
            }
            let flag = |word: &str| powershell::abbreviates(word, "-command", 2);
            let line = after(&flag).unwrap_or_else(|| arguments.join(" "));
            read("powershell", &line, depth)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
