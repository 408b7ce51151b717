//! A program and its arguments, some of which are data: where the program would take data for source, or for another program.

use serde_json::Value;

use super::taint::call;
use super::template::{Piece, split};
use crate::policy::danger;

/// What is wrong with a program and its arguments: the places of the items, and a sentence each.
pub(super) fn argv_faults(items: &[Value]) -> Vec<(usize, String)> {
    let words = words(items);
    let is_data = |at: &usize| words.get(*at).is_some_and(|word| is_data(word));
    let at = danger::program_at(&words).min(words.len().saturating_sub(1));
    let mut faults = Vec::new();
    if is_data(&at) {
        faults.push((at, "data would choose the program that is started: write `{{ raw(…) }}` where that is meant".to_owned()));
    }
    // What starts the program is told things, too: `env A={{ a }} git log` is, `env {{ a }}=b git log` is not.
    let starter = |word: &str| word.starts_with("-S") || word.starts_with("--split-string") || !before(word).contains('=');
    let chosen = |at: &usize| is_data(at) && words[*at].contains('=') && starter(&words[*at]);
    faults.extend(
        (0..at)
            .filter(chosen)
            .map(|at| (at, "data would name a variable or a program here: write `{{ raw(…) }}` where that is meant".to_owned())),
    );
    let program = Program::of(&words[at.min(words.len())..]);
    for place in (at + 1..words.len()).filter(is_data) {
        if program.reads_source(place - at) {
            let said = format!(
                "{} could read this as source: hand it over as an argument behind a fixed script, or write `{{{{ raw(…) }}}}`",
                program.name
            );
            faults.push((place, said));
        }
    }
    faults
}

/// Whether that program takes what it reads on its standard input for source.
pub(super) fn reads_source_from_input(items: &[Value]) -> bool {
    let words = words(items);
    let program = Program::of(&words[danger::program_at(&words)..]);
    match program.kind {
        Kind::Any => true,
        Kind::Script => {
            program.script.is_none_or(|at| matches!(program.words[at].as_str(), "-" | "/dev/stdin"))
                || program.words.iter().any(|word| word == "-s")
        }
        Kind::Filter | Kind::Other => false,
    }
}

/// What a program makes of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Everything may be source, or decide what is started.
    Any,
    /// A script, or source, and then arguments to it.
    Script,
    /// The same, and more source behind options wherever they stand.
    Filter,
    Other,
}

struct Program<'a> {
    name: String,
    kind: Kind,
    words: &'a [String],
    /// The first word that is neither an option nor an option's value.
    script: Option<usize>,
}

impl<'a> Program<'a> {
    fn of(words: &'a [String]) -> Self {
        let first = words.first().map(String::as_str).unwrap_or_default();
        let file = first.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
        let name = file.trim_end_matches(".exe").trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-').to_owned();
        let (kind, valued): (_, &[&str]) = match name.as_str() {
            "ash" | "bash" | "dash" | "ksh" | "sh" | "zsh" | "rbash" => {
                (Kind::Script, &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"])
            }
            "fish" | "su" | "runuser" | "lua" | "luajit" | "tclsh" | "wish" | "expect" | "rscript" | "deno" | "bun" | "osascript" => {
                (Kind::Script, &[])
            }
            "python" | "pypy" => (Kind::Script, &["-W", "-X"]),
            "node" | "nodejs" | "php" => (Kind::Script, &["-r", "--require", "-d"]),
            // Options of its own, whose values decide where it finds what it starts, and then what it is to do.
            "git" => (Kind::Script, &["-c", "-C", "--git-dir", "--work-tree", "--exec-path", "--namespace"]),
            "powershell" | "pwsh" => (Kind::Script, &["-executionpolicy", "-ep"]),
            "perl" | "ruby" => (Kind::Filter, &["-I", "-r"]),
            "awk" | "gawk" | "mawk" | "nawk" => (Kind::Filter, &["-F", "-v"]),
            "sed" | "gsed" => (Kind::Filter, &["-l"]),
            "cmd" | "make" | "gmake" | "mariadb" | "mysql" | "psql" | "sqlite" | "ssh" => (Kind::Any, &[]),
            _ => (Kind::Other, &[]),
        };
        let mut script = None;
        let mut at = 1;
        while let Some(word) = words.get(at) {
            if valued.iter().any(|option| word.eq_ignore_ascii_case(option)) {
                at += 2;
                continue;
            }
            if word == "-" || !(word.starts_with('-') || word.starts_with('+')) {
                script = Some(at);
                break;
            }
            at += 1;
        }
        Self { name, kind, words, script }
    }

    /// Whether it may take data at that place for source.
    fn reads_source(&self, at: usize) -> bool {
        let (Some(word), Some(before)) = (self.words.get(at), self.words.get(at - 1)) else { return false };
        let early = self.script.is_none_or(|script| at <= script);
        match self.kind {
            Kind::Any => true,
            // All that follows `-Command` is source together.
            Kind::Script if matches!(self.name.as_str(), "powershell" | "pwsh") => {
                early || !self.words[..at].iter().any(|word| word.eq_ignore_ascii_case("-file"))
            }
            Kind::Script => early,
            // `awk -v name={{ a }}` sets a variable to it.
            Kind::Filter if before == "-v" && self.name.ends_with("awk") => !self::before(word).contains('='),
            Kind::Filter => early || is_source_option(before) || (word.starts_with('-') && is_source_option(self::before(word))),
            Kind::Other => false,
        }
    }
}

fn is_source_option(word: &str) -> bool {
    let long = word.split('=').next().unwrap_or_default();
    matches!(long, "--expression" | "--file" | "--source")
        || (word.starts_with('-') && !word.starts_with("--") && word.ends_with(['e', 'E', 'f']))
}

fn words(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

fn is_data(text: &str) -> bool {
    text.contains("{{") && !is_raw(text)
}

/// What is written down before the first expression.
fn before(text: &str) -> &str {
    text.split("{{").next().unwrap_or_default()
}

/// Whether all expressions in a text say that they are meant as they are.
fn is_raw(text: &str) -> bool {
    let pieces = split(text).unwrap_or_default();
    pieces.iter().all(|piece| match piece {
        Piece::Text(_) => true,
        Piece::Expression(expression, _) => call(expression, "raw").is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `argv.json`: programs with data among their arguments, and whether they would read it as source.
    #[test]
    fn data_is_no_program_and_no_source_of_an_interpreter() {
        let table: std::collections::BTreeMap<String, Vec<Vec<Value>>> = serde_json::from_str(include_str!("argv.json")).unwrap();
        let mut wrong = Vec::new();
        for (verdict, all) in &table {
            for argv in all {
                let found = match verdict.as_str() {
                    "good" | "bad" => {
                        if argv_faults(argv).is_empty() {
                            "good"
                        } else {
                            "bad"
                        }
                    }
                    _ => {
                        if reads_source_from_input(argv) {
                            "input"
                        } else {
                            "no input"
                        }
                    }
                };
                if found != verdict {
                    wrong.push(format!("{argv:?} is {found}, not {verdict}"));
                }
            }
        }
        assert!(wrong.is_empty() && table.len() == 4, "{}", wrong.join("\n"));
    }
}
