//! What goes to standard output and standard error, and how errors are shown with the line they are about.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use trae::workflow::{Problem, Severity};

use super::exit;

/// So much of a line is shown: a generated file may have no line breaks.
const WIDEST: usize = 160;

/// A line of the result, on standard output.
pub(super) fn result(text: &str) {
    // Whoever reads may have heard enough (`trae docs | head`): no reason to fail.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// The result as JSON for people and programs.
pub(super) fn json(value: &impl Serialize) {
    result(&serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".to_owned()));
}

/// A line beside the result, on standard error.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What went wrong, on standard error.
pub(super) fn complaint(text: &str) {
    note(&format!("{} {text}", paint(bold(AnsiColor::Red), "error:")));
}

/// Text in a style, where standard error is a terminal that wants it.
pub(super) fn paint(style: Style, text: &str) -> String {
    let wanted = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// A bold colour.
pub(super) fn bold(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into())).bold()
}

/// A file's text, or the exit code where it cannot be read.
pub(super) fn read(path: &Path) -> Result<String, ExitCode> {
    std::fs::read(path)
        .map_err(|error| {
            complaint(&format!("{} cannot be read: {error}", path.display()));
            ExitCode::from(exit::USAGE)
        })
        .and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| {
                complaint(&format!("{} is not UTF-8 text", path.display()));
                ExitCode::from(exit::DATA)
            })
        })
}

/// An error with its place: `file:line:column`, the line itself, and a caret below the column.
pub(super) fn placed(message: &str, file: &str, line: Option<u32>, column: Option<u32>, source: Option<&str>) {
    let Some(line) = line else { return complaint(&format!("{file}: {message}")) };
    let place = column.map_or_else(|| format!("{file}:{line}"), |column| format!("{file}:{line}:{column}"));
    // Some rooms say the place themselves, for those who see only the sentence.
    let message = message.strip_prefix(&format!("{place}: ")).unwrap_or(message);
    complaint(&format!("{place}: {message}"));
    if let Some(text) = source.and_then(|source| source.lines().nth(line.saturating_sub(1) as usize)) {
        note(&excerpt(text, line, column));
    }
}

/// The line with its number, and below it a caret.
fn excerpt(text: &str, line: u32, column: Option<u32>) -> String {
    let column = column.unwrap_or(1).saturating_sub(1) as usize;
    // A long line is shown around the column.
    let start = column.saturating_sub(WIDEST / 2);
    let shown: String = text.chars().skip(start).take(WIDEST).map(|c| if c == '\t' || c.is_control() { ' ' } else { c }).collect();
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    format!("  {number} | {shown}\n  {gutter} | {}^", " ".repeat(column - start))
}

/// JSON that does not parse.
pub(super) fn broken_json(path: &Path, text: &str, error: &serde_json::Error) -> ExitCode {
    let (line, column) = (u32::try_from(error.line()).unwrap_or(0), u32::try_from(error.column()).unwrap_or(0));
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let place = (line > 0).then_some(line);
    placed(&format!("this is not JSON: {message}"), &path.display().to_string(), place, place.map(|_| column.max(1)), Some(text));
    exit::DATA.into()
}

/// Everything that is wrong with a graph, each with its node and its place.
pub(super) fn problems(file: &str, problems: &[Problem]) {
    for problem in problems {
        let (word, color) = match problem.severity {
            Severity::Error => ("error:", AnsiColor::Red),
            Severity::Warning => ("warning:", AnsiColor::Yellow),
        };
        let node = problem.node_id.as_ref().map_or_else(String::new, |id| format!(" node {id:?}"));
        let path = if problem.path.is_empty() { String::new() } else { format!(" {}", problem.path) };
        note(&format!("{} {file}:{node}{path}: {}", paint(bold(color), word), problem.message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_column() {
        assert_eq!(excerpt("let x = ;", 12, Some(9)), "  12 | let x = ;\n     |         ^");
        assert_eq!(excerpt("\tä ö", 3, Some(4)), "  3 |  ä ö\n    |    ^");
        assert_eq!(excerpt("x", 1, None), "  1 | x\n    | ^");
    }

    #[test]
    fn a_long_line_is_shown_around_the_column() {
        let line = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let shown = excerpt(&line, 1, Some(1001));
        let (text, caret) = shown.split_once('\n').unwrap();
        assert_eq!(text.chars().position(|c| c == 'X'), caret.chars().position(|c| c == '^'));
        assert!(text.chars().count() < 200);
    }
}
