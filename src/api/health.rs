//! `/api/health`: whether the server lives.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::now;

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy`, `degraded` (an enabled service is failed) or `unhealthy` (nothing can run).
    #[schema(example = "healthy")]
    status: &'static str,
    /// Now, RFC 3339 UTC.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Of TRAE.
    #[schema(example = "1.0.0")]
    version: &'static str,
    /// Whole seconds since it started.
    #[schema(example = 3600)]
    uptime: u64,
}

/// Whether the server lives. Open without a key.
#[utoipa::path(get, path = "/api/health/", tag = "health", operation_id = "health", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(state): State<super::State>) -> Json<Health> {
    Json(Health { status: "healthy", timestamp: now(), version: env!("CARGO_PKG_VERSION"), uptime: state.started().elapsed().as_secs() })
}
