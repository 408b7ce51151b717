//! Headers: the `//!` lines at the top of a script or of a node type's file, prose first, then TOML between two `//! ---` lines.
//!
//! ```text
//! //! Clicks at a point of the screen.
//! //! ---
//! //! name = "Click"
//! //! permissions = { input = true }
//! //! ---
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Classify, Kind};
use crate::policy::Permissions;
use crate::workflow::Listens;

/// The header of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// Its prose, lines as they stand.
    pub doc: String,
    /// Its TOML; empty where there is none.
    pub table: toml::Table,
    /// The line of the file in which the TOML begins, from 1; 0 where there is none.
    pub line: u32,
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HeaderError {
    /// A sentence.
    pub message: String,
    /// The line of the file, from 1.
    pub line: u32,
}

impl Classify for HeaderError {
    fn kind(&self) -> Kind {
        Kind::ScriptError
    }

    fn details(&self) -> Option<Value> {
        Some(serde_json::json!({ "line": self.line }))
    }
}

/// Reads the header of `source`. A file without one has an empty header.
pub fn parse(source: &str) -> Result<Header, HeaderError> {
    let mut doc: Vec<&str> = Vec::new();
    let mut toml = String::new();
    // The line of the border that opened the TOML, and of the one that closed it.
    let (mut opened, mut closed) = (None, None);
    let source = source.strip_prefix('\u{FEFF}').unwrap_or(source);
    for (number, line) in (1u32..).zip(source.lines()) {
        let trimmed = line.trim();
        let Some(content) = trimmed.strip_prefix("//!") else {
            if trimmed.is_empty() && opened.is_none() && doc.is_empty() || number == 1 && trimmed.starts_with("#!") {
                continue;
            }
            break;
        };
        let content = content.strip_prefix(' ').unwrap_or(content);
        match (content.trim() == "---", opened, closed) {
            (true, None, _) => opened = Some(number),
            (true, Some(_), None) => closed = Some(number),
            (true, Some(_), Some(_)) => {
                return Err(HeaderError {
                    message: "a third `//! ---` line: a header has one TOML part, between two of them".to_owned(),
                    line: number,
                });
            }
            (false, Some(_), None) => {
                toml.push_str(content);
                toml.push('\n');
            }
            (false, ..) => doc.push(content),
        }
    }
    let Some(first) = opened else { return Ok(Header { doc: doc.join("\n"), ..Header::default() }) };
    if closed.is_none() {
        let message = "the header's TOML is not closed: end it with a line `//! ---` directly below its last `//!` line".to_owned();
        return Err(HeaderError { message, line: first });
    }
    let table = toml.parse::<toml::Table>().map_err(|error| {
        let before = error.span().map_or("", |span| toml.get(..span.start).unwrap_or(&toml));
        let line = first + 1 + before.matches('\n').count() as u32;
        HeaderError { message: format!("the header is not valid TOML: {}", error.message().trim().replace('\n', ", ")), line }
    })?;
    Ok(Header { doc: doc.join("\n"), table, line: first + 1 })
}

/// The header of a script.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptHeader {
    /// Its name for people.
    pub name: Option<String>,
    /// What it does; where it is not given, the header's prose.
    pub description: Option<String>,
    /// Seconds until a run of it is ended, waiting included.
    pub timeout: Option<f64>,
    /// Whether a run that was interrupted may start again from the top.
    pub resumable: bool,
    /// What it needs.
    pub permissions: Permissions,
    /// Its parameters, each a fragment of JSON Schema.
    pub params: BTreeMap<String, Value>,
    /// What starts it: the `type` and the fields of the trigger node of that name.
    pub triggers: Vec<Value>,
    /// How much it may use, below what the settings allow.
    pub limits: ScriptLimits,
}

/// Limits that a script sets itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptLimits {
    /// Operations of the engine.
    pub operations: Option<u64>,
    /// Seconds of computing.
    pub seconds: Option<f64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Nested calls.
    pub depth: Option<usize>,
}

impl ScriptHeader {
    /// Reads the header of the script `source`.
    pub fn parse(source: &str) -> Result<Self, HeaderError> {
        let header = parse(source)?;
        let line = header.line.max(1);
        let mut read: Self = toml::Value::Table(header.table).try_into().map_err(|error: toml::de::Error| HeaderError {
            message: format!("the header is not one of a script: {}", error.message().trim().replace('\n', ", ")),
            line,
        })?;
        let wrong = |message: &str| HeaderError { message: message.to_owned(), line };
        if read.timeout.is_some_and(|timeout| !(timeout > 0.0 && timeout.is_finite())) {
            return Err(wrong("the header's timeout should be a number of seconds above 0"));
        }
        if let Some((name, _)) = read.params.iter().find(|(_, fragment)| !fragment.is_object()) {
            return Err(wrong(&format!("the header's params.{name} should be a table of JSON Schema keywords")));
        }
        if read.triggers.len() > MAX_TRIGGERS {
            return Err(wrong(&format!("the header declares {} triggers; there can be {MAX_TRIGGERS}", read.triggers.len())));
        }
        for (number, trigger) in (1..).zip(&read.triggers) {
            check_trigger(trigger).map_err(|message| HeaderError {
                message: format!("the header's trigger {number} cannot start anything: {message}"),
                line: line_of_trigger(source, number).unwrap_or(line),
            })?;
        }
        if read.description.is_none() && !header.doc.trim().is_empty() {
            read.description = Some(header.doc.trim().to_owned());
        }
        Ok(read)
    }
}

/// The most triggers that one header may declare.
const MAX_TRIGGERS: usize = 64;

/// What is wrong with one of a header's triggers.
fn check_trigger(trigger: &Value) -> Result<(), String> {
    let (kind, config) = declared_trigger(trigger).ok_or("it needs a type, such as \"schedule\"")?;
    Listens::read(&kind, &config).map(drop).map_err(|faults| {
        let faults = faults.into_iter().map(|(path, message)| match path.trim_start_matches('/') {
            "" => message,
            field => format!("{field}: {message}"),
        });
        faults.collect::<Vec<_>>().join("; ")
    })
}

/// The type of a trigger that a header declares, and its fields.
pub fn declared_trigger(trigger: &Value) -> Option<(String, Value)> {
    let mut fields = trigger.as_object()?.clone();
    let kind = fields.shift_remove("type")?.as_str()?.to_owned();
    Some((kind, Value::Object(fields)))
}

/// The line in which a header's trigger begins.
fn line_of_trigger(source: &str, number: usize) -> Option<u32> {
    let begins = |line: &str| line.trim_start().strip_prefix("//!").is_some_and(|line| line.trim_start().starts_with("[[triggers]]"));
    (1..).zip(source.lines()).filter(|(_, line)| begins(line)).nth(number - 1).map(|(line, _)| line)
}
