//! `/api/shell/processes`: what runs on the machine, and ending, stopping and continuing it.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract::{Json, Path};
use super::state::blocking;
use super::success::SuccessResponse;
use crate::services::Name;
use crate::system::{Action, Process};

/// What runs on the machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProcessesResponse {
    /// `true`.
    success: bool,
    /// By id; threads are not listed.
    processes: Vec<Process>,
    /// How many there are.
    count: usize,
}

/// A process.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "pid": 1234, "force": false }))]
pub(crate) struct ProcessActionRequest {
    /// Its id.
    #[schema(minimum = 1, maximum = 4294967295_u32)]
    pid: u32,
    /// To kill: end it at once rather than ask it to end.
    #[serde(default)]
    force: bool,
    /// All that it started as well, and all that these did. Where one of them is left alone, nothing happens to any.
    #[serde(default)]
    tree: bool,
    /// Its `start_time` in the list: with it, nothing happens to another process that got the same id meanwhile.
    #[serde(default)]
    start_time: Option<u64>,
}

/// What runs in a session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionProcessesResponse {
    /// `true`.
    success: bool,
    /// By id; `ppid` says which started which. The shell is among them.
    processes: Vec<Process>,
    /// How many there are.
    count: usize,
    /// All of them together, in percent of one core.
    cpu_percent: f64,
    /// All of them together, in percent of the machine's memory.
    memory_percent: f64,
}

/// What runs in a session, also in the background and wherever it went: the tree of its processes, and what they use.
#[utoipa::path(get, path = "/api/shell/sessions/{session_id}/processes", tag = "shell", operation_id = "shell_sessions_processes", params(("session_id" = String, Path)), responses((status = 200, body = SessionProcessesResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn of_session(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SessionProcessesResponse>> {
    state.enter(Name::Shell)?;
    state.grant().process(0)?;
    let (session, _) = super::session(&state, &id).await?;
    let pids = session.processes().await;
    let system = Arc::clone(state.system());
    let processes = blocking(move || Ok(system.some(&pids)?)).await?;
    let sum = |of: fn(&Process) -> f64| (processes.iter().map(of).sum::<f64>() * 100.0).round() / 100.0;
    let (cpu_percent, memory_percent) = (sum(|process| process.cpu_percent), sum(|process| process.memory_percent));
    Ok(Answer(SessionProcessesResponse { success: true, count: processes.len(), processes, cpu_percent, memory_percent }))
}

/// What runs on the machine, with its share of processor and memory.
#[utoipa::path(get, path = "/api/shell/processes", tag = "shell", operation_id = "shell_processes_list", responses((status = 200, body = ProcessesResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Answer<ProcessesResponse>> {
    state.enter(Name::Shell)?;
    state.grant().process(0)?;
    let system = Arc::clone(state.system());
    let processes = blocking(move || Ok(system.processes()?)).await?;
    Ok(Answer(ProcessesResponse { success: true, count: processes.len(), processes }))
}

/// Asks a process to end, or with `force` ends it at once.
#[utoipa::path(post, path = "/api/shell/processes/kill", tag = "shell", operation_id = "shell_processes_kill", request_body = ProcessActionRequest, responses((status = 200, body = SuccessResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn kill(State(state): State<super::State>, Json(request): Json<ProcessActionRequest>) -> Result<Answer<SuccessResponse>> {
    let force = request.force;
    let done = if force { "was ended" } else { "was asked to end" };
    act(&state, request, Action::Kill { force }, done).await
}

/// Stops a process where it is.
#[utoipa::path(post, path = "/api/shell/processes/suspend", tag = "shell", operation_id = "shell_processes_suspend", request_body = ProcessActionRequest, responses((status = 200, body = SuccessResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn suspend(
    State(state): State<super::State>,
    Json(request): Json<ProcessActionRequest>,
) -> Result<Answer<SuccessResponse>> {
    act(&state, request, Action::Suspend, "was stopped").await
}

/// Lets a process go on that was stopped.
#[utoipa::path(post, path = "/api/shell/processes/resume", tag = "shell", operation_id = "shell_processes_resume", request_body = ProcessActionRequest, responses((status = 200, body = SuccessResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn resume(
    State(state): State<super::State>,
    Json(request): Json<ProcessActionRequest>,
) -> Result<Answer<SuccessResponse>> {
    act(&state, request, Action::Resume, "was let go on").await
}

async fn act(state: &super::State, request: ProcessActionRequest, action: Action, done: &str) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Shell)?;
    let ProcessActionRequest { pid, start_time, tree, .. } = request;
    let process = state.grant().process(pid)?;
    let system = Arc::clone(state.system());
    if !tree {
        blocking(move || Ok(system.act(process, action, start_time)?)).await?;
        return Ok(Answer(SuccessResponse::new(format!("process {pid} {done}"), Some(json!({ "pid": pid })))));
    }
    let count = blocking(move || Ok(system.act_on_tree(process, action, start_time)?)).await?;
    let message = format!("process {pid} {done}, and so was all that it started");
    Ok(Answer(SuccessResponse::new(message, Some(json!({ "pid": pid, "count": count })))))
}
