//! `/api/workflows/{id}/versions` and `/api/script-versions`: what was stored before, how it differs, and having it back.
//!
//! The path of a script is a query parameter here: it has slashes in it, and any name may be a script's.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::extract::{Path, Query};
use super::scripts::{self, Script, whole};
use super::visit;
use super::workflows::{WorkflowResponse, fifty, within_limit};
use crate::error::Kind;
use crate::runs::{Author, Difference, ShownAs, Thing, Version, VersionPage, Workflow};
use crate::services::Name;

/// Which versions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// Only those before this version.
    before: Option<u32>,
}

/// Which versions of which script.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScriptPage {
    /// Such as `reports/daily.rhai`. Left out, all scripts are listed of which there are versions.
    #[param(example = "reports/daily.rhai")]
    path: Option<String>,
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// Only those before this version.
    before: Option<u32>,
    /// Where no path is given: only scripts after this path.
    after: Option<String>,
}

/// Which script.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfScript {
    /// Such as `reports/daily.rhai`.
    #[param(example = "reports/daily.rhai")]
    path: String,
}

/// Which two versions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Two {
    /// The older one; left out, the one before `to`.
    from: Option<u32>,
    /// The newer one; left out, the newest.
    to: Option<u32>,
}

/// Which two versions of which script.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TwoOfScript {
    /// Such as `reports/daily.rhai`.
    #[param(example = "reports/daily.rhai")]
    path: String,
    /// The older one; left out, the one before `to`.
    from: Option<u32>,
    /// The newer one; left out, the newest.
    to: Option<u32>,
}

/// A script of which there are versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionedScript {
    /// Its path in the library.
    #[schema(example = "reports/daily.rhai")]
    path: String,
    /// How many there are.
    #[schema(example = 3)]
    versions: u64,
    /// The newest of them.
    newest: Version,
    /// Whether there is no such script any more.
    deleted: bool,
}

/// A list of scripts of which there are versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionedScripts {
    /// By path.
    scripts: Vec<VersionedScript>,
    /// How many there are in all.
    #[schema(example = 1)]
    count: u64,
}

/// The versions of one script, or the scripts that have some.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ScriptVersions {
    /// Where a path is given.
    Versions(VersionPage),
    /// Where none is.
    Scripts(VersionedScripts),
}

/// Which deleted workflows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeletedPage {
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// Only those before this workflow.
    before: Option<String>,
}

/// A workflow that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedWorkflow {
    /// Its id.
    #[schema(example = "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c03")]
    id: String,
    /// What it was called.
    #[schema(example = "My Workflow")]
    name: String,
    /// How many versions there are.
    #[schema(example = 3)]
    versions: u64,
    /// The newest of them.
    newest: Version,
}

/// A list of workflows that were deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedWorkflows {
    /// Those that changed last first.
    workflows: Vec<DeletedWorkflow>,
    /// How many there are in all.
    #[schema(example = 1)]
    count: u64,
}

/// The workflows that were deleted: their versions are there, and each can be restored.
#[utoipa::path(get, path = "/api/workflows/deleted", tag = "workflows", operation_id = "workflows_deleted", params(DeletedPage), responses((status = 200, body = DeletedWorkflows), (status = 422, body = ErrorResponse)))]
pub(crate) async fn deleted(State(state): State<super::State>, Query(page): Query<DeletedPage>) -> Result<Answer<DeletedWorkflows>> {
    let listed = state.runs().versions().deleted_workflows(within_limit(page.limit)?, page.before).await;
    let (things, count) = listed.map_err(|failure| match failure.code {
        // The one workflow that a list names.
        Kind::NotFound => Error::invalid_at("/query/before", failure.message),
        _ => failure.into(),
    })?;
    let workflow =
        |(thing, name): (Thing, String)| DeletedWorkflow { id: thing.name, name, versions: thing.versions, newest: thing.newest };
    Ok(Answer(DeletedWorkflows { workflows: things.into_iter().map(workflow).collect(), count }))
}

/// The versions of a workflow, newest first; also of one that was deleted.
#[utoipa::path(get, path = "/api/workflows/{workflow_id}/versions", tag = "workflows", operation_id = "workflows_versions", params(("workflow_id" = String, Path), Page), responses((status = 200, body = VersionPage), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn of_workflow(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Answer<VersionPage>> {
    Ok(Answer(state.runs().versions().of_workflow(&id, within_limit(page.limit)?, page.before).await?))
}

/// A version of a workflow: the drawing as it was stored, byte for byte.
#[utoipa::path(get, path = "/api/workflows/{workflow_id}/versions/{version}", tag = "workflows", operation_id = "workflows_version", params(("workflow_id" = String, Path), ("version" = u32, Path)), responses((status = 200, body = super::workflows::WorkflowDefinition), (status = 404, body = ErrorResponse)))]
pub(crate) async fn drawing(State(state): State<super::State>, Path((id, version)): Path<(String, String)>) -> Result<Response> {
    let (version, content) = state.runs().versions().drawing(&id, number(&version)?).await?;
    Ok(text("application/json", &version, content))
}

/// The Rhai script that a version of a workflow compiles to, with the node types and node configs there are now.
#[utoipa::path(get, path = "/api/workflows/{workflow_id}/versions/{version}/script", tag = "workflows", operation_id = "workflows_version_script", params(("workflow_id" = String, Path), ("version" = u32, Path)), responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn compiled(State(state): State<super::State>, Path((id, version)): Path<(String, String)>) -> Result<Response> {
    let text = state.runs().versions().script(&id, number(&version)?).await?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// How two versions of a workflow differ, as scripts: a unified diff, or JSON with `Accept: application/json`. Where one of them does not
/// compile, the drawings are compared, and the answer says why.
#[utoipa::path(get, path = "/api/workflows/{workflow_id}/diff", tag = "workflows", operation_id = "workflows_diff", params(("workflow_id" = String, Path), Two), responses((status = 200, content((String = "text/plain", example = json!("--- version 1\n+++ version 2\n@@ -1 +1 @@\n-40\n+42\n")), (Difference = "application/json"))), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn compare_workflow(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Query(two): Query<Two>,
    headers: HeaderMap,
) -> Result<Response> {
    Ok(shown(state.runs().versions().compare_workflow(&id, two.from, two.to).await?, &headers))
}

/// Stores a workflow as that version of it was, as its newest version; also one that was deleted.
#[utoipa::path(post, path = "/api/workflows/{workflow_id}/versions/{version}/restore", tag = "workflows", operation_id = "workflows_restore", params(("workflow_id" = String, Path), ("version" = u32, Path)), responses((status = 200, body = WorkflowResponse), (status = 404, body = ErrorResponse)))]
pub(crate) async fn restore_workflow(
    State(state): State<super::State>,
    Path((id, version)): Path<(String, String)>,
) -> Result<Answer<Workflow>> {
    Ok(Answer(state.runs().versions().restore_workflow(&id, number(&version)?, author(None)).await?))
}

/// The versions of a script, newest first, also of one that is gone: each text that was live, however it came there. Without a path: the
/// scripts of which there are versions.
#[utoipa::path(get, path = "/api/script-versions", tag = "scripts", operation_id = "scripts_versions", params(ScriptPage), responses((status = 200, body = ScriptVersions), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn of_script(State(state): State<super::State>, Query(page): Query<ScriptPage>) -> Result<Answer<ScriptVersions>> {
    let (versions, limit) = (state.runs().versions(), within_limit(page.limit)?);
    if let Some(path) = page.path {
        return Ok(Answer(ScriptVersions::Versions(versions.of_script(&whole(path), limit, page.before).await?)));
    }
    let (things, count) = versions.scripts(limit, page.after).await?;
    let catalog = state.catalog();
    let scripts = things.into_iter().map(|thing| VersionedScript {
        deleted: !catalog.holds(&thing.name),
        path: thing.name,
        versions: thing.versions,
        newest: thing.newest,
    });
    Ok(Answer(ScriptVersions::Scripts(VersionedScripts { scripts: scripts.collect(), count })))
}

/// A version of a script: its text, byte for byte.
#[utoipa::path(get, path = "/api/script-versions/{version}", tag = "scripts", operation_id = "scripts_version", params(("version" = u32, Path), OfScript), responses((status = 200, body = String, content_type = "text/plain", example = json!("40 + 2\n")), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn source(State(state): State<super::State>, Path(version): Path<String>, Query(of): Query<OfScript>) -> Result<Response> {
    let (version, content) = state.runs().versions().source(&whole(of.path), number(&version)?).await?;
    Ok(text("text/plain; charset=utf-8", &version, content))
}

/// How two versions of a script differ: a unified diff, or JSON with `Accept: application/json`.
#[utoipa::path(get, path = "/api/script-versions/diff", tag = "scripts", operation_id = "scripts_diff", params(TwoOfScript), responses((status = 200, content((String = "text/plain", example = json!("--- version 1\n+++ version 2\n@@ -1 +1 @@\n-40\n+42\n")), (Difference = "application/json"))), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn compare_script(
    State(state): State<super::State>,
    Query(two): Query<TwoOfScript>,
    headers: HeaderMap,
) -> Result<Response> {
    Ok(shown(state.runs().versions().compare_script(&whole(two.path), two.from, two.to).await?, &headers))
}

/// Stores a script as that version of it was, as its newest version, and makes it live; also one that is gone. One that does not compile
/// any more, as what it imports is another, is refused.
#[utoipa::path(post, path = "/api/script-versions/{version}/restore", tag = "scripts", operation_id = "scripts_restore", params(("version" = u32, Path), OfScript), responses((status = 200, body = Script), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn restore_script(
    State(state): State<super::State>,
    Path(version): Path<String>,
    Query(of): Query<OfScript>,
) -> Result<Answer<Script>> {
    state.enter(Name::Scripts)?;
    let (path, version) = (whole(of.path), number(&version)?);
    let (_, content) = state.runs().versions().source(&path, version).await?;
    let candidate = state.library().candidate(&path, content)?;
    scripts::store(&state, candidate, author(Some(version))).await?;
    Ok(Answer(scripts::read(&state, &path, false).await?))
}

/// A version's number, as it stands in a path.
fn number(text: &str) -> Result<u32> {
    text.parse().map_err(|_| Error::not_found("version", text))
}

fn author(restored_from: Option<u32>) -> Author {
    Author { api_key: visit::name(), restored_from }
}

/// What a version holds. It never changes, so that its hash is its tag.
fn text(kind: &'static str, version: &Version, content: String) -> Response {
    let mut answer = ([(CONTENT_TYPE, kind)], content).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", version.hash)) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

/// A difference, as its reader likes it: text, unless JSON is named.
fn shown(difference: Difference, headers: &HeaderMap) -> Response {
    let named = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).flat_map(|accept| accept.split(','));
    let mut kinds = named.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if kinds.find(|kind| kind == "text/plain" || kind == "application/json").is_some_and(|kind| kind == "application/json") {
        return ([(VARY, "Accept")], Answer(difference)).into_response();
    }
    // Whoever applies a diff skips what stands before it.
    let note = match (&difference.reason, difference.shown_as) {
        (Some(reason), ShownAs::Drawing) => format!("# Compared as drawings: {}\n", reason.replace(['\n', '\r'], " ")),
        _ => String::new(),
    };
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (VARY, "Accept")], note + difference.diff.as_str()).into_response()
}
