//! `/api/auth`: a key for a token.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{Error, ErrorResponse, Result};
use super::visit;
use crate::error::Kind;
use crate::keys::{Scope, TOKEN_SECONDS};

/// A token, to be sent as `Authorization: Bearer …` in place of the key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenResponse {
    /// The token: a JSON Web Token, signed with HS256.
    #[schema(example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.….…")]
    access_token: String,
    /// `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds until it is refused.
    #[schema(example = 900)]
    expires_in: i64,
    /// What it opens.
    scopes: Vec<Scope>,
}

/// Exchanges the key in the header for a token that is good for a quarter of an hour, or for as long as the key is not revoked.
#[utoipa::path(
    post,
    path = "/api/auth/token",
    tag = "keys",
    operation_id = "auth_token",
    responses((status = 200, body = TokenResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 409, body = ErrorResponse))
)]
pub(crate) async fn token(State(state): State<super::State>) -> Result<Json<TokenResponse>> {
    let Some(known) = visit::caller().and_then(|caller| caller.known) else {
        return Err(Error::new(
            Kind::Conflict,
            "this server wants no keys, so there is nothing to exchange: API_KEY_ENABLED=true turns them on",
        ));
    };
    // Otherwise one that was stolen would be good for ever.
    if known.by_token {
        return Err(Error::new(Kind::PermissionDenied, "a token is not exchanged for another: send the key itself"));
    }
    let access_token = state.keys().token(&known);
    Ok(Json(TokenResponse { access_token, token_type: "bearer", expires_in: TOKEN_SECONDS, scopes: known.scopes.iter().collect() }))
}
