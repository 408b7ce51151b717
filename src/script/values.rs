//! Values between the language and JSON.

use rhai::{Dynamic, EvalAltResult, Map, Position};
use serde::de::DeserializeOwned;

use crate::error::{Failure, Kind};
use crate::host::protocol::Json;

/// What a host function gives back.
pub(super) type Returned<T> = Result<T, Box<EvalAltResult>>;

/// Raises `failure` at `position`, as an error that a script can catch: a map of `code`, `message` and `details`.
pub(super) fn raise(failure: Failure, position: Position) -> Box<EvalAltResult> {
    let mut map = Map::new();
    map.insert("code".into(), failure.code.code().into());
    map.insert("message".into(), failure.message.into());
    if let Some(details) = failure.details {
        map.insert("details".into(), rhai::serde::to_dynamic(details).unwrap_or(Dynamic::UNIT));
    }
    Box::new(EvalAltResult::ErrorRuntime(map.into(), position))
}

/// A value of the language as JSON text.
pub(super) fn to_json(value: &Dynamic) -> Result<Json, Failure> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Failure::new(Kind::ValidationError, format!("this value cannot be written as JSON: {error}")))
}

/// JSON text as a value of the language.
pub(super) fn from_json(json: &serde_json::value::RawValue) -> Result<Dynamic, Failure> {
    serde_json::from_str(json.get()).map_err(|error| Failure::new(Kind::ValidationError, format!("this is not JSON: {error}")))
}

/// A map that a script gave, as the room's own words.
pub(super) fn read<T: DeserializeOwned>(options: Map) -> Result<T, Failure> {
    let value = Dynamic::from_map(options);
    // By way of JSON, so that a script hears of a wrong field in the same words as a caller of the API.
    let json = to_json(&value)?;
    serde_json::from_str(json.get()).map_err(|error| {
        let text = error.to_string();
        let sentence = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Failure::new(Kind::ValidationError, sentence)
    })
}
