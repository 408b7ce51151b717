//! What tells a repeated call of a webhook: a place in the call, or several, and texts between them.

use serde_json::Value;

/// Where in a webhook's event its key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupeKey(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The steps from the event to the value.
    Place(Vec<String>),
}

impl DedupeKey {
    /// Reads `input.headers["x-delivery-id"]`, `input.body.order.id + "/" + input.body.version`, or a JSON Pointer such as `/body/id`.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} names no place in the request: write one like input.body.id, input.headers[\"x-delivery-id\"] or /body/id; `+` joins several"
            )
        };
        let trimmed = text.trim();
        let trimmed = trimmed.strip_prefix("{{").and_then(|inner| inner.strip_suffix("}}")).map_or(trimmed, str::trim);
        if trimmed.len() > 1024 {
            return Err(wrong());
        }
        if let Some(pointer) = trimmed.strip_prefix('/') {
            let steps = pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
            return Ok(Self(vec![Part::Place(steps)]));
        }
        let mut rest = trimmed;
        let mut parts = Vec::new();
        loop {
            let (part, behind) = part(rest).ok_or_else(wrong)?;
            parts.push(part);
            rest = behind.trim_start();
            if rest.is_empty() {
                break;
            }
            rest = rest.strip_prefix('+').ok_or_else(wrong)?.trim_start();
        }
        if parts.iter().any(|part| matches!(part, Part::Place(_))) { Ok(Self(parts)) } else { Err(wrong()) }
    }

    /// The key of one event; none where it lacks any of it.
    pub fn of(&self, event: &Value) -> Option<String> {
        let mut key = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Place(steps) => match steps.iter().try_fold(event, |value, step| step_into(value, step))? {
                    Value::Null => return None,
                    Value::String(text) => key.push_str(text),
                    other => key.push_str(&other.to_string()),
                },
            }
        }
        Some(key)
    }
}

fn step_into<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match value {
        // Header fields are there in lower case, whatever their sender wrote.
        Value::Object(fields) => fields.get(step).or_else(|| fields.get(&step.to_lowercase())),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    }
}

/// A part at the beginning of `text`, and what is behind it.
fn part(text: &str) -> Option<(Part, &str)> {
    if text.starts_with('"') {
        let (quoted, rest) = quoted(text)?;
        return Some((Part::Text(quoted), rest));
    }
    let mut rest = text.strip_prefix("input")?;
    let mut steps = Vec::new();
    loop {
        if let Some(behind) = rest.strip_prefix('.') {
            let end = behind.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(behind.len());
            let (name, behind) = behind.split_at(end);
            if name.is_empty() {
                return None;
            }
            steps.push(name.to_owned());
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('[') {
            let behind = behind.trim_start();
            let (step, behind) = if behind.starts_with('"') {
                quoted(behind)?
            } else {
                let end = behind.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
                (behind[..end].to_owned(), &behind[end..])
            };
            steps.push(step);
            rest = behind.trim_start().strip_prefix(']')?;
        } else {
            break;
        }
    }
    if steps.is_empty() { None } else { Some((Part::Place(steps), rest)) }
}

/// A text in double quotes at the beginning of `text`.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((found, &text[at + 1..])),
            '\\' => found.push(characters.next().map(|(_, c)| c).filter(|c| matches!(c, '"' | '\\'))?),
            c => found.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_a_place_in_the_call() {
        let event = json!({ "headers": { "x-id": "abc" }, "body": { "id": 7, "lines": [{ "no": "a" }], "nothing": null }, "params": {} });
        for (text, key) in [
            ("input.body.id", Some("7")),
            ("{{ input.headers[\"X-Id\"] }}", Some("abc")),
            ("/body/lines/0/no", Some("a")),
            ("input.body.lines[0].no + \"/\" + input.body.id", Some("a/7")),
            ("input.body.nothing", None),
            ("input.body.missing", None),
            ("input.body.id + input.body.missing", None),
        ] {
            assert_eq!(DedupeKey::parse(text).unwrap().of(&event).as_deref(), key, "{text}");
        }
        for text in ["", "input", "body.id", "input.", "input[", "\"a\"", "input.body.id +", "input.body.id.to_string()", "input..a"] {
            assert!(DedupeKey::parse(text).is_err(), "{text}");
        }
    }
}
