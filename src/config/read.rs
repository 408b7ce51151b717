//! Reads one variable after the other from all sources, and remembers what it found and what was wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use super::Sources;
use super::value::Value;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// `trae.toml`.
    File,
    /// `.env`.
    DotEnv,
    /// The environment.
    Environment,
    /// A flag on the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "trae.toml",
            Self::DotEnv => ".env",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// One value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// Its value as text; secrets are masked.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable, or the file.
    pub name: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// Where the bad value came from.
    pub source: Option<Source>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        for Problem { name, message, source } in &self.0 {
            match source {
                Some(source) => write!(f, "\n  {name} ({source}): {message}")?,
                None => write!(f, "\n  {name}: {message}")?,
            }
        }
        Ok(())
    }
}

/// Reads variables.
pub(super) struct Reader {
    layers: Vec<(Source, BTreeMap<String, String>)>,
    known: BTreeSet<&'static str>,
    settings: Vec<Setting>,
    problems: Vec<Problem>,
}

impl Reader {
    /// Nothing but the defaults.
    pub(super) fn empty() -> Self {
        Self { layers: Vec::new(), known: BTreeSet::new(), settings: Vec::new(), problems: Vec::new() }
    }

    /// All sources, the strongest first.
    pub(super) fn open(sources: &Sources) -> Self {
        let mut reader = Self::empty();
        let file = sources.file.clone().unwrap_or_else(|| sources.directory.join("trae.toml"));
        let table = reader.text(&file, sources.file.is_some()).and_then(|text| reader.table(&file, &text)).unwrap_or_default();
        let dot_env = sources.directory.join(".env");
        let dot_env = reader.text(&dot_env, false).map(|text| reader.lines(&text)).unwrap_or_default();
        reader.layers = vec![
            (Source::Flag, sources.flags.clone()),
            (Source::Environment, sources.environment.clone()),
            (Source::DotEnv, dot_env),
            (Source::File, table),
        ];
        reader
    }

    /// The value of `name`, or `default` where nobody set it.
    pub(super) fn get<T: Value>(&mut self, name: &'static str, default: T) -> T {
        let (value, source) = self.find(name).unwrap_or((default, Source::Default));
        self.settings.push(Setting { name, value: value.show(), source });
        value
    }

    /// The value of `name` if anybody set it; an empty text stands for none.
    pub(super) fn optional<T: Value>(&mut self, name: &'static str) -> Option<T> {
        let found = self.find::<T>(name);
        let (shown, source) = found.as_ref().map_or((String::new(), Source::Default), |(value, source)| (value.show(), *source));
        self.settings.push(Setting { name, value: shown, source });
        found.map(|(value, _)| value)
    }

    /// A value that must lie in a range.
    pub(super) fn within<T: Value + PartialOrd + fmt::Display + Clone>(
        &mut self,
        name: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let value = self.get(name, default.clone());
        if range.contains(&value) {
            return value;
        }
        self.problem(name, format!("{value} is out of range: set something from {} to {}", range.start(), range.end()));
        default
    }

    /// Notes that the value of `name` cannot be used.
    pub(super) fn problem(&mut self, name: &str, message: impl Into<String>) {
        let source = self.settings.iter().find(|setting| setting.name == name).map(|setting| setting.source);
        self.problems.push(Problem { name: name.to_owned(), message: message.into(), source });
    }

    /// Every variable read so far.
    pub(super) fn settings(&self) -> Vec<Setting> {
        self.settings.clone()
    }

    /// Whether all is well; a name in `trae.toml` or among the flags that nobody asked for is not.
    pub(super) fn finish(mut self) -> Result<(), Problems> {
        for (source, layer) in &self.layers {
            if !matches!(source, Source::File | Source::Flag) {
                continue;
            }
            for name in layer.keys().filter(|name| !self.known.contains(name.as_str())) {
                let message = match closest(name, &self.known) {
                    Some(near) => format!("there is no such setting: did you mean {}?", near.to_lowercase()),
                    None => "there is no such setting: `trae config` lists all".to_owned(),
                };
                self.problems.push(Problem { name: name.to_lowercase(), message, source: Some(*source) });
            }
        }
        if self.problems.is_empty() { Ok(()) } else { Err(Problems(self.problems)) }
    }

    fn find<T: Value>(&mut self, name: &'static str) -> Option<(T, Source)> {
        self.known.insert(name);
        let (source, text) = self.layers.iter().find_map(|(source, layer)| Some((*source, layer.get(name)?.trim().to_owned())))?;
        // `NAME=` is how shells and compose files say "not set".
        if text.is_empty() {
            return None;
        }
        match T::parse(&text) {
            Ok(value) => Some((value, source)),
            Err(message) => {
                self.problems.push(Problem { name: name.to_owned(), message, source: Some(source) });
                None
            }
        }
    }

    fn text(&mut self, path: &Path, required: bool) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => None,
            Err(error) => {
                self.file_problem(path, format!("cannot be read: {error}"));
                None
            }
        }
    }

    fn table(&mut self, path: &Path, text: &str) -> Option<BTreeMap<String, String>> {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                self.file_problem(path, format!("is not TOML: {}", error.to_string().trim()));
                return None;
            }
        };
        let mut values = BTreeMap::new();
        for (name, value) in table {
            match flat(&name, &value) {
                Some(text) => drop(values.insert(name.to_uppercase(), text)),
                None => self.problems.push(Problem {
                    name,
                    message: "write a text, a number, true, false or a list of texts: there are no sections here".to_owned(),
                    source: Some(Source::File),
                }),
            }
        }
        Some(values)
    }

    /// `.env`: `NAME=value` a line, `export` before it and quotes around the value allowed, `#` begins a comment.
    fn lines(&mut self, text: &str) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') else {
                let message = format!("line {} is not NAME=value", index + 1);
                self.problems.push(Problem { name: ".env".to_owned(), message, source: None });
                continue;
            };
            values.insert(name.trim().to_owned(), unquoted(value.trim()).to_owned());
        }
        values
    }

    fn file_problem(&mut self, path: &Path, message: String) {
        self.problems.push(Problem { name: path.display().to_string(), message, source: None });
    }
}

/// A value between quotes is what stands between them; without quotes it ends where a comment begins.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner;
        }
    }
    value.split(" #").next().unwrap_or_default().trim_end()
}

/// A TOML value as a variable writes it.
fn flat(name: &str, value: &toml::Value) -> Option<String> {
    let shell = name.to_ascii_lowercase().starts_with("shell_");
    if let (true, toml::Value::Array(items)) = (shell, value) {
        let words: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(super::value::quoted)).collect();
        return Some(words?.join(" "));
    }
    let separator = if name.eq_ignore_ascii_case("script_dirs") { if cfg!(windows) { ";" } else { ":" } } else { "," };
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Some(items?.join(separator))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// The name that a typing error was probably meant to be.
fn closest<'a>(name: &str, known: &BTreeSet<&'a str>) -> Option<&'a str> {
    let (distance, near) = known.iter().map(|candidate| (distance(name, candidate), *candidate)).min()?;
    (distance <= 2).then_some(near)
}

/// How many letters have to change.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let cost = if a == *b { diagonal } else { diagonal + 1 };
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
