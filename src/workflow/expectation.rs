//! What every node may have in `data.settings.expect`.

use serde_json::{Value, json};

use super::template::has_expression;

/// What must be named, one of them.
const WHAT: [&str; 7] = ["text", "regex", "image", "pixel", "window", "file", "change"];

/// What says where to look, and what says which text.
const PLACE: [&str; 7] = ["zone", "in_window", "monitor", "x", "y", "width", "height"];
const WHICH: [&str; 8] = ["occurrence", "near", "right_of", "left_of", "above", "below", "language", "engine"];

/// What is wrong with one beside its shape: the field, or none, and a sentence.
pub fn fault_of_expectation(expectation: &Value) -> Option<(String, String)> {
    let given = |field: &str| expectation.get(field).is_some_and(|value| !is_left_out(value));
    let named: Vec<&str> = WHAT.into_iter().filter(|what| given(what)).collect();
    let [what] = named[..] else { return Some((String::new(), format!("say what is expected, by one of {}", WHAT.join(", ")))) };
    let useless = expectation.as_object()?.iter().find(|(field, value)| !is_left_out(value) && !goes_with(what, field));
    if let Some((field, _)) = useless {
        return Some((field.clone(), format!("it says nothing about what is expected, {what}: leave it out")));
    }
    let count = |fields: &[&str]| fields.iter().filter(|field| given(field)).count();
    if !matches!(count(&["x", "y", "width", "height"]), 0 | 4) {
        return Some(("x".to_owned(), "a part needs x, y, width and height together".to_owned()));
    }
    (count(&["zone", "in_window", "monitor"]) > 1).then(|| ("zone".to_owned(), "give zone, in_window or monitor, one of them".to_owned()))
}

/// The field of one in which there is an expression.
pub(super) fn expression(expectation: &Value) -> Option<&str> {
    let is_one = |value: &Value| value.as_str().is_some_and(has_expression);
    expectation.as_object()?.iter().find(|(_, value)| is_one(value)).map(|(field, _)| field.as_str())
}

fn is_left_out(value: &Value) -> bool {
    value.is_null() || *value == Value::Bool(false) || value.as_array().is_some_and(Vec::is_empty)
}

/// Whether a field means anything where that is expected. What is no field at all is the schema's business.
fn goes_with(what: &str, field: &str) -> bool {
    match field {
        "gone" => what != "change",
        "min_score" => matches!(what, "text" | "image"),
        "match_case" => what == "text",
        "occurrence" if what == "image" => true,
        "scales" => what == "image",
        _ if PLACE.contains(&field) => matches!(what, "text" | "regex" | "image" | "change"),
        _ if WHICH.contains(&field) => matches!(what, "text" | "regex"),
        _ => true,
    }
}

/// What is to be so once the node has done its work.
pub(super) fn schema() -> Value {
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "text": { "type": "string", "minLength": 1, "maxLength": 200, "description": "a text is on the screen" },
            "regex": { "type": "string", "minLength": 1, "maxLength": 1000, "description": "a part of a line on the screen fits it" },
            "image": { "type": "string", "minLength": 1, "maxLength": 4096, "description": "the picture in this file is on the screen" },
            "pixel": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "x": { "type": "integer" },
                    "y": { "type": "integer" },
                    "colour": { "type": "string", "pattern": "^#[0-9A-Fa-f]{6}$" },
                    "tolerance": { "type": "integer", "minimum": 0, "maximum": 255 },
                },
                "required": ["x", "y", "colour"],
            },
            "window": { "type": "string", "minLength": 1, "description": "a window with this in its title is there" },
            "file": { "type": "string", "minLength": 1, "maxLength": 4096, "description": "this file is there" },
            "change": { "type": "boolean", "description": "the screen shows something else than before" },
            "gone": { "type": "boolean", "description": "it is not so, instead" },
            "within": { "type": "number", "minimum": 0, "maximum": 86400, "description": "seconds in which it becomes so" },
            "min_score": { "type": "number", "minimum": 0, "maximum": 1 },
            "match_case": { "type": "boolean", "description": "capital and small letters of the text differ" },
            "occurrence": { "type": "integer", "minimum": 1, "maximum": 10000, "description": "which of several texts or pictures" },
            "near": text_beside("near"),
            "right_of": text_beside("to the right of"),
            "left_of": text_beside("to the left of"),
            "above": text_beside("above"),
            "below": text_beside("below"),
            "language": { "type": "string", "minLength": 1, "maxLength": 200, "description": "language of the text" },
            "engine": { "enum": ["tesseract", "onnx", "easyocr", "auto"], "description": "what reads the text" },
            "scales": {
                "type": "array",
                "maxItems": 16,
                "items": { "type": "number", "minimum": 0.1, "maximum": 10 },
                "description": "the sizes in which the picture is looked for",
            },
            "zone": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "description": "look at the zone of this name" },
            "in_window": { "type": "string", "minLength": 1, "description": "look at the window with this in its title" },
            "monitor": { "type": "integer", "minimum": 0 },
            "x": { "type": "integer" },
            "y": { "type": "integer" },
            "width": { "type": "integer", "minimum": 1 },
            "height": { "type": "integer", "minimum": 1 },
        },
    })
}

fn text_beside(how: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 200, "description": format!("the text stands {how} this one") })
}
