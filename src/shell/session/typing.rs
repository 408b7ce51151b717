//! Lines as people type them into a terminal that edits lines itself: what a shell is given that has no editor and tells nothing.

/// The line that is being typed.
#[derive(Debug, Default)]
pub(super) struct Typing {
    line: Vec<u8>,
    /// The next key is taken as it is.
    literal: bool,
}

/// The longest line that a terminal takes.
const LONGEST: usize = 4096;

impl Typing {
    /// Takes keys, and gives the lines that they end.
    pub(super) fn keys(&mut self, keys: &[u8]) -> Vec<String> {
        keys.iter().filter_map(|key| self.key(*key)).collect()
    }

    fn key(&mut self, key: u8) -> Option<String> {
        match key {
            _ if std::mem::take(&mut self.literal) => self.line.push(key),
            b'\r' | b'\n' => return Some(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned()),
            // Backspace: a whole character.
            0x08 | 0x7f => while self.line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U, Ctrl-C and Ctrl-\ take the line back, Ctrl-W its last word.
            0x15 | 0x03 | 0x1c => self.line.clear(),
            0x17 => {
                while self.line.pop_if(|byte| *byte == b' ').is_some() {}
                while self.line.pop_if(|byte| *byte != b' ').is_some() {}
            }
            0x16 => self.literal = true,
            _ if self.line.len() < LONGEST => self.line.push(key),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_is_left_of_the_keys() {
        for (keys, lines) in [
            ("echo hi\r", vec!["echo hi"]),
            ("ls\x7f\x7fpwd\r\n", vec!["pwd", ""]),
            ("a\u{20ac}\x7fb\r", vec!["ab"]),
            ("rm -rf x\x15ls\r", vec!["ls"]),
            ("echo one two\x17three\r", vec!["echo one three"]),
            ("half\x03whole\rnot yet", vec!["whole"]),
            ("a\x16\x15b\r", vec!["a\x15b"]),
        ] {
            assert_eq!(Typing::default().keys(keys.as_bytes()), lines, "{keys:?}");
        }
    }
}
