//! Texts with expressions in them: `Hello {{ input.name }}`.
//!
//! `\{{` is a plain `{{`. Of several backslashes before `{{` each pair stands for one.

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it is.
    Text(String),
    /// What stands between the braces, without surrounding white space; and how many characters of the text come before it.
    Expression(&'a str, usize),
}

/// A text that is not one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// From 1.
    pub(super) column: usize,
}

/// Whether `text` has an expression in it, or tries to.
pub(super) fn has_expression(text: &str) -> bool {
    text.contains("{{") && split(text).map_or(true, |pieces| pieces.iter().any(|piece| matches!(piece, Piece::Expression(..))))
}

/// The pieces of `text`.
pub(super) fn split(text: &str) -> Result<Vec<Piece<'_>>, Unclosed> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let before = &rest[..at];
        let kept = before.trim_end_matches('\\');
        let backslashes = before.len() - kept.len();
        plain.push_str(kept);
        plain.extend(std::iter::repeat_n('\\', backslashes / 2));
        let inside = &rest[at + 2..];
        if backslashes % 2 == 1 {
            plain.push_str("{{");
            rest = inside;
            continue;
        }
        let start = text.len() - inside.len();
        let Some(length) = end_of(inside) else {
            return Err(Unclosed { column: text[..start - 2].chars().count() + 1 });
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        let raw = &inside[..length];
        let expression = raw.trim();
        let lead = start + (raw.len() - raw.trim_start().len());
        // Counting characters from the start for each piece would be quadratic; the place matters only for short texts.
        let column = if text.len() <= 64 << 10 { text[..lead].chars().count() } else { 0 };
        pieces.push(Piece::Expression(expression, column));
        rest = &inside[length + 2..];
    }
    plain.push_str(rest);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// Where the `}}` begins that closes an expression: braces and quotes inside it are skipped.
fn end_of(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut quote = None;
    let mut at = 0;
    // An expression has at most 4 KiB; looking further would make a text of many open braces quadratic.
    let limit = bytes.len().min(super::check::MAX_EXPRESSION * 2);
    while at < limit {
        let byte = bytes[at];
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'' | b'`') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    // Quotes or braces that do not match: the first `}}` ends it, and the expression's own check says what is wrong.
    text.find("}}")
}

/// The text of a field that is an expression: with or without braces around it.
pub(super) fn unbraced(text: &str) -> &str {
    let trimmed = text.trim();
    match trimmed.strip_prefix("{{") {
        Some(inside) if end_of(inside) == inside.len().checked_sub(2) => inside[..inside.len() - 2].trim(),
        _ => trimmed,
    }
}
