//! From what a server sent to the words of a caller.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use url::Url;

use super::{Error, Response};

/// Bytes of a body that are read at most, unpacked.
const LARGEST: usize = 10 * 1024 * 1024;

pub(super) async fn read(url: &Url, mut answer: reqwest::Response) -> Result<Response, Error> {
    let mut bytes = Vec::new();
    // Piece by piece: a length may be missing or wrong, and a small packed body may unpack to a huge one.
    while let Some(piece) = answer.chunk().await.map_err(|error| Error::from_exchange(url, &error))? {
        if bytes.len() + piece.len() > LARGEST {
            return Err(Error::TooLarge { host: super::host(url) });
        }
        bytes.extend_from_slice(&piece);
    }
    let body = parsed(answer.headers(), &bytes).unwrap_or_else(|| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Ok(Response { status: answer.status().as_u16(), headers: fields(answer.headers()), body })
}

fn parsed(headers: &HeaderMap, bytes: &[u8]) -> Option<Value> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
    if kind == "application/json" || kind == "text/json" || kind.ends_with("+json") { serde_json::from_slice(bytes).ok() } else { None }
}

fn fields(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        fields
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    fields
}
