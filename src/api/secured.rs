//! What the description says of keys: how they are sent, and which scope each operation asks for.

use axum::http::Method;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

use super::access::{Need, row};

/// The names of the ways to send one.
const WAYS: [&str; 2] = ["bearer", "api_key"];

/// Adds the ways to send a key, and to each operation what it needs.
pub(super) fn complete(description: &mut OpenApi) {
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A key, or a token from POST /api/auth/token. WebSockets of browsers send it as the subprotocol `bearer.<key>`."))
        .build();
    let api_key = ApiKeyValue::with_description("X-API-Key", "A key: `trae keys create --name N --scope read`.");
    let components = description.components.get_or_insert_default();
    components.security_schemes.insert(WAYS[0].to_owned(), RefOr::T(SecurityScheme::Http(bearer)));
    components.security_schemes.insert(WAYS[1].to_owned(), RefOr::T(SecurityScheme::ApiKey(ApiKey::Header(api_key))));
    for (path, item) in &mut description.paths.paths {
        let PathItem { get, put, post, delete, patch, .. } = item;
        let operations = [(get, Method::GET), (put, Method::PUT), (post, Method::POST), (delete, Method::DELETE), (patch, Method::PATCH)];
        for (operation, method) in operations {
            let Some(operation) = operation else { continue };
            let scopes: Vec<&str> = match row(&method, path) {
                Some(Need::Open) => {
                    operation.security = Some(Vec::new());
                    continue;
                }
                Some(Need::Scope(scope)) => vec![scope.as_str()],
                Some(Need::Key) | None => Vec::new(),
            };
            operation.security = Some(WAYS.map(|way| SecurityRequirement::new(way, scopes.clone())).to_vec());
        }
    }
}
