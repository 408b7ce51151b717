//! Values as literals of the script, so that every one of them reads back exactly and none can be anything but a literal.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// Words that cannot stand as a bare key of a map.
const KEYWORDS: &[&str] = &[
    "Fn",
    "as",
    "async",
    "await",
    "break",
    "call",
    "case",
    "catch",
    "const",
    "continue",
    "curry",
    "debug",
    "default",
    "do",
    "each",
    "else",
    "eval",
    "exit",
    "export",
    "false",
    "fn",
    "for",
    "global",
    "go",
    "goto",
    "if",
    "import",
    "in",
    "is",
    "is_def_fn",
    "is_def_var",
    "is_shared",
    "let",
    "loop",
    "match",
    "module",
    "new",
    "nil",
    "null",
    "package",
    "print",
    "private",
    "protected",
    "public",
    "return",
    "shared",
    "spawn",
    "static",
    "super",
    "switch",
    "sync",
    "this",
    "thread",
    "throw",
    "true",
    "try",
    "type_of",
    "unless",
    "until",
    "use",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// Appends `text` as a literal in double quotes. The escapes are those that Rhai and TOML share.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_invisible(c) => {
                let code = u32::from(c);
                // Writing to a String cannot fail.
                let _ = if code > 0xFFFF { write!(out, "\\U{code:08X}") } else { write!(out, "\\u{code:04X}") };
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether a reader would not see it, or see something else: control, direction, separator and format characters, noncharacters.
pub(super) fn is_invisible(c: char) -> bool {
    let code = u32::from(c);
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(code,
            0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E
            | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xFDD0..=0xFDEF
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE000..=0xF8FF | 0xE0000..=0xE0FFF | 0xF0000..=0x10FFFF)
        || code & 0xFFFE == 0xFFFE
}

/// Appends a key of a map: bare where it is a plain name.
pub(super) fn push_key(out: &mut String, key: &str) {
    if is_plain_name(key) { out.push_str(key) } else { push_string(out, key) }
}

fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !KEYWORDS.contains(&name)
}

/// Appends a number: whole ones as they are, what does not fit a signed 64-bit integer as a float.
pub(super) fn push_number(out: &mut String, number: &Number) {
    let _ = match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => write!(out, "{whole}"),
        // `{:?}` always writes a point or an exponent, which is what makes it a float.
        (None, Some(float)) if float.is_finite() => write!(out, "{float:?}"),
        _ => write!(out, "()"),
    };
}

/// Appends a value in which nothing is an expression.
pub(super) fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("()"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => push_number(out, number),
        Value::String(text) => push_string(out, text),
        Value::Array(items) => push_list(out, items, push_value),
        Value::Object(fields) => push_map(out, fields, |out, _, value| push_value(out, value)),
    }
}

/// Appends a list, each item by `push`.
pub(super) fn push_list<T>(out: &mut String, items: &[T], mut push: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        push(out, item);
    }
    out.push(']');
}

/// Appends a map on one line, each value by `push`.
pub(super) fn push_map(out: &mut String, fields: &serde_json::Map<String, Value>, mut push: impl FnMut(&mut String, &str, &Value)) {
    if fields.is_empty() {
        out.push_str("#{}");
        return;
    }
    out.push_str("#{ ");
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        push_key(out, key);
        out.push_str(": ");
        push(out, key, value);
    }
    out.push_str(" }");
}

/// `text` as one line of a comment: what could end the line or deceive a reader becomes a space; at most 120 characters.
pub(super) fn comment(text: &str) -> String {
    let visible: String = text.chars().take(1000).map(|c| if is_invisible(c) { ' ' } else { c }).collect();
    let mut line: String = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(120) {
        line.truncate(end);
        line.push('…');
    }
    line
}
