//! Reads the sources for the laws: what is code in a file, without comments, texts and unit tests.

use std::path::{Path, PathBuf};

/// A file of the repository.
pub struct Source {
    /// Its path from the repository's root, with `/`.
    pub path: String,
    /// Its text as it stands.
    pub text: String,
    /// Its code: comments and the insides of texts blanked out, line for line, and without its unit tests.
    pub code: String,
}

impl Source {
    /// The room it belongs to: `src/api/door.rs` and `src/api.rs` are of `api`.
    pub fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    /// The file's name without folder.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether it holds nothing but tests.
    pub fn is_tests(&self) -> bool {
        self.name() == "tests.rs" || self.path.split('/').any(|part| part == "tests")
    }

    /// `path:line` of a byte of the code.
    pub fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.code[..at].matches('\n').count() + 1)
    }
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file's text.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path} must be there and readable: {error}"))
}

/// All files below `folder` that end in `.ending`, sorted.
pub fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let wanted = paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == ending));
    wanted
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = without_tests(&code_of(&text));
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            Source { path, text, code }
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, paths) } else { paths.push(path) }
    }
}

/// The text with comments and the insides of texts as spaces; line breaks stay where they are.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = raw_text(rest, code.chars().last()) {
            (length, false)
        } else if first == '"' {
            (plain_text(rest), false)
        } else if let Some(length) = character(rest) {
            (length, false)
        } else {
            (first.len_utf8(), true)
        };
        let (taken, left) = rest.split_at(length);
        if keep {
            code.push_str(taken);
        } else {
            code.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = left;
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn plain_text(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`: not the end of a longer name.
fn raw_text(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let inner = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    inner[hashes..].strip_prefix('"')?;
    let start = text.len() - inner.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// `'x'`, `'\n'`, `'\u{…}'`; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if inner.starts_with('\\') {
        let first = inner.char_indices().nth(2)?.0;
        return inner[first..].find('\'').map(|at| 1 + first + at + 1);
    }
    let (end, c) = inner.char_indices().nth(1)?;
    (c == '\'').then_some(1 + end + 1)
}

/// Unit tests stand at the end of a file.
fn without_tests(code: &str) -> String {
    let end = code.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|at| {
        let after = code[*at..].trim_start_matches("#[cfg(test)]").trim_start();
        after.starts_with("mod ") && after.find('{').is_some_and(|brace| after.find(';').is_none_or(|semicolon| brace < semicolon))
    });
    end.map_or(code, |end| &code[..end]).to_owned()
}

/// The places at which `word` stands as a whole name.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| !code[..*at].chars().next_back().is_some_and(part) && !code[at + word.len()..].chars().next().is_some_and(part))
}

/// What a file uses of its own crate: for `crate::screen::{Capture, Frame as F}` the room `screen` with `Capture` and `Frame`.
pub fn uses(code: &str) -> Vec<(usize, String, Vec<String>)> {
    let mut found = Vec::new();
    for at in words(code, "crate") {
        let Some(path) = code[at + "crate".len()..].strip_prefix("::") else { continue };
        // `pub(crate)` is no path, `$crate::` is one.
        for (room, names) in tree(path) {
            found.push((at, room, names));
        }
    }
    found
}

/// The first names of a `use` tree with what is taken of each.
fn tree(path: &str) -> Vec<(String, Vec<String>)> {
    if let Some(group) = path.strip_prefix('{') {
        return branches(group).iter().flat_map(|branch| tree(branch)).collect();
    }
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(rest) = path[name.len()..].strip_prefix("::") else { return vec![(name, Vec::new())] };
    let names = match rest.strip_prefix('{') {
        Some(group) => branches(group).iter().map(|branch| first_name(branch)).collect(),
        None => vec![first_name(rest)],
    };
    vec![(name, names)]
}

fn first_name(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The branches of `a, b::{c, d}, e}…`, up to the brace that closes them.
fn branches(group: &str) -> Vec<String> {
    let (mut depth, mut branches) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(String::new());
                continue;
            }
            _ => {}
        }
        branches.last_mut().unwrap().push(c);
    }
    branches.iter().map(|branch| branch.trim().to_owned()).filter(|branch| !branch.is_empty()).collect()
}

#[test]
fn comments_texts_and_tests_are_no_code() {
    let text = "// crate::a\nlet s = \"crate::b \\\" crate::c\"; /* crate::d /* */ crate::e */ let r = r#\"crate::f\"#; let c = '\"'; crate::g::H;\n#[cfg(test)]\nmod tests { use crate::i; }\n";
    let code = without_tests(&code_of(text));
    let used: Vec<_> = uses(&code).into_iter().map(|(_, room, names)| (room, names)).collect();
    assert_eq!(used, [("g".to_owned(), vec!["H".to_owned()])]);
    let used: Vec<_> = uses("use crate::{a, b::{C, d::E}, f::G as H};").into_iter().map(|(_, room, names)| (room, names)).collect();
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(used, [("a".into(), names(&[])), ("b".into(), names(&["C", "d"])), ("f".into(), names(&["G"]))]);
}
