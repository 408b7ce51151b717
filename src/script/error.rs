//! From the engine's errors to ours: the innermost place, the file it belongs to, and what kind of failure it is.

use rhai::{Dynamic, EvalAltResult, ParseError, ParseErrorType, Position};

use crate::error::Kind;
use crate::host::protocol::ScriptError;

/// What the engine's token says when the run was ended by its operation limit.
pub(super) const OPERATIONS_TOKEN: &str = "operations";
/// What it says when a step's own time limit ended it.
pub(super) const TIMEOUT_TOKEN: &str = "timeout";
/// What it says when a run unwinds that is let go, or over before its script is.
pub(super) const ENDING_TOKEN: &str = "ending";

/// An error that does not compile.
pub(super) fn of_parsing(error: &ParseError, file: &str) -> ScriptError {
    let code = match error.err_type() {
        ParseErrorType::ModuleUndefined(name) => {
            if let Some(line) = permission_of(name) {
                return not_granted(name, line, file, error.position());
            }
            Kind::ScriptError
        }
        ParseErrorType::ExprTooDeep => Kind::LimitDepth,
        _ => Kind::ScriptError,
    };
    placed(code, error.err_type().to_string(), file, error.position())
}

/// A namespace that is there, though not for this script.
fn not_granted(namespace: &str, line: &str, file: &str, position: Position) -> ScriptError {
    let message = format!("`{namespace}::` needs a permission: add `{line}` to [permissions] in the script's header");
    let mut error = placed(Kind::PermissionDenied, message, file, position);
    error.details = Some(serde_json::json!({ "permission": line, "namespace": namespace }));
    error
}

/// An error that was raised while running.
pub(super) fn of_running(error: &EvalAltResult, file: &str) -> ScriptError {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, source, inner, position) => {
            let mut found = of_running(inner, if source.is_empty() { file } else { source });
            if found.line.is_none() {
                found.file = Some(file.to_owned());
                place(&mut found, *position);
            }
            found
        }
        EvalAltResult::ErrorInModule(name, inner, position) => {
            let mut found = of_running(inner, name);
            if found.line.is_none() {
                place(&mut found, *position);
            }
            found
        }
        EvalAltResult::ErrorParsing(kind, position) => {
            let parse = ParseError(Box::new(kind.clone()), *position);
            of_parsing(&parse, file)
        }
        EvalAltResult::ErrorRuntime(value, position) => of_value(value, file, *position),
        EvalAltResult::ErrorTooManyOperations(position) => operations(file, *position),
        EvalAltResult::ErrorTerminated(token, position) if token.is_string() => match token.clone().into_string().as_deref() {
            Ok(OPERATIONS_TOKEN) => operations(file, *position),
            Ok(TIMEOUT_TOKEN) => placed(Kind::Timeout, "the step took longer than its settings allow".to_owned(), file, *position),
            _ => placed(Kind::Cancelled, "the run was stopped".to_owned(), file, *position),
        },
        EvalAltResult::ErrorStackOverflow(position) => {
            placed(Kind::LimitDepth, "calls are nested deeper than allowed".to_owned(), file, *position)
        }
        EvalAltResult::ErrorModuleNotFound(name, position) => match permission_of(name) {
            Some(line) => not_granted(name, line, file, *position),
            None => placed(Kind::ScriptError, format!("there is no module or script {name:?} to import"), file, *position),
        },
        EvalAltResult::ErrorDataTooLarge(what, position) => {
            placed(Kind::LimitMemory, format!("{what} is larger than allowed"), file, *position)
        }
        other => {
            let mut plain = other.to_string();
            if let Some(end) = plain.rfind(" (line ") {
                plain.truncate(end);
            }
            placed(Kind::ScriptError, plain, file, other.position())
        }
    }
}

fn operations(file: &str, position: Position) -> ScriptError {
    placed(Kind::LimitOps, "the script takes more operations than allowed; is there an endless loop?".to_owned(), file, position)
}

/// What a script or a host function raised: a text, or a map with `message` and `code`.
fn of_value(value: &Dynamic, file: &str, position: Position) -> ScriptError {
    let Some(map) = value.as_map_ref().ok() else {
        return placed(Kind::ScriptError, clipped(&value.to_string()), file, position);
    };
    let text = |key: &str| map.get(key).and_then(|v| v.clone().into_string().ok());
    let code = text("code").and_then(|code| serde_json::from_value(code.into()).ok()).unwrap_or(Kind::ScriptError);
    let message = text("message").unwrap_or_else(|| value.to_string());
    let number = |key: &str| map.get(key).and_then(|v| v.as_int().ok()).and_then(|v| u32::try_from(v).ok());
    let mut error = placed(code, clipped(&message), file, position);
    error.details = map.get("details").and_then(|details| serde_json::to_value(details).ok());
    error.node_id = text("node_id");
    // A step that failed says where; the place at which the script called `step` says less.
    if let Some(file) = text("file") {
        (error.file, error.line, error.column) = (Some(file), number("line"), number("column"));
    }
    error
}

/// At most 4 KiB, and nothing that a terminal would obey: an error goes into logs, history and answers.
fn clipped(text: &str) -> String {
    let mut text: String = text.chars().take(4097).fold(String::new(), |mut text, letter| {
        match letter {
            '\n' | '\t' => text.push(letter),
            letter if letter.is_control() => text.extend(letter.escape_unicode()),
            letter => text.push(letter),
        }
        text
    });
    if text.len() > 4096 {
        let end = (0..=4090).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

pub(super) fn placed(code: Kind, message: String, file: &str, position: Position) -> ScriptError {
    let mut error = ScriptError { code, message, node_id: None, file: Some(file.to_owned()), line: None, column: None, details: None };
    place(&mut error, position);
    error
}

fn place(error: &mut ScriptError, position: Position) {
    error.line = position.line().and_then(|line| u32::try_from(line).ok());
    error.column = position.position().and_then(|column| u32::try_from(column).ok());
}

/// The header line that opens a namespace.
pub(super) fn permission_of(namespace: &str) -> Option<&'static str> {
    Some(match namespace {
        "screen" | "ocr" | "vision" => "screen = true",
        "window" => "screen = true` or `input = true",
        "mouse" | "keyboard" => "input = true",
        "clipboard" => "clipboard = true",
        "shell" => "shell = [\"bash\"]",
        "http" => "http = [\"example.org\"]",
        "files" => "read = [\"**\"]` or `write = [\"**\"]",
        _ => return None,
    })
}
