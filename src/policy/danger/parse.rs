//! A line of bash as bash reads it: parsed by its grammar, then cut into simple commands whose words are what the programs would be given.
//!
//! Quotes, escapes and `$'…'` are undone, braces are expanded, variables that the line itself sets to a constant are put in. What only
//! running the line would tell stays as it is written, and the word is not [`fixed`](Word::fixed).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Node, ParseOptions, Parser, Tree};

use super::quotes::{ansi, between_backticks, ends_early, quoted, unquoted, words};

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
/// Bytes of a line: Linux hands over no argument that is longer.
const LONGEST: usize = 128 << 10;
/// Commands that are joined by `|` or `||`: reading them takes time by the square of how many they are.
const PIPES: usize = 400;
/// So long a line is read at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes a line apart. What the grammar does not know is taken for words of a command.
pub(super) fn parse(line: &str) -> Result<Parsed, TooDeep> {
    // A line that is carried on is one line, whatever the grammar makes of it.
    let joined = line.replace("\\\n", "");
    taken_apart(&joined, 0, DEEPEST)
}

fn taken_apart(line: &str, nested: usize, depth: usize) -> Result<Parsed, TooDeep> {
    let nothing = Parsed { whole: true, ..Parsed::default() };
    if line.trim().is_empty() {
        return Ok(nothing);
    }
    let tree = tree(line)?;
    let mut reader = Reader { line, variables: HashMap::new(), parsed: nothing, nested };
    reader.parsed.whole = !tree.root_node().has_error();
    let commands = reader.statements(tree.root_node(), false, depth)?;
    Ok(Parsed { commands, ..reader.parsed })
}

/// The syntax tree of a line.
pub(super) fn tree(line: &str) -> Result<Tree, TooDeep> {
    let mut parser = Parser::new();
    if parser.set_language(&tree_sitter_bash::LANGUAGE.into()).is_err() {
        return Err(TooDeep);
    }
    if line.len() > LONGEST || pipes(line) > PIPES {
        return Err(TooDeep);
    }
    // The parser asks after each hundred steps. What has no end in it is given up after a while: some steps cost more than others.
    let (mut left, begun) = (20_000 + line.len(), Instant::now());
    let mut goes_on = |_: &tree_sitter::ParseState| {
        left = left.saturating_sub(1);
        if left == 0 || begun.elapsed() > PATIENCE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let bytes = line.as_bytes();
    let options = ParseOptions::new().progress_callback(&mut goes_on);
    parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options)).ok_or(TooDeep)
}

/// The most `|` outside of quotes in one line of the text.
fn pipes(line: &str) -> usize {
    let (mut most, mut here, mut quote) = (0, 0, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '\n') => here = 0,
            (None, '|') => here += 1,
            (None, _) => {}
        }
        most = most.max(here);
    }
    most
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
        let text = self.text(node);
        if text.starts_with('`') && text.contains('\\') {
            let mut inside = taken_apart(&between_backticks(text), self.nested, depth)?;
            self.parsed.whole &= inside.whole;
            self.parsed.functions.append(&mut inside.functions);
            self.nested -= 1;
            return Ok(inside.commands);
        }
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
        simple.words.extend(words(&word));
        Ok(())
    }

    fn part(&mut self, node: Node<'_>, word: &mut Word, simple: &mut Simple, depth: usize) -> Result<(), TooDeep> {
        let depth = depth.checked_sub(1).ok_or(TooDeep)?;
        let text = self.text(node);
        match node.kind() {
            "word" | "number" if node.named_child_count() == 0 => unquoted(text, word),
            "raw_string" => word.text.push_str(text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text)),
            "ansi_c_string" => {
                let inside = text.strip_prefix("$'").and_then(|text| text.strip_suffix('\'')).unwrap_or(text);
                self.parsed.whole &= !ends_early(inside);
                ansi(inside, &mut word.text);
            }
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
