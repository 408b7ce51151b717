//! A list of what may be started: what is not on it, or cannot be read with certainty, is refused.

use globset::{GlobBuilder, GlobMatcher};

use super::bash::{executes, git_commands};
use super::parse::{Simple, TooDeep, parse};
use super::words::program;
use super::{Refusal, cmd, powershell};

/// One line of the list.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// The program, as it must be called.
    program: String,
    arguments: Vec<GlobMatcher>,
    /// Further arguments may follow, whatever they are.
    open: bool,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let open = words.len() > 1 && words.pop_if(|last| *last == "*").is_some();
        let Some((program, arguments)) = words.split_first() else { return Err("a command that is allowed needs a program".to_owned()) };
        if program.contains(['*', '?', '[', '{', '\'', '"', '$']) {
            return Err(format!("{text:?} does not name its program: only arguments may have wildcards, as in `git log *`"));
        }
        let glob = |word: &&str| {
            let glob = GlobBuilder::new(word).literal_separator(false).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| format!("{text:?} is not a pattern: {error}"))
        };
        Ok(Self { program: (*program).to_owned(), arguments: arguments.iter().map(glob).collect::<Result<_, _>>()?, open })
    }

    /// Whether it lists this. `certain` says of each argument whether its text is what the program is given.
    fn lists(&self, words: &[String], certain: &dyn Fn(usize) -> bool) -> bool {
        let Some((name, arguments)) = words.split_first() else { return false };
        *name == self.program
            && (arguments.len() == self.arguments.len() || (self.open && arguments.len() > self.arguments.len()))
            && self.arguments.iter().zip(arguments).enumerate().all(|(at, (glob, word))| {
                // A word that only running it would tell is covered by `*` alone.
                if certain(at + 1) { glob.is_match(word) } else { glob.glob().glob() == "*" }
            })
    }
}

/// Holds a line against the list.
pub(super) fn line(patterns: &[Pattern], shell: &str, line: &str) -> Result<(), Refusal> {
    match shell {
        "cmd" => simple_shell(patterns, line, &['%', '^', '!', '<', '>', '(', ')', '@', '='], cmd::cut(line)),
        "powershell" | "pwsh" => {
            let signs = ['$', '`', '(', ')', '{', '}', '[', ']', '@', '&', '<', '>', '%', '\0'];
            simple_shell(patterns, line, &signs, powershell::cut(line))
        }
        _ => {
            let parsed = parse(line).map_err(|TooDeep| Refusal::of("not_understood"))?;
            if !parsed.whole || !parsed.functions.is_empty() {
                return Err(Refusal::of("not_understood"));
            }
            all(patterns, &parsed.commands)
        }
    }
}

/// Holds a program and its arguments against the list.
pub(super) fn argv(patterns: &[Pattern], argv: &[String]) -> Result<(), Refusal> {
    listed(patterns, argv, &|_| true)
}

/// A line of a shell that is not parsed here: it has nothing in it but commands and plain words.
fn simple_shell(patterns: &[Pattern], line: &str, signs: &[char], commands: Vec<Vec<String>>) -> Result<(), Refusal> {
    if line.contains(signs) {
        return Err(Refusal::of("not_understood"));
    }
    commands.iter().try_for_each(|words| listed(patterns, words, &|_| true))
}

fn all(patterns: &[Pattern], commands: &[Simple]) -> Result<(), Refusal> {
    for simple in commands {
        simple.inner.iter().try_for_each(|inner| all(patterns, inner))?;
        // A variable may change what a program on the list does (PATH, LD_PRELOAD, GIT_PAGER), now or later in a session.
        if simple.assigns {
            return Err(Refusal::of("not_understood"));
        }
        if simple.targets.iter().any(|target| !target.word.fixed || target.word.text != "/dev/null") {
            return Err(Refusal::of("redirects"));
        }
        let Some(first) = simple.words.first() else { continue };
        if !first.fixed || first.globs {
            return Err(Refusal::of("not_understood"));
        }
        let certain = |at: usize| simple.words.get(at).is_some_and(|word| word.fixed && !word.globs);
        listed(patterns, &simple.texts(), &certain)?;
    }
    Ok(())
}

fn listed(patterns: &[Pattern], words: &[String], certain: &dyn Fn(usize) -> bool) -> Result<(), Refusal> {
    let Some((first, arguments)) = words.split_first() else { return Ok(()) };
    if !patterns.iter().any(|pattern| pattern.lists(words, certain)) {
        return Err(Refusal::of("not_allowed"));
    }
    // Programs that start what their arguments say. An interpreter that is listed may do anything, and says so by its name.
    match program(first).as_str() {
        "find" => {
            for (at, _) in arguments.iter().enumerate().filter(|(_, word)| executes(word)) {
                let end =
                    arguments[at + 1..].iter().position(|word| word == ";" || word == "+").map_or(arguments.len(), |end| at + 1 + end);
                listed(patterns, &arguments[at + 1..end], &|inner| certain(at + 1 + inner))?;
            }
            Ok(())
        }
        "git" => {
            let hidden = arguments.iter().any(|word| {
                ["--exec-path=", "--config-env", "--upload-pack", "--receive-pack", "--exec="].iter().any(|option| word.starts_with(option))
            });
            if hidden || !git_commands(arguments).is_empty() { Err(Refusal::of("not_allowed")) } else { Ok(()) }
        }
        "env" | "nice" | "nohup" | "setsid" | "timeout" | "stdbuf" | "xargs" | "time" | "command" | "builtin" | "exec" | "sudo"
        | "doas" => {
            let all = words.to_vec();
            let inner = super::bash::plain(&all);
            if inner.len() == all.len() || inner.is_empty() {
                return Ok(());
            }
            let skipped = all.len() - inner.len();
            // A variable before the program is as good as one before the command.
            if all[1..skipped].iter().any(|word| !word.starts_with('-') && word.contains('=')) {
                return Err(Refusal::of("not_understood"));
            }
            if !certain(skipped) {
                return Err(Refusal::of("not_understood"));
            }
            listed(patterns, inner, &|at| certain(skipped + at))
        }
        _ => Ok(()),
    }
}
