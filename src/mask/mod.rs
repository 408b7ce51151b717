//! What must not be shown: the one place that knows which values are secret, and the last that texts pass before they are kept or sent.
//!
//! The secrets of a process are known to all of it ([`learn`]), so that no room can forget to ask the right one. Once learnt, a value
//! stays masked until the process ends, also where it was replaced or removed: it may still be on its way through a run. Found is a
//! value as it is, in base64, percent-encoded, with JSON's escapes, and broken over lines ([`view`]); what a program makes of it by
//! other means (reversed, encrypted, letter by letter) is not. While nothing is secret, all of this costs one look at a flag.

mod known;
mod view;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use serde_json::value::RawValue;

use known::Known;

/// What stands in place of a secret.
pub const MASK: &str = "***";
/// Bytes of the shortest secret: one that is shorter would mask half of what is written.
pub const SHORTEST: usize = 6;

/// Whether anything is secret.
static ANY: AtomicBool = AtomicBool::new(false);
static KNOWN: RwLock<Option<Arc<Known>>> = RwLock::new(None);

/// From now on these are masked. Those shorter than [`SHORTEST`] are not.
pub fn learn<'a>(secrets: impl IntoIterator<Item = &'a str>) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let new: Vec<&str> =
        secrets.into_iter().filter(|secret| secret.len() >= SHORTEST && known.as_ref().is_none_or(|known| !known.has(secret))).collect();
    if !new.is_empty() {
        *known = Some(Arc::new(Known::with(known.as_deref(), new)));
        ANY.store(true, Ordering::Release);
    }
}

fn known() -> Option<Arc<Known>> {
    if !ANY.load(Ordering::Acquire) {
        return None;
    }
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The text, with [`MASK`] in place of each secret.
pub fn text(text: &str) -> Cow<'_, str> {
    known().map_or(Cow::Borrowed(text), |known| known.text(text))
}

/// The same, for a text that is owned.
pub fn string(text: String) -> String {
    match known().and_then(|known| known.masked(&text)) {
        Some(masked) => masked,
        None => text,
    }
}

/// JSON text, with its texts, names and numbers masked; it stays JSON.
pub fn json(json: Box<RawValue>) -> Box<RawValue> {
    known().and_then(|known| known.json(json.get())).unwrap_or(json)
}

/// The same, for JSON that is one's own to change.
pub fn value(value: &mut Value) {
    if let Some(known) = known() {
        known.value(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_is_masked_everywhere_from_then_on() {
        assert_eq!(text("nothing is secret yet: hunter2"), "nothing is secret yet: hunter2");
        learn(["hunter2", "short"]);
        assert_eq!(text("a hunter2 b"), "a *** b");
        assert_eq!(text("short"), "short", "what is too short to be told from anything else is not masked");
        learn(["another-one"]);
        assert_eq!(string("hunter2, another-one".to_owned()), "***, ***");
        let raw = RawValue::from_string(r#"{"a":["hunter2",1]}"#.to_owned()).unwrap();
        assert_eq!(json(raw).get(), r#"{"a":["***",1]}"#);
    }
}
