//! `/api/health`: whether the server lives, how each of its parts is, and starting one anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::error::{Error, ErrorResponse, Result, now};
use super::extract::Path;
use super::state::blocking;
use super::success::SuccessResponse;
use crate::services::{Name, Overall, Report, Status};
use crate::system::Load;

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy`, `degraded` (an enabled service is failed) or `unhealthy` (nothing can run).
    #[schema(value_type = String, example = "healthy")]
    status: Overall,
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

/// How a part of the server is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "status": "running", "details": "12 scripts, 0 broken; 1 folder watched", "since": "2026-01-20T10:30:00Z", "restarts": 0 }))]
pub(crate) struct ServiceHealth {
    /// `running`, `stopped`, `disabled` or `failed`.
    #[schema(value_type = String)]
    status: Status,
    /// The same as a sentence, with the reason where it is down.
    details: String,
    /// Since when, RFC 3339 UTC.
    #[schema(format = DateTime)]
    since: String,
    /// How often it was started again.
    restarts: u32,
}

/// One part of the server, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamedService {
    /// Its name.
    #[schema(value_type = String, example = "scripts")]
    name: Name,
    #[serde(flatten)]
    health: ServiceHealth,
}

/// How busy the machine is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SystemInfo {
    /// All cores together, in percent.
    #[schema(example = 15.2)]
    cpu_usage: f64,
    /// In percent.
    #[schema(example = 45.8)]
    memory_usage: f64,
    /// Bytes in use.
    memory_used: u64,
    /// Bytes there are.
    memory_total: u64,
    /// Cores.
    cores: usize,
    /// `linux`, `windows`, `macos`.
    #[schema(example = "linux")]
    operating_system: String,
}

/// How the server and each of its parts are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetailedHealth {
    #[serde(flatten)]
    health: Health,
    /// By name: `live_desktop`, `click_automation`, `enhanced_ocr`, `node`, `graph_execution`, `n8n_integration`, `shell`, `snapshot`,
    /// `scripts`, `triggers`, `storage`, `proxmox`.
    services: BTreeMap<&'static str, ServiceHealth>,
    /// None where the machine does not tell.
    system_info: Option<SystemInfo>,
}

impl From<Report> for ServiceHealth {
    fn from(report: Report) -> Self {
        let since = DateTime::<Utc>::from(report.since).to_rfc3339_opts(SecondsFormat::Millis, true);
        Self { status: report.status, details: report.details, since, restarts: report.restarts }
    }
}

impl From<Load> for SystemInfo {
    fn from(load: Load) -> Self {
        Self {
            cpu_usage: load.cpu_percent,
            memory_usage: load.memory_percent,
            memory_used: load.memory_used,
            memory_total: load.memory_total,
            cores: load.cores,
            operating_system: load.operating_system,
        }
    }
}

fn bare(state: &super::State) -> Health {
    Health {
        status: state.services().overall(),
        timestamp: now(),
        version: env!("CARGO_PKG_VERSION"),
        uptime: state.started().elapsed().as_secs(),
    }
}

fn find(state: &super::State, name: &str) -> Result<(Name, Report)> {
    let found = Name::find(name).and_then(|found| Some((found, state.services().report(found)?)));
    found.ok_or_else(|| Error::not_found("service", name))
}

/// Whether the server lives. Open without a key.
#[utoipa::path(get, path = "/api/health/", tag = "health", operation_id = "health", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(state): State<super::State>) -> Json<Health> {
    Json(bare(&state))
}

/// How each part of the server is, and how busy the machine is.
#[utoipa::path(get, path = "/api/health/detailed", tag = "health", operation_id = "health_detailed", responses((status = 200, body = DetailedHealth)))]
pub(crate) async fn detailed(State(state): State<super::State>) -> Json<DetailedHealth> {
    let system = Arc::clone(state.system());
    let load = blocking(move || Ok(system.load()?)).await.ok();
    let services = state.services().reports().map(|(name, report)| (name.as_str(), report.into())).collect();
    Json(DetailedHealth { health: bare(&state), services, system_info: load.map(SystemInfo::from) })
}

/// How one part of the server is.
#[utoipa::path(get, path = "/api/health/service/{service_name}", tag = "health", operation_id = "health_service", params(("service_name" = String, Path, description = "Such as `scripts`")), responses((status = 200, body = NamedService), (status = 404, body = ErrorResponse)))]
pub(crate) async fn service(State(state): State<super::State>, Path(name): Path<String>) -> Result<Json<NamedService>> {
    let (name, report) = find(&state, &name)?;
    Ok(Json(NamedService { name, health: report.into() }))
}

/// Stops a part of the server and starts it again. Its streams and sessions end with a clear message; answers once it is up again.
#[utoipa::path(post, path = "/api/health/restart/{service_name}", tag = "health", operation_id = "health_restart", params(("service_name" = String, Path, description = "Such as `scripts`")), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 503, description = "It is switched off, or did not come up again", body = ErrorResponse)))]
pub(crate) async fn restart(State(state): State<super::State>, Path(name): Path<String>) -> Result<Json<SuccessResponse>> {
    let (name, _) = find(&state, &name)?;
    let report = state.services().restart(name).await?;
    // One that did not come up again is refused like any use of it, with the reason.
    state.enter(name)?;
    let data = json!({ "service": name, "status": report.status, "restarts": report.restarts });
    Ok(Json(SuccessResponse::new(format!("{} was restarted", name.as_str()), Some(data))))
}
