//! `/api/scripts`: the script folders over the wire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::execute::{ExecuteRequest, Started};
use super::extract::{Json, OptionalJson, Path, Query, Raw};
use super::state::blocking;
use super::success::SuccessResponse;
use super::visit;
use crate::error::{Failure, Kind};
use crate::host::protocol::Limits;
use crate::mask;
use crate::policy::Permissions;
use crate::runs::{ApprovedScript, Author};
use crate::script::{Candidate, Catalog, LibraryError, ScriptFile};
use crate::services::Name;
use crate::workflow::NodeType;

/// So long a script that was stored waits for those that import it.
const FOLLOWED: Duration = Duration::from_secs(2);

/// What a file of the folders is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScriptKind {
    /// A script.
    Script,
    /// A node type.
    NodeType,
}

/// Something that is wrong with a script.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({ "line": 3, "column": 8, "message": "Expecting ';' to terminate this statement" }))]
pub(crate) struct ScriptProblem {
    /// From 1.
    line: u32,
    /// From 1.
    column: u32,
    /// A sentence.
    message: String,
}

/// What is known of a script without reading it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "path": "reports/daily.rhai", "kind": "script", "name": "Daily report", "description": "Counts the orders of the day.", "timeout": 60.0, "resumable": false, "permissions": { "read": ["orders/**"] }, "params": { "day": { "type": "string" } }, "triggers": [], "error": null }))]
pub(crate) struct ScriptInfo {
    /// Its path in the library.
    path: String,
    kind: ScriptKind,
    /// Its name for people.
    name: Option<String>,
    /// What it does.
    description: Option<String>,
    /// Seconds until a run of it is ended.
    timeout: Option<f64>,
    /// Whether a run that was interrupted may start again from the top.
    resumable: bool,
    /// What it needs.
    #[schema(value_type = Object)]
    permissions: Value,
    /// Its parameters, each a fragment of JSON Schema.
    #[schema(value_type = Object)]
    params: BTreeMap<String, Value>,
    /// What starts it.
    triggers: Vec<Value>,
    /// Why the file as it is now is not live; its last good version may be.
    error: Option<ScriptProblem>,
}

/// A list of scripts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScriptList {
    /// By path.
    scripts: Vec<ScriptInfo>,
    /// How many there are.
    #[schema(example = 1)]
    count: usize,
}

/// A script with its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Script {
    #[serde(flatten)]
    info: ScriptInfo,
    /// Its text; where it is broken, the broken one, so that it can be mended.
    source: String,
    /// Whether this is the draft that is kept beside what is live.
    draft: bool,
}

/// A script's text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "source": "//! Greets.\n`Hello ${params.name}`" }))]
pub(crate) struct ScriptSource {
    /// The text.
    source: String,
}

/// A text to be checked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "source": "let x = ;" }))]
pub(crate) struct CheckRequest {
    /// The text.
    source: String,
    /// The file it would be; one in `nodes/` is checked as a node type.
    #[serde(default)]
    path: Option<String>,
}

/// What came of a check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "valid": false, "errors": [{ "line": 1, "column": 9, "message": "Unexpected ';'" }], "permissions": {} }))]
pub(crate) struct Checked {
    /// Whether it compiles.
    valid: bool,
    /// All that is wrong with it.
    errors: Vec<ScriptProblem>,
    /// What its header declares.
    #[schema(value_type = Object)]
    permissions: Permissions,
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DraftQuery {
    /// The draft that is kept beside what is live.
    #[serde(default)]
    draft: bool,
}

/// A text, as JSON or as it is.
pub(crate) struct Text(String);

impl FromRequest<super::State> for Text {
    type Rejection = Error;

    async fn from_request(request: Request, state: &super::State) -> Result<Self> {
        let kind = request.headers().get(CONTENT_TYPE).map_or(&[] as &[u8], HeaderValue::as_bytes);
        if !kind.to_ascii_lowercase().starts_with(b"text/plain") {
            return Json::<ScriptSource>::from_request(request, state).await.map(|Json(body)| Self(body.source));
        }
        let Raw(bytes) = Raw::from_request(request, state).await?;
        String::from_utf8(bytes.into()).map(Self).map_err(|_| Error::invalid_at("", "send the text in UTF-8"))
    }
}

/// Every file of the script folders, broken ones included.
#[utoipa::path(get, path = "/api/scripts", tag = "scripts", operation_id = "scripts_list", responses((status = 200, body = ScriptList), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Answer<ScriptList>> {
    state.enter(Name::Scripts)?;
    let catalog = state.catalog();
    let live =
        catalog.scripts().map(|script| script.path.as_str()).chain(catalog.own_node_types().map(|node_type| node_type.file.as_str()));
    let mut paths: Vec<&str> = live.chain(catalog.errors().map(|error| error.path.as_str())).collect();
    paths.sort_unstable();
    paths.dedup();
    let scripts: Vec<_> = paths.into_iter().filter_map(|path| info(&catalog, path)).collect();
    Ok(Answer(ScriptList { count: scripts.len(), scripts }))
}

/// A script with its text; the bare text with `Accept: text/plain`.
#[utoipa::path(get, path = "/api/scripts/{path}", tag = "scripts", operation_id = "scripts_get", params(("path" = String, Path, description = "Such as `reports/daily.rhai`"), DraftQuery), responses((status = 200, content((Script = "application/json"), (String = "text/plain"))), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(
    State(state): State<super::State>,
    Path(path): Path<String>,
    Query(query): Query<DraftQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    state.enter(Name::Scripts)?;
    let path = whole(path);
    let script = read(&state, &path, query.draft).await?;
    // Clients list what they can read; the first of the two that is named is meant.
    let named = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).flat_map(|accept| accept.split(','));
    let mut kinds = named.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let plain = kinds.find(|kind| kind == "text/plain" || kind == "application/json").is_some_and(|kind| kind == "text/plain");
    if plain {
        return Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8"), (VARY, "Accept")], script.source).into_response());
    }
    Ok(([(VARY, "Accept")], Answer(script)).into_response())
}

/// Stores a script and makes it live, in one move. One that does not compile is refused, and nothing is written; with `draft` any text
/// is kept beside the live version.
#[utoipa::path(put, path = "/api/scripts/{path}", tag = "scripts", operation_id = "scripts_put", params(("path" = String, Path, description = "Such as `reports/daily.rhai`"), DraftQuery), request_body(content((ScriptSource = "application/json"), (String = "text/plain"))), responses((status = 200, description = "It was there before", body = Script), (status = 201, description = "It is new", body = Script), (status = 404, description = "The path leads out of the folders", body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 413, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn put(
    State(state): State<super::State>,
    Path(path): Path<String>,
    Query(query): Query<DraftQuery>,
    Text(source): Text,
) -> Result<(StatusCode, Answer<Script>)> {
    state.enter(Name::Scripts)?;
    let path = whole(path);
    let candidate = state.library().candidate(&path, source)?;
    fits(&candidate.source)?;
    let existed = read(&state, &path, query.draft).await.is_ok();
    if query.draft {
        let library = Arc::clone(state.library());
        blocking(move || Ok(library.save_draft(&candidate.path, &candidate.source)?)).await?;
    } else {
        store(&state, candidate, Author { api_key: visit::name(), restored_from: None }).await?;
    }
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Answer(read(&state, &path, query.draft).await?)))
}

/// Makes a text that compiles the file's, and a version of it.
pub(super) async fn store(state: &super::State, candidate: Candidate, author: Author) -> Result<()> {
    if let Some(ScriptProblem { line, column, message }) = problems(state, &candidate).await?.into_iter().next() {
        return Err(LibraryError { path: candidate.path, line, column, message }.into());
    }
    let (library, versions, stored) = (Arc::clone(state.library()), state.runs().versions(), candidate.path.clone());
    let makers = state.runs();
    blocking(move || {
        let Candidate { path, source, .. } = &candidate;
        let keep = || {
            versions.keep_script(path, source, author)?;
            // Before it is live: it may do no more than whoever writes it.
            makers.made_script(path)
        };
        Ok(library.save(path, source, || keep().map_err(|failure| failure.message))?)
    })
    .await?;
    // What imports it is live with it, unless that takes long because much else is compiled.
    let _ = tokio::time::timeout(FOLLOWED, state.library().followed(&stored)).await;
    Ok(())
}

/// Removes a script, and its draft. Runs that go on keep the code they started with; its versions stay.
#[utoipa::path(delete, path = "/api/scripts/{path}", tag = "scripts", operation_id = "scripts_delete", params(("path" = String, Path, description = "Such as `reports/daily.rhai`")), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<super::State>, Path(path): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Scripts)?;
    let path = whole(path);
    let (library, removed) = (Arc::clone(state.library()), path.clone());
    let runs = state.runs();
    blocking(move || {
        library.remove(&removed)?;
        runs.forget_script(&removed)
    })
    .await?;
    Ok(Answer(SuccessResponse::new("the script was deleted", Some(json!({ "path": path })))))
}

/// Runs a script; with `wait` the answer is the finished run.
#[utoipa::path(post, path = "/api/scripts/{path}/run", tag = "scripts", operation_id = "scripts_run", params(("path" = String, Path, description = "Such as `reports/daily.rhai`")), request_body = ExecuteRequest, responses((status = 200, description = "The finished run", body = crate::runs::Run), (status = 202, body = Started), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn run(
    State(state): State<super::State>,
    Path(path): Path<String>,
    OptionalJson(request): OptionalJson<ExecuteRequest>,
) -> Result<Response> {
    // Nothing can stand behind the rest of a path, so that both share one route.
    if let Some(path) = path.strip_suffix("/approve") {
        return approve(State(state), Path(path.to_owned())).await.map(IntoResponse::into_response);
    }
    let Some(path) = path.strip_suffix("/run") else {
        let error = Error::new(Kind::MethodNotAllowed, format!("{path:?} does not take POST: a script is run with POST …/run"));
        return Err(error.with_header(ALLOW, HeaderValue::from_static("GET, PUT, DELETE")));
    };
    state.enter(Name::Scripts)?;
    state.enter(Name::GraphExecution)?;
    let path = whole(path.to_owned());
    let catalog = state.catalog();
    if let (None, Some(error)) = (catalog.script(&path), catalog.error(&path)) {
        return Err(error.clone().into());
    }
    request.refuse_parts()?;
    let (runs, execute) = (state.runs(), request.execute()?);
    let ticket = request.start(&state, None, runs.execute_script(&path, execute)).await?;
    request.answer(ticket).await
}

/// Approves of a script as it is live now: it may run, and do all that it declares. Bound to its text and to what it imports. Only for
/// whoever may do themselves what it declares.
#[utoipa::path(post, path = "/api/scripts/{path}/approve", tag = "scripts", operation_id = "scripts_approve", params(("path" = String, Path, description = "Such as `reports/daily.rhai`")), responses((status = 200, body = ApprovedScript), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn approve(State(state): State<super::State>, Path(path): Path<String>) -> Result<Answer<ApprovedScript>> {
    state.enter(Name::Scripts)?;
    Ok(Answer(state.runs().approve_script(&whole(path), visit::name()).await?))
}

/// Checks a script; nothing of it runs or is stored.
#[utoipa::path(post, path = "/api/scripts/check", tag = "scripts", operation_id = "scripts_check", request_body = CheckRequest, responses((status = 200, body = Checked), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn check(State(state): State<super::State>, Json(request): Json<CheckRequest>) -> Result<Answer<Checked>> {
    state.enter(Name::Scripts)?;
    let path = whole(request.path.unwrap_or_else(|| "script".to_owned()));
    let candidate = state.library().candidate(&path, request.source)?;
    let permissions = state.catalog().program_of(&candidate).map(|program| program.permissions).unwrap_or_default();
    let errors = problems(&state, &candidate).await?;
    Ok(Answer(Checked { valid: errors.is_empty(), errors, permissions }))
}

/// A path may leave the ending out.
pub(super) fn whole(path: String) -> String {
    if path.ends_with(".rhai") { path } else { path + ".rhai" }
}

fn fits(source: &str) -> Result<()> {
    let limit = Limits::default().source;
    if source.len() <= limit {
        return Ok(());
    }
    let message = format!("the script has {} bytes, {limit} are allowed: split it into modules", source.len());
    Err(Failure::new(Kind::PayloadTooLarge, message).with(json!({ "limit": limit })).into())
}

/// All that is wrong with a text.
async fn problems(state: &super::State, candidate: &Candidate) -> Result<Vec<ScriptProblem>> {
    let program = match state.catalog().program_of(candidate) {
        Ok(program) => program,
        Err(error) => return Ok(vec![error.into()]),
    };
    let errors = state.host().check(program).await;
    if let Some(error) = errors.first().filter(|_| LibraryError::of_check(&candidate.path, &errors).is_none()) {
        return Err(Error::new(error.code, error.message.clone()));
    }
    let problem = |error: crate::host::protocol::ScriptError| ScriptProblem {
        line: error.line.unwrap_or(1),
        column: error.column.unwrap_or(1),
        message: mask::string(error.message),
    };
    Ok(errors.into_iter().map(problem).collect())
}

/// A script as it is in its folder.
pub(super) async fn read(state: &super::State, path: &str, draft: bool) -> Result<Script> {
    let (library, wanted) = (Arc::clone(state.library()), path.to_owned());
    let catalog = state.catalog();
    let live = catalog.script(path).map(|script| script.source.clone()).filter(|_| catalog.error(path).is_none());
    let text = match (draft, live) {
        (false, Some(live)) => Some(live),
        (true, _) => blocking(move || Ok(library.draft(&wanted))).await?,
        (false, None) => blocking(move || Ok(library.text(&wanted))).await?,
    };
    let source = text.ok_or_else(|| Error::not_found("script", path))?;
    let info = match info(&catalog, path) {
        Some(info) => info,
        // A draft of what was never live: what its own header says, if it says anything.
        None => of_script(&ScriptFile::read(path, source.clone()).unwrap_or_else(|_| ScriptFile::bare(path)), None),
    };
    Ok(Script { info, source, draft })
}

/// What is known of the file at `path`. None where there is none.
fn info(catalog: &Catalog, path: &str) -> Option<ScriptInfo> {
    let error = catalog.error(path);
    if let Some(script) = catalog.script(path) {
        return Some(of_script(&script, error));
    }
    if let Some(node_type) = catalog.own_node_types().find(|node_type| node_type.file == path) {
        return Some(of_node_type(node_type, error));
    }
    let error = error?;
    Some(of_script(&ScriptFile::bare(path), Some(error)))
}

fn of_script(script: &ScriptFile, error: Option<&LibraryError>) -> ScriptInfo {
    let header = script.header.clone();
    ScriptInfo {
        path: script.path.clone(),
        kind: ScriptKind::Script,
        name: header.name,
        description: header.description,
        timeout: header.timeout,
        resumable: header.resumable,
        permissions: json!(header.permissions),
        params: header.params,
        triggers: header.triggers,
        error: error.cloned().map(ScriptProblem::from),
    }
}

fn of_node_type(node_type: &NodeType, error: Option<&LibraryError>) -> ScriptInfo {
    ScriptInfo {
        path: node_type.file.clone(),
        kind: ScriptKind::NodeType,
        name: Some(node_type.name.clone()),
        description: Some(node_type.description.clone()),
        timeout: None,
        resumable: false,
        permissions: node_type.permissions.clone(),
        params: BTreeMap::new(),
        triggers: Vec::new(),
        error: error.cloned().map(ScriptProblem::from),
    }
}

impl From<LibraryError> for ScriptProblem {
    fn from(error: LibraryError) -> Self {
        Self { line: error.line, column: error.column, message: mask::string(error.message) }
    }
}
