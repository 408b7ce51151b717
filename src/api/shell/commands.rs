//! `/api/shell/{powershell,cmd,bash,sh,zsh,fish}`: one command, by itself or in a session; and which shells there are.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::super::visit;
use super::display;
use super::error::{Error, ErrorResponse, Result};
use super::extract::Json;
use crate::audit::{Deed, Outcome};
use crate::error::Failure;
use crate::mask;
use crate::policy::{Denied, Program};
use crate::services::Name;
use crate::shell::{self, CommandOptions, Installed, ShellType};

/// A command line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "command": "ls -la", "session_id": null, "timeout": 30, "working_directory": "/tmp" }))]
pub(crate) struct ShellCommandRequest {
    /// As one would type it.
    #[schema(min_length = 1)]
    command: String,
    /// The session to run it in: `cd` and variables of one command are seen by the next.
    #[serde(default)]
    session_id: Option<String>,
    /// Seconds until it is ended; in a session, waiting for its turn counts.
    #[serde(default = "thirty")]
    #[schema(minimum = 1, maximum = 300)]
    timeout: u16,
    /// Where it runs; a session stays there.
    #[serde(default)]
    working_directory: Option<String>,
}

fn thirty() -> u16 {
    30
}

/// What came of a command that was started.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "success": true, "output": "hello\n", "error": null, "exit_code": 0, "execution_time": 0.15, "is_safe": true, "session_id": null, "truncated": false }))]
pub(crate) struct ShellCommandResponse {
    /// Whether its exit code is 0.
    success: bool,
    /// What it printed on standard output, at most 1 MiB; in a session everything it printed.
    output: String,
    /// What it printed on standard error, at most 1 MiB, and why it was ended.
    error: Option<String>,
    /// Its exit code; 124 when it ran out of time, 128 + n when signal n ended it.
    exit_code: i32,
    /// Seconds it ran.
    execution_time: f64,
    /// `true`: a command that is not is refused.
    is_safe: bool,
    /// The session it ran in.
    session_id: Option<String>,
    /// Whether it printed more than is kept.
    truncated: bool,
}

/// The shells of this machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShellStatusResponse {
    /// `true`.
    success: bool,
    /// Which of them are there.
    shells: Shells,
    /// Sessions that are open.
    active_sessions: usize,
    /// Where single commands and new sessions begin.
    working_directory: String,
    /// How much there may be of everything.
    limits: Limits,
}

/// Each shell.
#[derive(Debug, Serialize, ToSchema)]
struct Shells {
    /// PowerShell.
    powershell: Installed,
    /// The Windows command prompt.
    cmd: Installed,
    /// Bash.
    bash: Installed,
    /// The shell that POSIX describes.
    sh: Installed,
    /// Zsh.
    zsh: Installed,
    /// Fish.
    fish: Installed,
}

/// How much there may be of everything.
#[derive(Debug, Serialize, ToSchema)]
struct Limits {
    /// Sessions open at once.
    max_sessions: usize,
    /// Seconds a command may be given.
    max_timeout: f64,
    /// Bytes of a command's output that are kept.
    max_output_bytes: usize,
}

/// Runs a PowerShell command.
#[utoipa::path(post, path = "/api/shell/powershell", tag = "shell", operation_id = "shell_powershell", request_body = ShellCommandRequest, responses((status = 200, body = ShellCommandResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn powershell(
    State(state): State<super::State>,
    Json(request): Json<ShellCommandRequest>,
) -> Result<Answer<ShellCommandResponse>> {
    run(&state, ShellType::PowerShell, request).await
}

/// Runs a command of the Windows command prompt.
#[utoipa::path(post, path = "/api/shell/cmd", tag = "shell", operation_id = "shell_cmd", request_body = ShellCommandRequest, responses((status = 200, body = ShellCommandResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn cmd(
    State(state): State<super::State>,
    Json(request): Json<ShellCommandRequest>,
) -> Result<Answer<ShellCommandResponse>> {
    run(&state, ShellType::Cmd, request).await
}

/// Runs a bash command.
#[utoipa::path(post, path = "/api/shell/bash", tag = "shell", operation_id = "shell_bash", request_body = ShellCommandRequest, responses((status = 200, body = ShellCommandResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn bash(
    State(state): State<super::State>,
    Json(request): Json<ShellCommandRequest>,
) -> Result<Answer<ShellCommandResponse>> {
    run(&state, ShellType::Bash, request).await
}

/// Runs a command of `sh`.
#[utoipa::path(post, path = "/api/shell/sh", tag = "shell", operation_id = "shell_sh", request_body = ShellCommandRequest, responses((status = 200, body = ShellCommandResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn sh(
    State(state): State<super::State>,
    Json(request): Json<ShellCommandRequest>,
) -> Result<Answer<ShellCommandResponse>> {
    run(&state, ShellType::Sh, request).await
}

/// Runs a zsh command.
#[utoipa::path(post, path = "/api/shell/zsh", tag = "shell", operation_id = "shell_zsh", request_body = ShellCommandRequest, responses((status = 200, body = ShellCommandResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn zsh(
    State(state): State<super::State>,
    Json(request): Json<ShellCommandRequest>,
) -> Result<Answer<ShellCommandResponse>> {
    run(&state, ShellType::Zsh, request).await
}

/// Runs a fish command.
#[utoipa::path(post, path = "/api/shell/fish", tag = "shell", operation_id = "shell_fish", request_body = ShellCommandRequest, responses((status = 200, body = ShellCommandResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn fish(
    State(state): State<super::State>,
    Json(request): Json<ShellCommandRequest>,
) -> Result<Answer<ShellCommandResponse>> {
    run(&state, ShellType::Fish, request).await
}

/// Which shells this machine has, and how much is in use.
#[utoipa::path(get, path = "/api/shell/status", tag = "shell", operation_id = "shell_status", responses((status = 200, body = ShellStatusResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn status(State(state): State<super::State>) -> Result<Answer<ShellStatusResponse>> {
    state.enter(Name::Shell)?;
    let shells = state.shells();
    let (powershell, cmd, bash, sh, zsh, fish) = tokio::join!(
        shells.installed(ShellType::PowerShell),
        shells.installed(ShellType::Cmd),
        shells.installed(ShellType::Bash),
        shells.installed(ShellType::Sh),
        shells.installed(ShellType::Zsh),
        shells.installed(ShellType::Fish),
    );
    Ok(Answer(ShellStatusResponse {
        success: true,
        shells: Shells { powershell, cmd, bash, sh, zsh, fish },
        active_sessions: shells.sessions().len(),
        working_directory: shells.directory().display().to_string(),
        limits: Limits {
            max_sessions: shells.max_sessions(),
            max_timeout: shell::LONGEST_TIMEOUT,
            max_output_bytes: shell::LARGEST_OUTPUT,
        },
    }))
}

async fn run(state: &super::State, shell: ShellType, request: ShellCommandRequest) -> Result<Answer<ShellCommandResponse>> {
    let alive = state.enter(Name::Shell)?;
    let ShellCommandRequest { command, session_id, timeout, working_directory } = request;
    let deed = Deed {
        actor: visit::actor(),
        action: "shell.run".to_owned(),
        target: Some(shell.as_str().to_owned()),
        details: json!({ "command": command, "session_id": session_id, "request_id": visit::request_id() }),
    };
    let program = Program::Line { shell: shell.as_str().to_owned(), command };
    let allowed = match state.grant().command(program) {
        Ok(allowed) => allowed,
        Err(Denied::Invalid(message)) => return Err(Error::invalid_at("/command", message)),
        Err(denied) => {
            let failure = Failure::from(denied);
            state.audit().denied(deed, &failure);
            return Err(failure.into());
        }
    };
    let options =
        CommandOptions { timeout: timeout.into(), working_directory, session_id: session_id.clone(), ..CommandOptions::default() };
    let noted = state.audit().begin(deed).await?;
    let done = state.shells().run(allowed, options, &display(state), &alive).await.map_err(|error| match error {
        // Nobody else can cancel it and still read the answer.
        shell::Error::Cancelled => shell::Error::Stopped,
        other => other,
    });
    match &done {
        Ok(done) => state.audit().end(noted, Outcome::Ok, json!({ "exit_code": done.exit_code })),
        Err(error) => state.audit().end(noted, Outcome::Failed, json!({ "error": error.to_string() })),
    }
    let done = done?;
    let mut said: Vec<String> = Vec::new();
    if done.timed_out && session_id.is_none() {
        said.push(format!("timed out after {timeout} s"));
    }
    said.extend((!done.error.is_empty()).then_some(done.error));
    Ok(Answer(ShellCommandResponse {
        success: done.exit_code == 0,
        output: mask::string(done.output),
        error: (!said.is_empty()).then(|| mask::string(said.join("\n"))),
        exit_code: done.exit_code,
        execution_time: done.execution_time,
        is_safe: true,
        session_id,
        truncated: done.truncated,
    }))
}
