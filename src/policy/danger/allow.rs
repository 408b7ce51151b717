//! A list of what may be started: what is not on it, or cannot be read with certainty, is refused.

use globset::{GlobBuilder, GlobMatcher};

use super::bash::executes;
use super::parse::{Simple, TooDeep, parse};
use super::starters::{Started, started};
use super::words::program;
use super::{Refusal, certain, cmd, powershell};

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

    /// Whether it lists this. `certain` says of each word whether its text is what the program is given.
    fn lists(&self, words: &[String], certain: &dyn Fn(usize) -> bool) -> bool {
        let Some((name, arguments)) = words.split_first() else { return false };
        // A word that only running the line would tell may be several, or none: it is covered where anything may follow.
        *name == self.program
            && (arguments.len() == self.arguments.len() || (self.open && arguments.len() > self.arguments.len()))
            && self.arguments.iter().zip(arguments).enumerate().all(|(at, (glob, word))| certain(at + 1) && glob.is_match(word))
            && (self.open || (1..words.len()).all(certain))
    }
}

/// Holds a line against the list.
pub(super) fn line(patterns: &[Pattern], shell: &str, line: &str) -> Result<(), Refusal> {
    match shell {
        "cmd" => simple_shell(patterns, line, &['%', '^', '!', '<', '>', '(', ')', '@', '='], cmd::cut(line)),
        "powershell" | "pwsh" => {
            // It takes typographic quotes and dashes for plain ones.
            let signs = ['$', '`', '(', ')', '{', '}', '[', ']', '@', '&', '<', '>', '%', '\u{2013}', '\u{2014}', '\u{2015}'];
            if line.contains(|c: char| ('\u{2018}'..='\u{201f}').contains(&c)) {
                return Err(Refusal::of("not_understood"));
            }
            simple_shell(patterns, line, &signs, powershell::cut(line))
        }
        "zsh" | "fish" => {
            let signs = ['$', '`', '(', ')', '{', '}', '[', ']', '<', '>', '*', '?', '~', '=', '^', '\\', '#', '%'];
            let parsed = parse(line).map_err(|TooDeep| Refusal::of("not_understood"))?;
            if !parsed.whole {
                return Err(Refusal::of("not_understood"));
            }
            simple_shell(patterns, line, &signs, parsed.commands.iter().map(Simple::texts).collect())
        }
        _ => {
            if !certain::certain(line) {
                return Err(Refusal::of("not_understood"));
            }
            let parsed = parse(line).map_err(|TooDeep| Refusal::of("not_understood"))?;
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
    let odd = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || (c.is_whitespace() && !c.is_ascii());
    if line.contains(signs) || line.contains(odd) {
        return Err(Refusal::of("not_understood"));
    }
    commands.iter().try_for_each(|words| of_shell(patterns, words, &|_| true))
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
        of_shell(patterns, &simple.texts(), &certain)?;
    }
    Ok(())
}

/// What shells do themselves and what evaluates its arguments, or changes what later words mean. No list makes it safe.
const EVALUATES: &[&str] = &[
    ".",
    "alias",
    "bind",
    "compgen",
    "complete",
    "enable",
    "eval",
    "getopts",
    "hash",
    "let",
    "mapfile",
    "read",
    "readarray",
    "set",
    "shopt",
    "source",
    "test",
    "trap",
    "unalias",
    "unset",
    "wait",
];

/// A command of a shell.
fn of_shell(patterns: &[Pattern], words: &[String], certain: &dyn Fn(usize) -> bool) -> Result<(), Refusal> {
    listed(patterns, words, certain)?;
    let name = words.first().map_or("", String::as_str);
    // `printf -v 'a[$(…)]'` runs what stands in the brackets.
    let into_variable = name == "printf" && words.get(1).is_some_and(|format| !certain(1) || format.starts_with('-'));
    if EVALUATES.contains(&name) || into_variable { Err(Refusal::of("not_understood")) } else { Ok(()) }
}

fn listed(patterns: &[Pattern], words: &[String], certain: &dyn Fn(usize) -> bool) -> Result<(), Refusal> {
    let Some((first, arguments)) = words.split_first() else { return Ok(()) };
    if !patterns.iter().any(|pattern| pattern.lists(words, certain)) {
        return Err(Refusal::of("not_allowed"));
    }
    // Programs that start what their arguments say. An interpreter that is listed may do anything, and says so by its name.
    match program(first).as_str() {
        "find" => by_find(patterns, words, certain),
        "git" => by_git(arguments, certain),
        name => started(words).map_or(Ok(()), |started| by_starter(patterns, name, words, certain, &started)),
    }
}

/// What `find` starts. A word that is not certain could be `-exec`.
fn by_find(patterns: &[Pattern], words: &[String], certain: &dyn Fn(usize) -> bool) -> Result<(), Refusal> {
    if !(1..words.len()).all(certain) {
        return Err(Refusal::of("not_understood"));
    }
    for (at, _) in words.iter().enumerate().filter(|(_, word)| executes(word)) {
        let end = words[at + 1..].iter().position(|word| word == ";" || word == "+").map_or(words.len(), |end| at + 1 + end);
        let inner = &words[at + 1..end];
        of_shell(patterns, inner, &|word| inner.get(word).is_some_and(|word| !word.contains("{}")))?;
    }
    Ok(())
}

/// What `git` is told before its command: settings may name programs.
fn by_git(arguments: &[String], certain: &dyn Fn(usize) -> bool) -> Result<(), Refusal> {
    for (at, word) in arguments.iter().enumerate() {
        if !certain(at + 1) {
            return Err(Refusal::of("not_understood"));
        }
        match word.as_str() {
            "--no-pager" | "-P" | "--version" | "--help" => {}
            option if option.starts_with('-') => return Err(Refusal::of("not_allowed")),
            _ => break,
        }
    }
    Ok(())
}

/// What `sudo`, `env`, `xargs` and their like start.
fn by_starter(
    patterns: &[Pattern],
    name: &str,
    words: &[String],
    certain: &dyn Fn(usize) -> bool,
    started: &Started,
) -> Result<(), Refusal> {
    let inner = &words[started.at..];
    let replaces = name == "xargs" && words[1..started.at].iter().any(|word| word.starts_with("-I"));
    if !started.known || replaces || !(1..started.at).all(certain) || (inner.is_empty() && !started.idle_alone) {
        return Err(Refusal::of("not_understood"));
    }
    let mut inner = inner.to_vec();
    let told = inner.len();
    if told == 0 {
        return Ok(());
    }
    if name == "xargs" {
        // What it reads comes behind.
        inner.push(String::new());
    }
    if !certain(started.at) {
        return Err(Refusal::of("not_understood"));
    }
    of_shell(patterns, &inner, &|at| at < told && certain(started.at + at))
}
