//! What every node may have in `data.settings.expect`.

use serde_json::{Value, json};

/// What must be named, one of them.
const WHAT: [&str; 7] = ["text", "regex", "image", "pixel", "window", "file", "change"];

/// What is wrong with one beside its shape.
pub(super) fn fault(expectation: &Value) -> Option<String> {
    let fields = expectation.as_object()?;
    let named = WHAT.iter().filter(|what| fields.get(**what).is_some_and(|value| *value != Value::Bool(false))).count();
    (named != 1).then(|| format!("say what is expected, by one of {}", WHAT.join(", ")))
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
