//! What a graph needs: the permissions that its node types name, with their configs' values in them.

use serde_json::{Map, Value};

use super::node_type::NodeType;
use super::taint::call;
use super::template::{Piece, has_expression, split};
use crate::policy::Permissions;

/// What one node needs. An expression's value is not known yet, so it stands for anything that data may choose.
pub(super) fn of_node(node_type: &NodeType, config: &Map<String, Value>) -> Permissions {
    let mut needed = Permissions::default();
    let Value::Object(declared) = &node_type.permissions else { return needed };
    for (name, value) in declared {
        let on = value.as_bool().unwrap_or(false);
        let list = || -> Vec<String> {
            let entries = value.as_array().map_or(&[] as &[Value], Vec::as_slice).iter().filter_map(Value::as_str);
            entries.flat_map(|entry| resolve_all(entry, name, node_type, config)).collect()
        };
        match name.as_str() {
            "screen" => needed.screen |= on,
            "input" => needed.input |= on,
            "clipboard" => needed.clipboard |= on,
            "process" => needed.process |= on,
            "shell" => needed.shell.extend(list()),
            "http" => needed.http.extend(list()),
            "read" => needed.read.extend(list()),
            "write" => needed.write.extend(list()),
            "env" => needed.env.extend(list()),
            "secrets" => needed.secrets.extend(list()),
            "scripts" => needed.scripts.extend(list()),
            "workflows" => needed.workflows.extend(list()),
            _ => {}
        }
    }
    needed
}

/// What looking for what is expected of a node needs.
pub(super) fn of_expectation(expectation: Option<&Value>) -> Permissions {
    let mut needed = Permissions::default();
    let Some(expectation) = expectation.and_then(Value::as_object) else { return needed };
    let paths = ["image", "file"].into_iter().filter_map(|name| expectation.get(name)?.as_str());
    needed.read.extend(paths.map(|path| literal_glob(path.trim_start_matches("./"))));
    needed.screen = !expectation.contains_key("file");
    needed
}

/// What one entry comes to: for `config.a` whose value is a list of globs, all of them.
fn resolve_all(entry: &str, permission: &str, node_type: &NodeType, config: &Map<String, Value>) -> Vec<String> {
    let listed = entry.strip_prefix("config.").and_then(|path| lookup(config, path)).and_then(Value::as_array);
    match listed {
        Some(globs) => {
            if permission == "http" {
                // Data names no host.
                return globs.iter().filter_map(Value::as_str).filter(|host| !has_expression(host)).map(str::to_owned).collect();
            }
            let near = |glob: &str| {
                let glob = glob.trim_start_matches("./");
                if has_expression(glob) { around(glob, str::to_owned) } else { vec![glob.to_owned()] }
            };
            globs.iter().filter_map(Value::as_str).flat_map(near).collect()
        }
        None => resolve(entry, permission, node_type, config),
    }
}

/// What may be touched where an expression stands in a path: everything in the folder that is written down before it, and without one the
/// folder of files. Elsewhere only where the graph says that data is meant to choose.
fn around(path: &str, pattern: impl Fn(&str) -> String) -> Vec<String> {
    let pieces = split(path).unwrap_or_default();
    let folder = match pieces.first() {
        Some(Piece::Text(text)) => text.rfind('/').map(|at| &text[..=at]),
        _ => None,
    };
    let raw = |piece: &Piece<'_>| matches!(piece, Piece::Expression(expression, _) if call(expression, "raw").is_some());
    match folder {
        Some(folder) => vec![format!("{}**", pattern(folder))],
        None if pieces.first().is_some_and(raw) => vec!["**".to_owned()],
        None => vec!["[!/]*".to_owned(), "[!/]*/**".to_owned()],
    }
}

/// One entry: itself, or for `config.a ?? config.b` the first of these values that is there.
fn resolve(entry: &str, permission: &str, node_type: &NodeType, config: &Map<String, Value>) -> Vec<String> {
    if !entry.starts_with("config.") {
        return vec![entry.to_owned()];
    }
    let value = entry.split("??").find_map(|reference| {
        let path = reference.trim().strip_prefix("config.")?;
        lookup(config, path).or_else(|| node_type.schema.pointer(&format!("/properties/{path}/default")))
    });
    let Some(text) = value.and_then(Value::as_str) else { return Vec::new() };
    if permission == "http" {
        return host(text).into_iter().collect();
    }
    let is_path = matches!(permission, "read" | "write");
    let text = if is_path { text.trim_start_matches("./") } else { text };
    if !has_expression(text) {
        return vec![literal_glob(text)];
    }
    match permission {
        "read" | "write" => around(text, literal_glob),
        "scripts" => vec!["**".to_owned()],
        _ => vec!["*".to_owned()],
    }
}

fn lookup<'a>(config: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = config.get(parts.next()?)?;
    let found = parts.try_fold(first, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        // What an expression gives may be anything below it.
        Value::String(text) if has_expression(text) => Some(value),
        other => other.get(part),
    })?;
    (!found.is_null()).then_some(found)
}

/// The host of a URL, with its port where that is written down. An expression behind the host leaves it certain; one in it names none, as
/// data does not choose who is called, unless it says that it is meant so.
fn host(url: &str) -> Option<String> {
    let pieces = split(url).unwrap_or_default();
    let certain = match pieces.as_slice() {
        [Piece::Text(text)] => text.as_str(),
        [Piece::Text(text), ..] if ends_behind_host(text) => text.as_str(),
        pieces => return chosen(pieces).then(|| "*".to_owned()),
    };
    let url = url::Url::parse(certain).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(literal_glob(&url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))))
}

/// Whether all expressions up to the end of the host say that they are meant as they are.
fn chosen(pieces: &[Piece<'_>]) -> bool {
    let mut before = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => before.push_str(text),
            // What comes behind a whole host is a path.
            Piece::Expression(..) if ends_behind_host(&before) => return true,
            Piece::Expression(expression, _) if call(expression, "raw").is_none() => return false,
            Piece::Expression(..) => {}
        }
    }
    true
}

fn ends_behind_host(prefix: &str) -> bool {
    prefix.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']))
}

/// `text` as a pattern that matches nothing but itself.
fn literal_glob(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '?' | '[' | ']' | '{' | '}' => pattern.extend(['[', c, ']']),
            '\\' => pattern.push_str("\\\\"),
            c => pattern.push(c),
        }
    }
    pattern
}
