//! `/openapi.json` and `/docs`: the description of all this, for programs and for people. Everything comes out of the binary.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::extensions::Extensions;
use utoipa_swagger_ui::Config;

use super::error::{Error, json_text};
use super::extract::Path;
use super::{router, secured};
use crate::config::Config as Settings;

/// The page; its parts have absolute paths, so that it works with and without a slash at the end.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TRAE API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/swagger-ui-standalone-preset.js"></script>
<script src="/docs/swagger-initializer.js"></script>
</body>
</html>
"#;

static VIEWER: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/openapi.json")));

/// The OpenAPI 3.1 description of every path.
#[utoipa::path(get, path = "/openapi.json", tag = "docs", operation_id = "openapi", responses((status = 200, body = Object)))]
pub(crate) async fn openapi_json(State(state): State<super::State>) -> Response {
    json_text(StatusCode::OK, state.description(|| describe(state.config())))
}

/// What this server says of itself: under its own name, and with what it asks of callers.
fn describe(config: &Settings) -> String {
    let mut description = router::openapi();
    if config.security.api_key_enabled {
        secured::complete(&mut description);
    }
    description.info.title.clone_from(&config.application.name);
    let label = Extensions::builder().add("x-environment", config.application.environment.clone()).build();
    description.info.extensions = Some(label);
    description.to_json().unwrap_or_default()
}

/// The same, to be read and tried in a browser.
#[utoipa::path(get, path = "/docs", tag = "docs", operation_id = "docs", responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn page() -> Html<&'static str> {
    Html(PAGE)
}

/// A part of that page.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "docs",
    operation_id = "docs_file",
    params(("file" = String, Path, description = "Such as `swagger-ui.css`")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = super::error::ErrorResponse))
)]
pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, Error> {
    let found = utoipa_swagger_ui::serve(&name, Arc::clone(&VIEWER)).ok().flatten();
    let Some(file) = found else {
        return Err(Error::not_found("file", &name));
    };
    let kind = HeaderValue::from_str(&file.content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut headers: Vec<(HeaderName, HeaderValue)> = vec![(CONTENT_TYPE, kind), (CACHE_CONTROL, HeaderValue::from_static("max-age=3600"))];
    if file.gzpipped {
        headers.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    }
    let mut response = file.bytes.into_owned().into_response();
    response.headers_mut().extend(headers);
    Ok(response)
}
