//! A line of bash as bash reads it: parsed by its grammar, then cut into simple commands whose words are what the programs would be given.
//!
//! Quotes, escapes and `$'…'` are undone, braces are expanded, variables that the line itself sets to a constant are put in. What only
//! running the line would tell stays as it is written, and the word is not [`fixed`](Word::fixed).

use std::collections::HashMap;

use tree_sitter::{Node, ParseOptions, Parser};

/// One word of a command.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// What the program is given, or how it is written where that is not known.
    pub(super) text: String,
    /// Whether the text is what the program is given.
    pub(super) fixed: bool,
    /// Whether bash may put names of files in its place.
    pub(super) globs: bool,
}

/// Where a command's output goes, or what it reads.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) word: Word,
    pub(super) appends: bool,
    pub(super) reads: bool,
}

/// One simple command.
#[derive(Debug, Default, Clone)]
pub(super) struct Simple {
    pub(super) words: Vec<Word>,
    pub(super) targets: Vec<Target>,
    /// Commands whose output is put in its place: `$(…)`, backticks, `<(…)`.
    pub(super) inner: Vec<Vec<Simple>>,
    /// Whether it reads what the one before prints.
    pub(super) piped: bool,
    /// What it is given to read in the line itself.
    pub(super) stdin: Option<String>,
    /// Whether it sets variables, for itself or for what follows.
    pub(super) assigns: bool,
}

impl Simple {
    /// Its words, as far as they are known.
    pub(super) fn texts(&self) -> Vec<String> {
        self.words.iter().map(|word| word.text.clone()).collect()
    }
}

/// A line.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Its commands, in the order in which they stand.
    pub(super) commands: Vec<Simple>,
    /// Whether all of it was understood.
    pub(super) whole: bool,
    /// Functions that it defines, with what is in them.
    pub(super) functions: Vec<(String, Vec<Simple>)>,
}

/// Why a line is not taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

/// How deep the syntax may nest, and how many substitutions may stand in one another.
const DEEPEST: usize = 200;
const SUBSTITUTIONS: usize = 8;
/// Words that braces of one word come to at most; what comes to more stays as it is written.
const WORDS: usize = 64;

// What an unquoted brace and comma are until they are expanded: letters that no line has a use for.
const OPEN: char = '\u{e000}';
const COMMA: char = '\u{e001}';
const CLOSE: char = '\u{e002}';

/// Takes a line apart. What the grammar does not know is taken for words of a command.
pub(super) fn parse(line: &str) -> Result<Parsed, TooDeep> {
    let nothing = Parsed { whole: true, ..Parsed::default() };
    if line.trim().is_empty() {
        return Ok(nothing);
    }
    let mut parser = Parser::new();
    if parser.set_language(&tree_sitter_bash::LANGUAGE.into()).is_err() {
        return Err(TooDeep);
    }
    // The work is counted, not the time: what a busy machine reads, an idle one reads too. The parser asks after each hundred steps.
    let mut left = 20_000 + line.len();
    let mut goes_on = |_: &tree_sitter::ParseState| {
        left = left.saturating_sub(1);
        if left == 0 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    };
    let bytes = line.as_bytes();
    let options = ParseOptions::new().progress_callback(&mut goes_on);
    let tree = parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options)).ok_or(TooDeep)?;
    let mut reader = Reader { line, variables: HashMap::new(), parsed: nothing, nested: 0 };
    reader.parsed.whole = !tree.root_node().has_error();
    let commands = reader.statements(tree.root_node(), false, DEEPEST)?;
    Ok(Parsed { commands, ..reader.parsed })
}

struct Reader<'a> {
    line: &'a str,
    /// Variables that the line has set to a constant.
    variables: HashMap<String, String>,
    parsed: Parsed,
    nested: usize,
}

impl<'a> Reader<'a> {
    fn text(&self, node: Node<'_>) -> &'a str {
        self.line.get(node.byte_range()).unwrap_or_default()
    }

    /// The commands of all statements directly below a node.
    fn statements(&mut self, node: Node<'_>, piped: bool, depth: usize) -> Result<Vec<Simple>, TooDeep> {
        let mut commands = Vec::new();
        for child in children(node) {
            self.statement(child, piped, &mut commands, depth)?;
        }
        Ok(commands)
    }

    fn statement(&mut self, node: Node<'_>, piped: bool, out: &mut Vec<Simple>, depth: usize) -> Result<(), TooDeep> {
        let depth = depth.checked_sub(1).ok_or(TooDeep)?;
        match node.kind() {
            "command" | "declaration_command" | "unset_command" => out.push(self.command(node, piped, depth)?),
            "ERROR" => self.unknown(node, piped, out, depth)?,
            "pipeline" => {
                for (at, child) in children(node).into_iter().enumerate() {
                    self.statement(child, piped || at > 0, out, depth)?;
                }
            }
            "redirected_statement" => self.redirected(node, piped, out, depth)?,
            "function_definition" => {
                let name = node.child_by_field_name("name").map(|name| self.text(name).to_owned()).unwrap_or_default();
                let mut body = Vec::new();
                for child in children(node).into_iter().skip(1) {
                    self.statement(child, false, &mut body, depth)?;
                }
                out.extend(body.iter().cloned());
                self.parsed.functions.push((name, body));
            }
            "variable_assignment" => {
                let mut simple = Simple { piped, assigns: true, ..Simple::default() };
                self.assignment(node, &mut simple, depth)?;
                out.push(simple);
            }
            "for_statement" => {
                if let Some(variable) = node.child_by_field_name("variable") {
                    self.variables.remove(self.text(variable));
                }
                for child in children(node) {
                    self.statement(child, piped, out, depth)?;
                }
            }
            "command_substitution" | "process_substitution" => {
                let inner = self.substituted(node, depth)?;
                out.push(Simple { inner: vec![inner], piped, ..Simple::default() });
            }
            "comment" | "heredoc_start" | "heredoc_end" | "heredoc_content" => {}
            _ => {
                for child in children(node) {
                    self.statement(child, piped, out, depth)?;
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, node: Node<'_>, piped: bool, depth: usize) -> Result<Simple, TooDeep> {
        let mut simple = Simple { piped, ..Simple::default() };
        if node.kind() != "command" {
            // `export`, `declare`, `unset`: the word itself is no node with a name.
            let keyword = node.child(0).map(|keyword| self.text(keyword).to_owned()).unwrap_or_default();
            simple.words.push(Word { text: keyword, fixed: true, globs: false });
            simple.assigns = true;
        }
        for child in children(node) {
            match child.kind() {
                "variable_assignment" => {
                    simple.assigns = true;
                    self.assignment(child, &mut simple, depth)?;
                }
                "command_name" => {
                    for name in children(child) {
                        self.word(name, &mut simple, depth)?;
                    }
                }
                "file_redirect" | "herestring_redirect" | "heredoc_redirect" => self.redirect(child, &mut simple, depth)?,
                _ => self.word(child, &mut simple, depth)?,
            }
        }
        Ok(simple)
    }

    /// What the grammar could not place: its words make a command, statements in it are read as such.
    fn unknown(&mut self, node: Node<'_>, piped: bool, out: &mut Vec<Simple>, depth: usize) -> Result<(), TooDeep> {
        let mut loose = Simple { piped, ..Simple::default() };
        for child in children(node) {
            match child.kind() {
                "command_name" => {
                    for name in children(child) {
                        self.word(name, &mut loose, depth)?;
                    }
                }
                "file_redirect" | "herestring_redirect" => self.redirect(child, &mut loose, depth)?,
                kind if is_word(kind) => self.word(child, &mut loose, depth)?,
                _ => self.statement(child, piped, out, depth)?,
            }
        }
        if !loose.words.is_empty() || !loose.targets.is_empty() || !loose.inner.is_empty() {
            out.push(loose);
        }
        Ok(())
    }

    fn redirected(&mut self, node: Node<'_>, piped: bool, out: &mut Vec<Simple>, depth: usize) -> Result<(), TooDeep> {
        let first = out.len();
        let (mut redirects, mut behind) = (Simple { piped, ..Simple::default() }, Vec::new());
        for child in children(node) {
            match child.kind() {
                "file_redirect" | "herestring_redirect" => self.redirect(child, &mut redirects, depth)?,
                "heredoc_redirect" => {
                    self.redirect(child, &mut redirects, depth)?;
                    for further in children(child) {
                        match further.kind() {
                            "pipeline" => self.statement(further, true, &mut behind, depth)?,
                            "heredoc_body" | "file_redirect" | "herestring_redirect" => {}
                            kind if is_word(kind) => {}
                            _ => self.statement(further, false, &mut behind, depth)?,
                        }
                    }
                }
                _ => self.statement(child, piped, out, depth)?,
            }
        }
        for reader in &mut behind {
            if reader.piped && reader.stdin.is_none() {
                reader.stdin.clone_from(&redirects.stdin);
            }
        }
        match out.get_mut(first) {
            Some(command) => {
                command.targets.append(&mut redirects.targets);
                command.inner.append(&mut redirects.inner);
                command.words.append(&mut redirects.words);
                command.stdin = redirects.stdin.or(command.stdin.take());
            }
            None => out.push(redirects),
        }
        out.append(&mut behind);
        Ok(())
    }

    fn redirect(&mut self, node: Node<'_>, simple: &mut Simple, depth: usize) -> Result<(), TooDeep> {
        let depth = depth.checked_sub(1).ok_or(TooDeep)?;
        let written = self.text(node).trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('&');
        let mut read = Simple::default();
        for child in children(node) {
            match child.kind() {
                "file_descriptor" | "heredoc_start" | "heredoc_end" => {}
                "heredoc_body" => {
                    simple.stdin = Some(self.text(child).to_owned());
                    for inside in children(child) {
                        let mut commands = Vec::new();
                        self.statement(inside, false, &mut commands, depth)?;
                        read.inner.push(commands);
                    }
                }
                "file_redirect" | "herestring_redirect" => self.redirect(child, simple, depth)?,
                kind if is_word(kind) => self.word(child, &mut read, depth)?,
                _ => {}
            }
        }
        simple.inner.append(&mut read.inner);
        let mut words = read.words.into_iter();
        match node.kind() {
            "herestring_redirect" => simple.stdin = words.next().map(|word| word.text),
            "file_redirect" => {
                // `2>&1` and `>&-` name no file.
                let duplicates = written.starts_with(">&") || written.starts_with("<&");
                if let Some(word) = words.next().filter(|word| !(duplicates && word.text.chars().all(|c| c.is_ascii_digit() || c == '-'))) {
                    simple.targets.push(Target {
                        word,
                        appends: written.starts_with(">>"),
                        reads: written.starts_with('<') && !written.starts_with("<>"),
                    });
                }
                // The grammar takes what follows for further destinations; it is the command's.
                simple.words.extend(words);
            }
            // Arguments may stand behind the mark of a here-document.
            _ => simple.words.extend(words),
        }
        Ok(())
    }

    fn assignment(&mut self, node: Node<'_>, simple: &mut Simple, depth: usize) -> Result<(), TooDeep> {
        let mut value = Simple::default();
        if let Some(child) = node.child_by_field_name("value") {
            self.word(child, &mut value, depth)?;
        }
        simple.inner.append(&mut value.inner);
        if let Some(name) = node.child_by_field_name("name").filter(|name| name.kind() == "variable_name") {
            let name = self.text(name).to_owned();
            match value.words.as_slice() {
                [Word { text, fixed: true, .. }] if !self.text(node).contains("+=") => self.variables.insert(name, text.clone()),
                [] => self.variables.insert(name, String::new()),
                _ => self.variables.remove(&name),
            };
        }
        Ok(())
    }

    /// The commands of a substitution.
    fn substituted(&mut self, node: Node<'_>, depth: usize) -> Result<Vec<Simple>, TooDeep> {
        self.nested += 1;
        if self.nested > SUBSTITUTIONS {
            return Err(TooDeep);
        }
        let mut commands = Vec::new();
        for child in children(node) {
            if child.kind() == "file_redirect" {
                let mut reads = Simple::default();
                self.redirect(child, &mut reads, depth)?;
                commands.push(reads);
            } else {
                self.statement(child, false, &mut commands, depth)?;
            }
        }
        self.nested -= 1;
        Ok(commands)
    }

    /// Adds the words that one is written as: one, or more where it has braces.
    fn word(&mut self, node: Node<'_>, simple: &mut Simple, depth: usize) -> Result<(), TooDeep> {
        let mut word = Word { fixed: true, ..Word::default() };
        self.part(node, &mut word, simple, depth)?;
        let texts = expanded(&word.text).unwrap_or_else(|| vec![word.text.clone()]);
        let plain = |text: String| text.replace(OPEN, "{").replace(COMMA, ",").replace(CLOSE, "}");
        simple.words.extend(texts.into_iter().map(|text| Word { text: plain(text), ..word.clone() }));
        Ok(())
    }

    fn part(&mut self, node: Node<'_>, word: &mut Word, simple: &mut Simple, depth: usize) -> Result<(), TooDeep> {
        let depth = depth.checked_sub(1).ok_or(TooDeep)?;
        let text = self.text(node);
        match node.kind() {
            "word" | "number" if node.named_child_count() == 0 => unquoted(text, word),
            "raw_string" => word.text.push_str(text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text)),
            "ansi_c_string" => ansi(text.strip_prefix("$'").and_then(|text| text.strip_suffix('\'')).unwrap_or(text), &mut word.text),
            "string" => self.pieces(node, 1, word, simple, depth)?,
            "translated_string" | "concatenation" | "command_name" | "array" => self.pieces(node, 0, word, simple, depth)?,
            "simple_expansion" | "expansion" => {
                let name = text.trim_start_matches('$').trim_start_matches('{').trim_end_matches('}');
                match self.variables.get(name) {
                    Some(value) => word.text.push_str(value),
                    None => self.unknown_part(node, text, word, simple, depth)?,
                }
            }
            "command_substitution" | "process_substitution" => {
                let inner = self.substituted(node, depth)?;
                simple.inner.push(inner);
                word.text.push_str(text);
                word.fixed = false;
            }
            _ => self.unknown_part(node, text, word, simple, depth)?,
        }
        Ok(())
    }

    /// Something whose value only running it would tell. Commands in it are commands all the same.
    fn unknown_part(&mut self, node: Node<'_>, text: &str, word: &mut Word, simple: &mut Simple, depth: usize) -> Result<(), TooDeep> {
        let mut commands = Vec::new();
        for child in children(node) {
            self.statement(child, false, &mut commands, depth)?;
        }
        let commands: Vec<Simple> = commands.into_iter().filter(|inside| !inside.words.is_empty() || !inside.inner.is_empty()).collect();
        if !commands.is_empty() {
            simple.inner.push(commands);
        }
        word.text.push_str(text);
        word.fixed = false;
        Ok(())
    }

    /// A word of several pieces, between whose nodes there may be text. `quotes` is how many bytes of quotes stand at either end.
    fn pieces(&mut self, node: Node<'_>, quotes: usize, word: &mut Word, simple: &mut Simple, depth: usize) -> Result<(), TooDeep> {
        let end = node.end_byte().saturating_sub(quotes);
        let mut at = node.start_byte() + quotes;
        let line = self.line;
        let between = |from: usize, to: usize, word: &mut Word| {
            let text = line.get(from..to).unwrap_or_default();
            if quotes > 0 { quoted(text, &mut word.text) } else { unquoted(text.trim_start_matches('$'), word) }
        };
        for child in children(node) {
            if child.start_byte() > at {
                between(at, child.start_byte(), word);
            }
            if child.kind() == "string_content" {
                quoted(self.text(child), &mut word.text)
            } else {
                self.part(child, word, simple, depth)?
            }
            at = child.end_byte().max(at);
        }
        if at < end {
            between(at, end, word);
        }
        Ok(())
    }
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).collect()
}

fn is_word(kind: &str) -> bool {
    matches!(
        kind,
        "word"
            | "string"
            | "raw_string"
            | "ansi_c_string"
            | "translated_string"
            | "concatenation"
            | "simple_expansion"
            | "expansion"
            | "number"
            | "command_substitution"
            | "process_substitution"
            | "arithmetic_expansion"
            | "brace_expression"
    )
}

/// Text outside quotes: a backslash takes the next letter as it is.
fn unquoted(text: &str, word: &mut Word) {
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
fn quoted(text: &str, out: &mut String) {
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
fn ansi(text: &str, out: &mut String) {
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
