//! Which scripts a text imports, found without parsing it: in time that grows with its length and no faster.

use std::iter::Peekable;
use std::str::Chars;

/// An `import` of a script that is named by a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::script) struct Import {
    /// The script, without `.rhai`.
    pub(in crate::script) path: String,
    /// From 1.
    pub(in crate::script) line: u32,
    /// From 1.
    pub(in crate::script) column: u32,
}

/// The scripts that `source` imports by name, in their order. What is put together while it runs is not among them.
pub(in crate::script) fn named(source: &str) -> Vec<Import> {
    scan(source).0
}

/// Whether `source` imports what it names only while it runs.
pub(in crate::script) fn computed(source: &str) -> bool {
    scan(source).1
}

fn scan(source: &str) -> (Vec<Import>, bool) {
    let mut text = Text { rest: source.chars().peekable(), line: 1, column: 1, found: Vec::new(), computed: false };
    if source.contains("import") {
        text.code();
    }
    (text.found, text.computed)
}

/// A text, and where one is in it.
struct Text<'a> {
    rest: Peekable<Chars<'a>>,
    line: u32,
    column: u32,
    found: Vec<Import>,
    computed: bool,
}

impl Text<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        if next == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn code(&mut self) {
        loop {
            let (line, column) = (self.line, self.column);
            let Some(c) = self.next() else { return };
            match c {
                '/' => self.comment(),
                '"' => drop(self.quoted('"')),
                '\'' => drop(self.quoted('\'')),
                '`' => self.ticked(),
                c if c.is_alphabetic() || c == '_' => {
                    let mut word = String::from(c);
                    while let Some(more) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                        self.column += 1;
                        word.push(more);
                    }
                    match (word == "import").then(|| self.path()) {
                        Some(Some(path)) => self.found.push(Import { path: super::module_name(&path).to_owned(), line, column }),
                        Some(None) => self.computed = true,
                        None => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// What follows a slash, where it begins a comment.
    fn comment(&mut self) {
        match self.peek() {
            Some('/') => while self.next().is_some_and(|c| c != '\n') {},
            Some('*') => {
                self.next();
                let mut depth = 1;
                while let (1.., Some(c)) = (depth, self.next()) {
                    match (c, self.peek()) {
                        ('*', Some('/')) => depth -= 1,
                        ('/', Some('*')) => depth += 1,
                        _ => continue,
                    }
                    self.next();
                }
            }
            _ => {}
        }
    }

    /// The inside of a quoted text; none where it has escapes in it, or no end.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let (mut text, mut plain) = (String::new(), true);
        loop {
            match self.next()? {
                '\\' => {
                    plain = false;
                    self.next()?;
                }
                c if c == quote => return plain.then_some(text),
                c => text.push(c),
            }
        }
    }

    fn ticked(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '`' => return,
                '$' if self.peek() == Some('{') => {
                    self.next();
                    self.expression();
                }
                _ => {}
            }
        }
    }

    /// An expression in a text, to the brace that closes it.
    fn expression(&mut self) {
        let mut open = 0_usize;
        while let Some(c) = self.next() {
            match c {
                '{' => open += 1,
                '}' if open == 0 => return,
                '}' => open -= 1,
                '"' => drop(self.quoted('"')),
                '/' => self.comment(),
                '`' => while self.next().is_some_and(|c| c != '`') {},
                _ => {}
            }
        }
    }

    /// The literal that follows `import`, if one does and nothing is added to it.
    fn path(&mut self) -> Option<String> {
        loop {
            match self.peek()? {
                c if c.is_whitespace() => drop(self.next()),
                '/' => {
                    self.next();
                    self.comment();
                }
                '"' => break,
                _ => return None,
            }
        }
        self.next();
        let path = self.quoted('"')?;
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
        matches!(self.peek(), None | Some('a' | ';' | '}')).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        named(source).into_iter().map(|import| import.path).collect()
    }

    #[test]
    fn imports_are_found_where_they_are_code() {
        let source = "//! import \"head\" as h;\nimport \"lib/text\" as t; import \"more.rhai\"as m;\n/* import \"a\" /* import \"b\" */ */\n\
            let s = \"import \\\"c\\\" as c\"; let u = `import \"d\" as d ${ if true { \"}\" } else { 1 } } import \"e\"`;\n\
            fn f() { import /* here */ \"in/function\" as i; } let imported = 1; let q = '\"'; import \"last\"";
        assert_eq!(paths(source), ["lib/text", "more", "in/function", "last"]);
        assert_eq!(named(source)[0], Import { path: "lib/text".to_owned(), line: 2, column: 1 });
    }

    #[test]
    fn what_is_put_together_is_not_named() {
        for source in ["import \"a\" + b as c", "import path as p", "import \"a\\u0062\" as c", "import", "import \"open", "/", "/*", "`${"]
        {
            assert_eq!(paths(source), Vec::<String>::new(), "{source}");
            assert_eq!(computed(source), source.starts_with("import"), "{source}");
        }
    }
}
