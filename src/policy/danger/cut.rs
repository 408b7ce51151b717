//! A line of bash, cut into simple commands and words as the shell would: quotes, escapes, comments, substitutions, redirections.

use super::words::is_disk;

/// One simple command of a line.
#[derive(Debug, Default, Clone)]
pub(super) struct Simple {
    pub(super) words: Vec<String>,
    /// Files that its output goes to.
    pub(super) targets: Vec<String>,
    /// Commands whose output is put in its place: `$(…)`, backticks, `<(…)`.
    pub(super) inner: Vec<String>,
    /// Whether it reads what the one before prints.
    pub(super) piped: bool,
}

/// Cuts a line into its commands. It never fails: what the shell would refuse is cut somehow.
pub(super) fn cut(line: &str) -> Vec<Simple> {
    Cutter { rest: line.chars().peekable(), done: Vec::new(), now: Simple::default(), word: None, target: false }.cut()
}

struct Cutter<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    done: Vec<Simple>,
    now: Simple,
    word: Option<String>,
    /// The next word is where output goes.
    target: bool,
}

impl Cutter<'_> {
    fn cut(mut self) -> Vec<Simple> {
        while let Some(c) = self.rest.next() {
            match c {
                ' ' | '\t' | '\r' => self.end_word(),
                '\n' | ';' | ')' => self.end_command(false),
                '(' if self.word.is_none() => self.end_command(false),
                '&' if self.rest.peek() == Some(&'>') => self.end_word(),
                '&' => {
                    self.rest.next_if_eq(&'&');
                    self.end_command(false);
                }
                '|' => {
                    let or = self.rest.next_if_eq(&'|').is_some();
                    self.rest.next_if_eq(&'&');
                    self.end_command(!or);
                }
                '#' if self.word.is_none() => while self.rest.next_if(|c| *c != '\n').is_some() {},
                '>' => self.redirect(),
                '<' if self.rest.next_if_eq(&'(').is_some() => self.substitution(')'),
                '<' => self.end_word(),
                '\\' => {
                    if let Some(next) = self.rest.next().filter(|next| *next != '\n') {
                        self.word.get_or_insert_default().push(next);
                    }
                }
                '\'' => {
                    self.word.get_or_insert_default();
                    while let Some(inside) = self.rest.next().filter(|inside| *inside != '\'') {
                        self.word.get_or_insert_default().push(inside);
                    }
                }
                '"' => self.double_quoted(),
                '`' => self.substitution('`'),
                '$' if self.rest.next_if_eq(&'(').is_some() => self.substitution(')'),
                '$' if self.rest.peek() == Some(&'\'') => {}
                other => self.word.get_or_insert_default().push(other),
            }
        }
        self.end_command(false);
        self.done
    }

    fn double_quoted(&mut self) {
        self.word.get_or_insert_default();
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return,
                '\\' => {
                    let next = self.rest.next().unwrap_or_default();
                    if !matches!(next, '"' | '\\' | '$' | '`') {
                        self.word.get_or_insert_default().push('\\');
                    }
                    self.word.get_or_insert_default().push(next);
                }
                '`' => self.substitution('`'),
                '$' if self.rest.next_if_eq(&'(').is_some() => self.substitution(')'),
                other => self.word.get_or_insert_default().push(other),
            }
        }
    }

    /// A command within the command, up to its closing mark.
    fn substitution(&mut self, close: char) {
        let (mut inner, mut open, mut quote) = (String::new(), 1, None);
        while let Some(c) = self.rest.next() {
            match (c, quote) {
                ('\\', None | Some('"')) => {
                    inner.push(c);
                    inner.extend(self.rest.next());
                    continue;
                }
                ('\'' | '"', None) => quote = Some(c),
                (c, Some(mark)) if c == mark => quote = None,
                ('(', None) if close == ')' => open += 1,
                (c, None) if c == close => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                _ => {}
            }
            inner.push(c);
        }
        self.word.get_or_insert_default();
        self.now.inner.push(inner);
    }

    fn redirect(&mut self) {
        // `2>`: the digit names the stream and is no word.
        if self.word.as_deref().is_some_and(|word| word.chars().all(|c| c.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        let appends = self.rest.next_if_eq(&'>').is_some();
        self.rest.next_if(|c| matches!(c, '|' | '&'));
        if self.rest.next_if_eq(&'(').is_some() {
            self.substitution(')');
            return;
        }
        // What is added to a file of the system does not destroy it; a disk has no end to add to.
        self.target = true;
        if appends {
            self.now.targets.push(String::new());
        }
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if std::mem::take(&mut self.target) {
            let appended = self.now.targets.last().is_some_and(String::is_empty);
            if appended {
                self.now.targets.pop();
            }
            if !appended || is_disk(&word) || word == "/proc/sysrq-trigger" {
                self.now.targets.push(word);
            }
        } else {
            self.now.words.push(word);
        }
    }

    fn end_command(&mut self, pipe: bool) {
        self.end_word();
        self.target = false;
        let simple = std::mem::replace(&mut self.now, Simple { piped: pipe, ..Simple::default() });
        if !simple.words.is_empty() || !simple.targets.is_empty() || !simple.inner.is_empty() {
            self.done.push(simple);
        }
    }
}
