//! The parameters of a run, as they are given on the command line.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value};

use super::{exit, print};

/// `name=value`: the value is JSON where it reads as such, else text.
pub(super) fn pair(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    if name.is_empty() {
        return Err("the name before `=` is missing".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

/// All parameters: those of the file, and over them those that were named one by one.
pub(super) fn all(file: Option<&Path>, pairs: Vec<(String, Value)>) -> Result<Map<String, Value>, ExitCode> {
    let mut parameters = Map::new();
    if let Some(path) = file {
        let text = print::read(path)?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => parameters = object,
            Ok(_) => {
                print::complaint(&format!("{} holds no JSON object: parameters have names", path.display()));
                return Err(exit::DATA.into());
            }
            Err(error) => return Err(print::broken_json(path, &text, &error)),
        }
    }
    parameters.extend(pairs);
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_json_where_it_reads_as_such_and_text_otherwise() {
        assert_eq!(pair("n=4711"), Ok(("n".to_owned(), json!(4711))));
        assert_eq!(pair("t=Grüße, a=b"), Ok(("t".to_owned(), json!("Grüße, a=b"))));
        assert_eq!(pair("l=[1, 2]"), Ok(("l".to_owned(), json!([1, 2]))));
        assert_eq!(pair("e="), Ok(("e".to_owned(), json!(""))));
        assert_eq!(pair("s=\"12\""), Ok(("s".to_owned(), json!("12"))));
        assert!(pair("alone").is_err());
        assert!(pair("=1").is_err());
    }
}
