//! What the letters of a word come to: quotes and escapes undone, braces expanded.

use super::parse::Word;

/// Words that braces of one word come to at most; what comes to more stays as it is written.
const WORDS: usize = 64;

// What an unquoted brace and comma are until they are expanded: letters that no line has a use for.
const OPEN: char = '\u{e000}';
const COMMA: char = '\u{e001}';
const CLOSE: char = '\u{e002}';

/// The words that one comes to.
pub(super) fn words(word: &Word) -> Vec<Word> {
    let texts = expanded(&word.text).unwrap_or_else(|| vec![word.text.clone()]);
    let plain = |text: String| text.replace(OPEN, "{").replace(COMMA, ",").replace(CLOSE, "}");
    texts.into_iter().map(|text| Word { text: plain(text), ..word.clone() }).collect()
}

/// Whether `$'…'` ends before its last quote: the grammar takes any backslash before a quote for one that escapes it.
pub(super) fn ends_early(text: &str) -> bool {
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match c {
            '\\' => drop(letters.next()),
            '\'' => return true,
            _ => {}
        }
    }
    false
}

/// What stands between backticks, as the shell reads it: it takes one level of backslashes away.
pub(super) fn between_backticks(text: &str) -> String {
    let inner = text.strip_prefix('`').unwrap_or(text);
    let mut letters = inner.strip_suffix('`').unwrap_or(inner).chars().peekable();
    let mut plain = String::new();
    while let Some(c) = letters.next() {
        let escaped = if c == '\\' { letters.next_if(|next| matches!(next, '`' | '\\' | '$')) } else { None };
        plain.push(escaped.unwrap_or(c));
    }
    plain
}

/// Text outside quotes: a backslash takes the next letter as it is.
pub(super) fn unquoted(text: &str, word: &mut Word) {
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match c {
            '\\' => word.text.extend(letters.next().filter(|next| *next != '\n')),
            '{' => word.text.push(OPEN),
            ',' => word.text.push(COMMA),
            '}' => word.text.push(CLOSE),
            other => {
                word.globs |= matches!(other, '*' | '?' | '[') || (other == '~' && word.text.is_empty());
                word.text.push(other);
            }
        }
    }
}

/// Text between double quotes: a backslash stands for itself but before a few letters.
pub(super) fn quoted(text: &str, out: &mut String) {
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        if c == '\\' {
            match letters.next_if(|next| matches!(next, '"' | '\\' | '$' | '`' | '\n')) {
                Some('\n') => {}
                Some(next) => out.push(next),
                None => out.push('\\'),
            }
        } else {
            out.push(c);
        }
    }
}

/// Text between `$'` and `'`.
pub(super) fn ansi(text: &str, out: &mut String) {
    let mut letters = text.chars().peekable();
    let number = |letters: &mut std::iter::Peekable<std::str::Chars<'_>>, radix: u32, most: usize| {
        let mut value = None;
        for _ in 0..most {
            let Some(digit) = letters.peek().and_then(|c| c.to_digit(radix)) else { break };
            letters.next();
            value = Some(value.unwrap_or(0) * radix + digit);
        }
        value.and_then(char::from_u32)
    };
    while let Some(c) = letters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('e' | 'E') => out.push('\u{1b}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('x') => out.extend(number(&mut letters, 16, 2)),
            Some('u') => out.extend(number(&mut letters, 16, 4)),
            Some('U') => out.extend(number(&mut letters, 16, 6)),
            Some('c') => out.extend(letters.next().map(|letter| char::from((letter as u32 & 0x1f) as u8))),
            Some(digit @ '0'..='7') => {
                let mut value = digit as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(next) = letters.peek().and_then(|c| c.to_digit(8)) else { break };
                    letters.next();
                    value = value * 8 + next;
                }
                out.extend(char::from_u32(value & 0xff));
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
}

/// What unquoted braces come to; none where there are none, or too many.
fn expanded(text: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(next) = open.pop() {
        let Some((before, choices, after)) = first_brace(&next) else {
            done.push(next);
            continue;
        };
        if done.len() + open.len() + choices.len() > WORDS {
            return None;
        }
        open.extend(choices.into_iter().rev().map(|choice| format!("{before}{choice}{after}")));
    }
    Some(done)
}

/// The first pair of braces with a comma between them: what stands before, the choices, what stands behind.
fn first_brace(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    for (begin, _) in text.match_indices(OPEN).take(WORDS) {
        let inside = begin + OPEN.len_utf8();
        let (mut depth, mut choices, mut from) = (0, Vec::new(), inside);
        for (at, c) in text[inside..].char_indices().map(|(at, c)| (inside + at, c)) {
            match c {
                OPEN => depth += 1,
                COMMA if depth == 0 => {
                    choices.push(&text[from..at]);
                    from = at + COMMA.len_utf8();
                }
                CLOSE if depth == 0 => {
                    if choices.is_empty() {
                        break;
                    }
                    choices.push(&text[from..at]);
                    return Some((&text[..begin], choices, &text[at + CLOSE.len_utf8()..]));
                }
                CLOSE => depth -= 1,
                _ => {}
            }
        }
    }
    None
}
