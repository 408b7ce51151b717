//! What no line of the log may hold: secrets, and characters that would do something to the terminal that shows them.

use crate::mask::{self, MASK};

/// The line without secrets and without control characters but its own line break.
pub(super) fn clean(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
    let masked = mask::string(masked(text));
    let mut clean = String::with_capacity(masked.len() + 1);
    for c in masked.chars() {
        match c {
            '\t' => clean.push(c),
            // Also those that reorder what is read after them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => clean.extend(c.escape_unicode()),
            c if c.is_control() => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    clean.push_str(end);
    clean.into_bytes()
}

/// The text with everything masked that looks like one of our keys (`trae_…`) or like a token (`eyJ….….…`).
fn masked(text: &str) -> String {
    let mut left = text;
    let mut done = String::with_capacity(text.len());
    while let Some((at, length)) = next_secret(left) {
        done.push_str(&left[..at]);
        done.push_str(MASK);
        left = &left[at + length..];
    }
    done.push_str(left);
    done
}

/// Where the next one is, and how long.
fn next_secret(text: &str) -> Option<(usize, usize)> {
    let run = |from: usize, dots: bool| {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (dots && *byte == b'.');
        text.as_bytes()[from..].iter().take_while(|byte| is_part(byte)).count()
    };
    let keys = text.match_indices("trae_").map(|(at, _)| (at, run(at, false))).filter(|(_, length)| *length >= 25);
    let is_token = |at: usize, length: usize| text[at..at + length].matches('.').count() >= 2;
    let tokens = text.match_indices("eyJ").map(|(at, _)| (at, run(at, true))).filter(|(at, length)| is_token(*at, *length));
    keys.chain(tokens).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(line: &str) -> String {
        mask::learn(["hunter2", "x"]);
        String::from_utf8(super::clean(line.as_bytes())).unwrap()
    }

    #[test]
    fn keys_tokens_and_configured_secrets_are_masked() {
        let key = format!("trae_{}", "a-B_9".repeat(9));
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.dBjftJeZ4CVP-mB92K27";
        assert_eq!(clean(&format!("a {key} b /x?token={token}&y {key}\n")), "a *** b /x?token=***&y ***\n");
        assert_eq!(clean("password=hunter2 of x"), "password=*** of x");
        for harmless in ["trae_runs_total", "a trae_ b", "eyJ is no token", "eyJabc.def"] {
            assert_eq!(clean(harmless), harmless);
        }
    }

    #[test]
    fn nothing_in_a_line_acts_on_a_terminal_or_looks_like_another_line() {
        assert_eq!(clean("a\u{1b}]52;c;x\u{7}b\r\nc\td\u{9b}e\u{202e}\n"), "a\\u{1b}]52;c;x\\u{7}b\\r\\nc\td\\u{9b}e\\u{202e}\n");
        assert_eq!(clean("grüße €\n"), "grüße €\n");
        assert_eq!(super::clean(b"a\xff\n"), "a\u{fffd}\n".as_bytes());
    }
}
