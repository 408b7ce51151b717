//! `/api/workflows`: graphs as they are drawn, what they compile to, and starting them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::execute::{ExecuteRequest, Started};
use super::extract::{Json, OptionalJson, Path, Query, Written};
use super::success::SuccessResponse;
use super::visit;
use crate::mask;
use crate::runs::{Author, Checked, Run, RunFilter, RunStatus, Trust, Workflow, WorkflowPage, Workflows};
use crate::services::{Name, Status};
use crate::workflow::{Drawing, Graph, Problem, WorkflowSettings};

/// A graph as it is drawn. What is not named here (React Flow's `viewport`, `measured`, …) survives a round trip.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes what `Drawn` passes on")]
#[schema(example = json!({
    "name": "My Workflow", "description": "Automated task workflow",
    "nodes": [{ "id": "node1", "type": "manual_trigger", "position": { "x": 100, "y": 100 }, "data": {} }], "edges": []
}))]
pub(crate) struct WorkflowDefinition {
    /// Made where it is missing.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$")]
    id: Option<String>,
    /// For people; default `Untitled Workflow`.
    #[schema(required = false)]
    name: String,
    /// For people.
    description: Option<String>,
    /// What it does.
    #[schema(required = false)]
    nodes: Vec<WorkflowNode>,
    /// In which order.
    #[schema(required = false)]
    edges: Vec<WorkflowEdge>,
    /// What holds for all its runs: `concurrency` (so many at once), `priority` (-10–10), `timeout` (seconds for a whole run), …
    #[schema(value_type = Option<Object>, example = json!({ "concurrency": 1, "priority": 5, "timeout": 600 }))]
    settings: Option<WorkflowSettings>,
    /// Anything else worth keeping.
    #[schema(required = false, value_type = Object)]
    metadata: Map<String, Value>,
}

/// A node of a graph.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes")]
pub(crate) struct WorkflowNode {
    /// Unique in its graph.
    #[schema(required = false)]
    id: String,
    /// Such as `click_action`; `GET /api/node-configs/templates` lists all.
    #[schema(required = false)]
    r#type: String,
    /// Where it is drawn.
    #[schema(required = false, value_type = Object)]
    position: Value,
    /// Its config.
    #[schema(required = false, value_type = Object)]
    data: Value,
}

/// An edge of a graph. `sourceHandle` and `targetHandle` are accepted as well.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes")]
pub(crate) struct WorkflowEdge {
    /// Unique in its graph.
    #[schema(required = false)]
    id: String,
    /// The node it leaves.
    #[schema(required = false)]
    source: String,
    /// The node it enters.
    #[schema(required = false)]
    target: String,
    /// The output it leaves by.
    source_handle: Option<String>,
    /// The input it enters by.
    target_handle: Option<String>,
}

/// A stored workflow. Fields that are not named here came with the graph.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes")]
#[schema(example = json!({
    "id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c03", "name": "My Workflow", "description": "Automated task workflow",
    "nodes": [{ "id": "node1", "type": "manual_trigger", "position": { "x": 100, "y": 100 }, "data": {} }], "edges": [], "metadata": {},
    "created_at": "2026-01-31T12:00:00.000000Z", "updated_at": "2026-01-31T12:00:00.000000Z", "problems": [],
    "trust": "trusted", "enabled": true, "capabilities": []
}))]
pub(crate) struct WorkflowResponse {
    /// Its id.
    id: String,
    /// For people.
    name: String,
    /// For people.
    description: Option<String>,
    /// What it does.
    nodes: Vec<WorkflowNode>,
    /// In which order.
    edges: Vec<WorkflowEdge>,
    /// Anything else worth keeping.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// RFC 3339 UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339 UTC; grows with each change.
    #[schema(format = DateTime)]
    updated_at: String,
    /// All that is wrong with it; left out in lists. With an error among them it cannot run.
    #[schema(required = false)]
    problems: Vec<Problem>,
    /// `trusted`: it may do what it declares. `limited`: no more than whoever drew it may do themselves. `untrusted`: it came from
    /// elsewhere, or changed since it was approved, and does not run. Left out in lists, as the two below.
    #[schema(required = false)]
    trust: Trust,
    /// False while it waits for approval: it is not run, and its triggers do not fire.
    #[schema(required = false)]
    enabled: bool,
    /// What it does, in a line each: what it may touch, and what starts it.
    #[schema(required = false)]
    capabilities: Vec<String>,
}

/// A list of workflows.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes")]
pub(crate) struct WorkflowList {
    /// Newest first.
    workflows: Vec<WorkflowResponse>,
    /// How many match in all.
    count: u64,
}

/// What a graph would do.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes")]
#[schema(example = json!({
    "valid": false, "script": null, "permissions": {},
    "problems": [{ "node_id": "node2", "path": "/nodes/1/data/config/x", "message": "the field `x` is missing", "severity": "error" }]
}))]
pub(crate) struct ValidateResponse {
    /// Whether it can run.
    valid: bool,
    /// All that is wrong with it.
    problems: Vec<Problem>,
    /// The script it compiles to; null where it does not.
    script: Option<String>,
    /// What it needs: `screen`, `input`, `shell`, `http`, `read`, `write`, …
    #[schema(value_type = Object)]
    permissions: Value,
}

/// How workflows are doing.
#[derive(Debug, serde::Serialize, ToSchema)]
#[schema(example = json!({ "status": "running", "details": "ready", "workflows": 3, "running": 1, "queued": 0 }))]
pub(crate) struct WorkflowsStatus {
    /// `running`, `stopped`, `disabled` or `failed`.
    #[schema(value_type = String)]
    status: Status,
    /// The same as a sentence.
    details: String,
    /// Stored workflows.
    workflows: u64,
    /// Runs that go on, also those that wait: for a time, an event, an approval.
    running: u64,
    /// Runs that wait for their turn.
    queued: u64,
}

/// A graph on its way to where graphs are read.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Drawn(Graph);

impl PartialSchema for Drawn {
    fn schema() -> RefOr<Schema> {
        WorkflowDefinition::schema()
    }
}

impl ToSchema for Drawn {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        WorkflowDefinition::schemas(schemas);
    }
}

/// Which workflows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// After so many.
    #[serde(default)]
    offset: u32,
    /// Only with this text in name, description or id.
    search: Option<String>,
}

/// A graph with the text it came as, which was read once already.
fn drawing(graph: Graph, text: &[u8]) -> Result<Drawing> {
    let read = std::str::from_utf8(text).map_err(|error| error.to_string());
    let drawing = read.and_then(|text| Drawing::new(graph, text).map_err(|error| error.to_string()));
    drawing.map_err(|error| Error::invalid_at("", format!("this is no graph: {error}")))
}

/// The stored workflows, for whoever calls: the versions that are made say so, and what they draw may do no more than they.
pub(crate) fn by_caller(state: &super::State) -> Workflows {
    state.runs().workflows().by(Author { api_key: visit::name(), restored_from: None })
}

pub(crate) fn fifty() -> u32 {
    50
}

/// Whether a list may be so long.
pub(crate) fn within_limit(limit: u32) -> Result<u32> {
    if (1..=500).contains(&limit) { Ok(limit) } else { Err(Error::invalid_at("/query/limit", "write a number from 1 to 500")) }
}

/// Whether workflows can be run, how many there are, and how many runs go on.
#[utoipa::path(get, path = "/api/workflows/status", tag = "workflows", operation_id = "workflows_status", responses((status = 200, body = WorkflowsStatus)))]
pub(crate) async fn status(State(state): State<super::State>) -> Result<axum::Json<WorkflowsStatus>> {
    let report = state.services().report(Name::GraphExecution);
    let (status, details) = report.map_or((Status::Disabled, String::new()), |report| (report.status, report.details));
    let stored = state.workflows().list(None, 1, 0).await?;
    let runs = state.runs();
    let of = |statuses: &[RunStatus]| runs.list(RunFilter { statuses: statuses.to_vec(), limit: Some(1), ..RunFilter::default() });
    let running = of(&[RunStatus::Running, RunStatus::Waiting]).await?.count;
    let queued = of(&[RunStatus::Queued]).await?.count;
    Ok(axum::Json(WorkflowsStatus { status, details, workflows: stored.count, running, queued }))
}

/// Stored workflows, newest first.
#[utoipa::path(get, path = "/api/workflows/", tag = "workflows", operation_id = "workflows_list", params(ListQuery), responses((status = 200, body = WorkflowList), (status = 422, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>, Query(query): Query<ListQuery>) -> Result<axum::Json<WorkflowPage>> {
    Ok(axum::Json(state.workflows().list(query.search.as_deref(), within_limit(query.limit)?, query.offset).await?))
}

/// Stores a workflow, also one that does not compile yet: the answer's `problems` say what is wrong.
#[utoipa::path(post, path = "/api/workflows/", tag = "workflows", operation_id = "workflows_create", request_body = WorkflowDefinition, responses((status = 201, body = WorkflowResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn create(
    State(state): State<super::State>,
    Written(Drawn(graph), text): Written<Drawn>,
) -> Result<(StatusCode, axum::Json<Workflow>)> {
    Ok((StatusCode::CREATED, axum::Json(by_caller(&state).create_drawn(drawing(graph, &text)?).await?)))
}

/// Stores a workflow that comes from elsewhere, under a new id, whatever `id` it has and whatever it says of its trust. It is `untrusted`
/// and does not run, nor do its triggers fire, until it is approved.
#[utoipa::path(post, path = "/api/workflows/import", tag = "workflows", operation_id = "workflows_import", request_body = WorkflowDefinition, responses((status = 201, body = WorkflowResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn import(
    State(state): State<super::State>,
    Written(Drawn(graph), text): Written<Drawn>,
) -> Result<(StatusCode, axum::Json<Workflow>)> {
    Ok((StatusCode::CREATED, axum::Json(by_caller(&state).import(drawing(graph, &text)?).await?)))
}

/// Approves of a workflow as it is now: it may run, and do all that it declares. Bound to its content: once it is changed, it waits for
/// approval again where it came from elsewhere. Only for whoever may do themselves what it declares.
#[utoipa::path(post, path = "/api/workflows/{workflow_id}/approve", tag = "workflows", operation_id = "workflows_approve", params(("workflow_id" = String, Path)), responses((status = 200, body = WorkflowResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn approve(State(state): State<super::State>, Path(id): Path<String>) -> Result<axum::Json<Workflow>> {
    Ok(axum::Json(state.runs().approve_workflow(&id, visit::name()).await?))
}

/// A stored workflow.
#[utoipa::path(get, path = "/api/workflows/{workflow_id}", tag = "workflows", operation_id = "workflows_get", params(("workflow_id" = String, Path)), responses((status = 200, body = WorkflowResponse), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<axum::Json<Workflow>> {
    Ok(axum::Json(state.workflows().get(&id).await?.ok_or_else(|| Error::not_found("workflow", &id))?))
}

/// Stores a workflow anew.
#[utoipa::path(put, path = "/api/workflows/{workflow_id}", tag = "workflows", operation_id = "workflows_update", params(("workflow_id" = String, Path)), request_body = WorkflowDefinition, responses((status = 200, body = WorkflowResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn update(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Written(Drawn(graph), text): Written<Drawn>,
) -> Result<axum::Json<Workflow>> {
    Ok(axum::Json(by_caller(&state).update_drawn(&id, drawing(graph, &text)?).await?))
}

/// Removes a workflow; its runs and versions stay on record.
#[utoipa::path(delete, path = "/api/workflows/{workflow_id}", tag = "workflows", operation_id = "workflows_delete", params(("workflow_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<super::State>, Path(id): Path<String>) -> Result<axum::Json<SuccessResponse>> {
    state.workflows().delete(&id).await?;
    Ok(axum::Json(SuccessResponse::new("the workflow was deleted", Some(json!({ "id": id })))))
}

/// Compiles a graph without storing it: `{valid, problems, script, permissions}`.
#[utoipa::path(post, path = "/api/workflows/validate", tag = "workflows", operation_id = "workflows_validate", request_body = WorkflowDefinition, responses((status = 200, body = ValidateResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn validate(State(state): State<super::State>, Json(Drawn(graph)): Json<Drawn>) -> Result<axum::Json<Checked>> {
    let mut checked = state.workflows().check(graph).await?;
    for problem in &mut checked.problems {
        problem.message = mask::string(std::mem::take(&mut problem.message));
    }
    Ok(axum::Json(checked))
}

/// The Rhai script that a workflow compiles to.
#[utoipa::path(get, path = "/api/workflows/{workflow_id}/script", tag = "workflows", operation_id = "workflows_script", params(("workflow_id" = String, Path)), responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn script(State(state): State<super::State>, Path(id): Path<String>) -> Result<Response> {
    let text = state.workflows().script(&id).await?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Starts a workflow; with `wait` the answer is the finished run.
#[utoipa::path(post, path = "/api/workflows/{workflow_id}/execute", tag = "workflows", operation_id = "workflows_execute", params(("workflow_id" = String, Path)), request_body = ExecuteRequest, responses((status = 200, description = "The finished run", body = Run), (status = 202, body = Started), (status = 403, description = "It waits for approval", body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn execute(
    State(state): State<super::State>,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<ExecuteRequest>,
) -> Result<Response> {
    state.enter(Name::GraphExecution)?;
    let execute = request.execute()?;
    let runs = state.runs();
    let start = async {
        match &request.only {
            Some(node) => runs.execute_node(&id, node, execute).await,
            None => runs.execute_workflow(&id, execute).await,
        }
    };
    let target = if request.record { target_of(&state, &id).await? } else { None };
    let ticket = request.start(&state, target, start).await?;
    request.answer(ticket).await
}

/// The desktop that a stored workflow means, where that is not the default one.
async fn target_of(state: &super::State, id: &str) -> Result<Option<String>> {
    let stored = state.workflows().get(id).await?;
    let settings = stored.and_then(|stored| stored.graph.get("settings").map(|settings| settings.to_string()));
    let settings: Option<serde_json::Value> = settings.and_then(|settings| serde_json::from_str(&settings).ok());
    Ok(settings.and_then(|settings| settings.get("target")?.as_str().map(str::to_owned)))
}
