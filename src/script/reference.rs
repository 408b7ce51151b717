//! The reference of the language's functions, harvested from their own documentation.

use serde::Serialize;
use serde_json::Value;

use super::engine::{Stdlib, engine};
use crate::host::protocol::Limits;
use crate::policy::Permissions;

/// One namespace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Namespace {
    /// Its name; empty for what is called without one.
    pub name: String,
    /// Its functions, by name.
    pub functions: Vec<Function>,
}

/// One function, with one way of calling it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// How it is called, such as `mouse::click(x, y)`.
    pub signature: String,
    /// What it does, with its example.
    pub documentation: String,
    /// The code of its examples.
    pub examples: Vec<String>,
}

/// Every function a script can have, in alphabetical order.
pub fn reference() -> Vec<Namespace> {
    // The library comes with the binary; one that does not compile leaves a reference without it, which its tests find.
    let Ok(engine) = engine(&Limits::default(), &Permissions::all(), &Stdlib::load()) else { return Vec::new() };
    let metadata: Value = engine.gen_fn_metadata_to_json(false).ok().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let mut namespaces = vec![namespace("", &metadata)];
    if let Some(modules) = metadata.get("modules").and_then(Value::as_object) {
        namespaces.extend(modules.iter().map(|(name, module)| namespace(name, module)));
    }
    namespaces.retain(|namespace| !namespace.functions.is_empty());
    namespaces.sort_by(|a, b| a.name.cmp(&b.name));
    namespaces
}

/// The same as a Markdown page, behind what a header may say.
pub fn markdown() -> String {
    let mut page = format!("{}# Functions of a script\n", include_str!("header.md"));
    for namespace in reference() {
        let title = if namespace.name.is_empty() { "Without a namespace" } else { &namespace.name };
        page.push_str(&format!("\n## {title}\n"));
        for function in &namespace.functions {
            page.push_str(&format!("\n### `{}`\n\n{}\n", function.signature, function.documentation));
        }
    }
    page
}

fn namespace(name: &str, metadata: &Value) -> Namespace {
    let functions = metadata.get("functions").and_then(Value::as_array).into_iter().flatten();
    let mut functions: Vec<_> = functions.filter_map(|entry| function(name, entry)).collect();
    functions.sort_by(|a, b| (&a.name, &a.signature).cmp(&(&b.name, &b.signature)));
    Namespace { name: name.to_owned(), functions }
}

/// A function's entry; those without documentation are the engine's own, or getters that belong to a type.
fn function(namespace: &str, entry: &Value) -> Option<Function> {
    let name = entry.get("name")?.as_str()?;
    let comments = entry.get("docComments")?.as_array()?;
    let lines = comments.iter().filter_map(Value::as_str).flat_map(str::lines).map(|line| {
        let text = line.trim_start().trim_start_matches("///");
        text.strip_prefix(' ').unwrap_or(text).to_owned()
    });
    let documentation = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
    if documentation.is_empty() {
        return None;
    }
    let parameters = entry.get("params").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<_> = parameters.filter_map(|p| p.get("name")?.as_str()).filter(|name| *name != "context").collect();
    // What belongs to a type takes its value first.
    let value = names.first().filter(|first| namespace.is_empty() && matches!(**first, "image" | "session"));
    let call = match (name.strip_prefix("get$"), value) {
        (Some(property), value) => format!("{}.{property}", value.unwrap_or(&"image")),
        (None, Some(value)) => format!("{value}.{name}({})", names.get(1..)?.join(", ")),
        (None, None) if namespace.is_empty() => format!("{name}({})", names.join(", ")),
        (None, None) => format!("{namespace}::{name}({})", names.join(", ")),
    };
    let examples = documentation.split("```rhai\n").skip(1).filter_map(|part| part.split("```").next()).map(str::to_owned).collect();
    Some(Function { name: name.trim_start_matches("get$").to_owned(), signature: call, documentation, examples })
}
