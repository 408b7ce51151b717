//! Which lines of bash mean to bash for certain what they mean to the grammar.
//!
//! The grammar is not bash: it forgives what bash takes otherwise, and where the two differ a line could name one command and start
//! another. So this names the forms in which they agree, and takes nothing else: no variable is set, no text is evaluated a second time.

use tree_sitter::{Node, TreeCursor};

use super::parse::tree;

/// The forms. Left out, among others: here-documents (where they end), `$'…'` and backticks (their escapes), arithmetic, `[[ … ]]` and
/// `${x@P}` (they evaluate text), assignments, `for`, `case` and functions (they change what later words mean).
const KINDS: &[&str] = &[
    "program",
    "list",
    "pipeline",
    "command",
    "command_name",
    "compound_statement",
    "subshell",
    "negated_command",
    "if_statement",
    "elif_clause",
    "else_clause",
    "while_statement",
    "do_group",
    "redirected_statement",
    "file_redirect",
    "file_descriptor",
    "herestring_redirect",
    "word",
    "number",
    "string",
    "string_content",
    "raw_string",
    "concatenation",
    "simple_expansion",
    "expansion",
    "variable_name",
    "special_variable_name",
    "command_substitution",
    "process_substitution",
    "comment",
];

/// Whether a line has only such forms.
pub(super) fn certain(line: &str) -> bool {
    // What is neither a letter nor a blank to both of them.
    if line.chars().any(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || (c.is_whitespace() && !c.is_ascii())) || line.contains("\\\n")
    {
        return false;
    }
    if line.trim().is_empty() {
        return true;
    }
    let Ok(tree) = tree(line) else { return false };
    if tree.root_node().has_error() {
        return false;
    }
    let (mut cursor, mut read) = (tree.walk(), 0);
    loop {
        let node = cursor.node();
        if !agreed(node, line) {
            return false;
        }
        if node.child_count() == 0 {
            // Nothing but blanks was passed over.
            if !line.get(read..node.start_byte()).is_none_or(|between| between.trim().is_empty()) {
                return false;
            }
            read = read.max(node.end_byte());
        }
        if !next(&mut cursor) {
            return line.get(read..).is_some_and(|rest| rest.trim().is_empty());
        }
    }
}

/// One node, without what is in it.
fn agreed(node: Node<'_>, line: &str) -> bool {
    let text = line.get(node.byte_range()).unwrap_or_default();
    if node.is_missing() || (node.is_named() && !KINDS.contains(&node.kind())) {
        return false;
    }
    match node.kind() {
        // `x#y` is a word.
        "comment" => {
            line.get(..node.start_byte()).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t', '\n', ';', '&', '|', '(']))
        }
        // `${x}` alone.
        "expansion" => text
            .strip_prefix("${")
            .and_then(|text| text.strip_suffix('}'))
            .is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')),
        // Two brackets are arithmetic to one shell and two subshells to another.
        "command_substitution" => text.starts_with("$(") && !text.starts_with("$(("),
        "subshell" => !text.starts_with("(("),
        // `{}` and `{a` are words.
        "compound_statement" => text.strip_prefix('{').is_some_and(|rest| rest.starts_with([' ', '\t', '\n'])),
        // By itself, outside of quotes, it is a letter like another, also of a program's name.
        "$" => node.parent().is_some_and(|parent| matches!(parent.kind(), "simple_expansion" | "string")),
        kind => node.is_named() || !kind.contains('`'),
    }
}

/// The next node in the order of the text.
fn next(cursor: &mut TreeCursor<'_>) -> bool {
    if cursor.goto_first_child() {
        return true;
    }
    loop {
        if cursor.goto_next_sibling() {
            return true;
        }
        if !cursor.goto_parent() {
            return false;
        }
    }
}
