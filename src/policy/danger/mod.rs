//! What may not be started: commands that destroy what nobody meant to lose, or everything but what a list allows.
//!
//! It reads a command line as its shell would (bash by its grammar), and holds each command of it against [`RULES`]. **A deny-list promises
//! nothing.** It stops accidents, pasted mistakes and models that went astray; whoever wants to get past it will: by a variable, a
//! script file, another language. What holds against those is what the run may not do at all (its grant), and the sandbox. With a list of
//! what is allowed ([`Commands::only`]) it is the other way round: what cannot be read with certainty is refused. That promises that
//! nothing else is started by the line itself; what an allowed program does with its arguments is that program's business.

mod allow;
mod bash;
mod certain;
mod cmd;
mod parse;
mod powershell;
mod quotes;
mod starters;
mod words;

use std::sync::Arc;

use allow::Pattern;

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
    Rule { name: "hidden_command", reason: "hides what it runs in an encoding, or in too many layers" },
    Rule { name: "not_parsed", reason: "does not parse as a line of its shell, so that nothing can tell what it would start" },
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
        let reason = RULES.iter().chain(RULES_OF_A_LIST).find(|rule| rule.name == name).map_or("is dangerous", |rule| rule.reason);
        Self { rule: name, reason }
    }
}

/// The rules that are broken where only some commands are allowed.
pub const RULES_OF_A_LIST: &[Rule] = &[
    Rule { name: "not_allowed", reason: "starts something that SHELL_ALLOW does not list" },
    Rule { name: "not_understood", reason: "cannot be told for certain from its text, and only what SHELL_ALLOW lists may run" },
    Rule { name: "terminal", reason: "is a terminal, in which anything may be typed, and only what SHELL_ALLOW lists may run" },
    Rule {
        name: "variable",
        reason: "is given a variable that may make its program start others, and only what SHELL_ALLOW lists may run",
    },
    Rule { name: "redirects", reason: "reads or writes a file through its shell, and only what SHELL_ALLOW lists may run" },
];

/// Which commands may be started: all but those that destroy, or only some.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    /// None where there is no list.
    allowed: Option<Arc<[Pattern]>>,
}

impl Commands {
    /// Only commands that match one of these: a program and its arguments, `*` for any part of one, and as the last word for all the rest:
    /// `git status`, `echo *`, `make -j*`. No patterns at all allow everything that does not destroy.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn only(patterns: &[String]) -> Result<Self, String> {
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let patterns: Vec<Pattern> = patterns.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<_, _>>()?;
        Ok(Self { allowed: Some(patterns.into()) })
    }

    /// Whether `shell` may be given `command`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, shell: &str, command: &str) -> Result<(), Refusal> {
        check(shell, command)?;
        self.allowed.as_ref().map_or(Ok(()), |patterns| allow::line(patterns, shell, command))
    }

    /// The same for a program and its arguments, which no shell reads.
    ///
    /// # Errors
    /// As [`Commands::check`].
    pub fn check_argv(&self, argv: &[String]) -> Result<(), Refusal> {
        check_argv(argv)?;
        self.allowed.as_ref().map_or(Ok(()), |patterns| allow::argv(patterns, argv))
    }

    /// Whether a command may be given the variable `name`.
    ///
    /// # Errors
    /// Where only some commands are allowed: there are too many that make programs start others (`GIT_PAGER`, `LESSOPEN`, `MAKEFLAGS`)
    /// to list them, so that only those pass that say how things are written.
    pub fn check_variable(&self, name: &str) -> Result<(), Refusal> {
        let is_harmless = matches!(name, "LANG" | "LANGUAGE" | "TZ" | "TERM" | "COLUMNS" | "LINES" | "NO_COLOR") || name.starts_with("LC_");
        if self.allowed.is_none() || is_harmless { Ok(()) } else { Err(Refusal::of("variable")) }
    }

    /// The same for a terminal, in which somebody may type anything.
    ///
    /// # Errors
    /// Where only some commands are allowed.
    pub fn check_terminal(&self) -> Result<(), Refusal> {
        if self.allowed.is_some() { Err(Refusal::of("terminal")) } else { Ok(()) }
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
fn check_argv(argv: &[String]) -> Result<(), Refusal> {
    bash::argv(argv, DEEPEST)
}

fn read(shell: &str, command: &str, depth: usize) -> Result<(), Refusal> {
    let Some(depth) = depth.checked_sub(1) else { return Err(Refusal::of("hidden_command")) };
    match shell {
        "cmd" => cmd::check(command, depth),
        "powershell" | "pwsh" => powershell::check(command, depth),
        // Their languages have forms that bash's grammar does not know.
        "zsh" | "fish" => bash::check(command, depth, false),
        _ => bash::check(command, depth, true),
    }
}

/// Where the program stands that a program and its arguments come to: behind `sudo`, `env A=b`, `timeout 5`.
pub fn program_at(argv: &[String]) -> usize {
    argv.len() - bash::plain(argv).len()
}

/// Whether a line of bash takes what it reads on its standard input for source, as `sh -s` does. What cannot be read does.
pub fn reads_source(line: &str) -> bool {
    bash::reads_source(line)
}

/// A program of another shell, called from within one: `bash -c …`, `powershell -Command …`, `cmd /c …`.
fn nested(program: &str, arguments: &[String], depth: usize) -> Result<(), Refusal> {
    let program = program.trim_end_matches(".exe");
    let after = |flag: &dyn Fn(&str) -> bool| arguments.iter().position(|word| flag(word)).map(|at| arguments[at + 1..].join(" "));
    match program {
        shell if bash::SHELLS.contains(&shell) => {
            // The first word after the flags is the script; the rest are its arguments.
            let at = arguments.iter().position(|word| word == "--command" || (is_short(word) && word.contains('c')));
            let flags = at.map_or(0, |at| arguments[at + 1..].iter().take_while(|word| is_short(word)).count());
            match at.and_then(|at| arguments.get(at + 1 + flags)) {
                Some(script) => read(shell, script, depth),
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

fn is_short(word: &str) -> bool {
    word == "--" || (word.starts_with(['-', '+']) && !word.starts_with("--"))
}

#[cfg(test)]
mod tests;
