//! Configs against their schemas: sentences for people, and expressions exempt from what only a value can be checked for.

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::{Map, Value};

use super::template::has_expression;

/// Something in a config that its schema does not accept.
pub(super) struct Fault {
    /// JSON Pointer within the config.
    pub(super) path: String,
    pub(super) message: String,
}

/// A validator for `schema`.
pub(super) fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::draft202012::new(schema).map_err(|error| format!("config is not a valid JSON Schema at {}: {error}", error.instance_path()))
}

/// Everything in `config` that its schema does not accept.
pub(super) fn faults(validator: &Validator, schema: &Value, config: &Map<String, Value>) -> Vec<Fault> {
    let instance = Value::Object(config.clone());
    let mut faults = Vec::new();
    for error in validator.iter_errors(&instance) {
        let path = error.instance_path().to_string();
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let known = names_at(schema, &path);
                faults.extend(
                    unexpected.iter().map(|field| Fault { path: format!("{path}/{}", escaped(field)), message: unknown(field, &known) }),
                );
            }
            Kind::Required { property } => {
                let field = property.as_str().unwrap_or_default();
                let message = format!("the field `{field}` is missing{}", purpose(schema, &format!("{path}/{}", escaped(field))));
                faults.push(Fault { path: format!("{path}/{}", escaped(field)), message });
            }
            kind => {
                if is_exempt(schema, &path, error.instance(), kind) {
                    continue;
                }
                faults.push(Fault { message: sentence(kind, error.instance()).unwrap_or_else(|| shortened(&error.to_string())), path });
            }
        }
    }
    faults
}

/// Whether the value is only known when the run comes to it.
fn is_exempt(schema: &Value, path: &str, value: &Value, kind: &Kind) -> bool {
    match value {
        Value::String(text) => has_expression(text) || is_expression_at(schema, path),
        // One of several alternatives may fail for an expression deep inside.
        _ => {
            matches!(kind, Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } | Kind::Not { .. })
                && holds_expression(value)
        }
    }
}

fn holds_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => has_expression(text),
        Value::Array(items) => items.iter().any(holds_expression),
        Value::Object(fields) => fields.values().any(holds_expression),
        _ => false,
    }
}

fn sentence(kind: &Kind, value: &Value) -> Option<String> {
    let value = shortened(&value.to_string());
    Some(match kind {
        Kind::Type { kind: TypeKind::Single(wanted) } => {
            format!("{value} should be of type {wanted}, or a text with an {{{{ expression }}}}")
        }
        Kind::Enum { options } => format!("{value} is none of {}", shortened(&options.to_string())),
        Kind::Constant { expected_value } => format!("{value} should be {expected_value}"),
        Kind::Minimum { limit } => format!("{value} is below {limit}, the least there can be"),
        Kind::Maximum { limit } => format!("{value} is above {limit}, the most there can be"),
        Kind::ExclusiveMinimum { limit } => format!("{value} should be above {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("{value} should be below {limit}"),
        Kind::MinLength { limit: 1 } => "the text is empty".to_owned(),
        Kind::MinItems { limit } => format!("the list needs at least {limit} item(s)"),
        Kind::MaxItems { limit } => format!("the list may have at most {limit} items"),
        Kind::MaxLength { limit } => format!("the text may have at most {limit} characters"),
        Kind::Pattern { pattern } => format!("{value} does not match {pattern}"),
        _ => return None,
    })
}

fn unknown(field: &str, known: &[&str]) -> String {
    let field = shortened(field);
    match nearest(&field, known.iter().copied()) {
        Some(near) => format!("there is no field `{field}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no field `{field}`; this type has none"),
        None => format!("there is no field `{field}`; there are {}", listed(known.iter().copied())),
    }
}

fn purpose(schema: &Value, path: &str) -> String {
    let description = at(schema, path).and_then(|part| part["description"].as_str());
    description.map_or_else(String::new, |text| format!(": {}", text.trim_end_matches('.')))
}

fn names_at<'a>(schema: &'a Value, path: &str) -> Vec<&'a str> {
    let properties = at(schema, path).and_then(|part| part["properties"].as_object());
    properties.map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// The part of a schema that is about the value at `path`.
fn at<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').skip(1).try_fold(schema, |part, step| {
        let step = step.replace("~1", "/").replace("~0", "~");
        field(part, &step).or_else(|| items(part))
    })
}

/// The part of a schema that is about a field of an object.
pub(super) fn field<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema
        .get("properties")
        .and_then(|fields| fields.get(name))
        .or_else(|| schema.get("additionalProperties").filter(|part| part.is_object()))
}

/// The part of a schema that is about the items of a list.
pub(super) fn items(schema: &Value) -> Option<&Value> {
    schema.get("items")
}

/// Whether a text there is an expression, without braces.
pub(super) fn is_expression(schema: Option<&Value>) -> bool {
    schema.is_some_and(|part| part["expression"] == Value::Bool(true))
}

fn is_expression_at(schema: &Value, path: &str) -> bool {
    is_expression(at(schema, path))
}

/// A step of a JSON Pointer.
pub(super) fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// At most 80 characters, with nothing in them that a terminal would act on.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).map(|c| if super::literal::is_invisible(c) { '\u{FFFD}' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

/// Names in a sentence: `a`, `b` and `c`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().take(30).map(|name| format!("`{}`", shortened(name))).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The one of `names` that was probably meant.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let close = names.into_iter().map(|other| (distance(name, other), other)).min()?;
    (close.0 <= 1 + name.chars().count() / 4).then_some(close.1)
}

/// How many characters must be added, removed or changed.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
