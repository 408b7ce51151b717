//! `/ws/filesystem`: what happens to scripts, and to the files of folders that one asks for.
//!
//! In: [`Said`]. Out: [`Told`]; `pong`; `error`.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::ToSchema;

use super::error::{Error, ErrorResponse, Result};
use super::extract;
use super::socket::{Ended, Handshake, Socket, pong};
use super::state::blocking;
use crate::error::Failure;
use crate::files::{Change, Watch};
use crate::policy::{Access, AllowedPath, Grant};
use crate::script::LibraryEvent;

/// Folders that one socket follows at most.
const FOLDERS: usize = 32;

/// What a client says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Said {
    /// Be told what happens from now on; answered by `subscribed`. Takes the place of an earlier one.
    Subscribe {
        /// Folders whose files one wants to hear of, too; relative ones lie in the data folder's `files/`.
        #[serde(default)]
        #[schema(required = false, max_items = 32)]
        paths: Vec<String>,
    },
    /// Answered by `pong`.
    Ping {},
}

/// What a client is told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Told {
    /// What happens from now on is told.
    Subscribed {
        /// The folders that are followed.
        paths: Vec<String>,
    },
    /// A script or node type is live.
    ScriptLoaded {
        /// Its path in the library.
        path: String,
    },
    /// A script or node type is broken; its last good version stays live.
    ScriptFailed {
        /// Its path in the library.
        file: String,
        /// From 1.
        line: u32,
        /// From 1.
        column: u32,
        /// A sentence.
        message: String,
    },
    /// A script or node type is gone.
    ScriptRemoved {
        /// Its path in the library.
        path: String,
    },
    /// A file is there that was not.
    FileCreated {
        /// Relative to the data folder's `files/` where it lies there.
        path: String,
    },
    /// A file is another one, or holds something else.
    FileChanged {
        /// Relative to the data folder's `files/` where it lies there.
        path: String,
    },
    /// A file is gone.
    FileRemoved {
        /// Relative to the data folder's `files/` where it lies there.
        path: String,
    },
}

/// Opens the socket. In: `subscribe`, `ping`; out: `script_loaded`, `script_failed`, `script_removed`, `file_created`, `file_changed`,
/// `file_removed`.
#[utoipa::path(get, path = "/ws/filesystem", tag = "websockets", operation_id = "filesystem", responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open(State(state): State<super::State>, request: Request) -> Result<Response> {
    let handshake = Handshake::begin(&state, request).await?;
    let speaking = state.clone();
    Ok(handshake.finish(&state, move |socket| converse(socket, speaking)))
}

/// The same socket, where a frontend expects it.
#[utoipa::path(get, path = "/api/ws/filesystem", tag = "websockets", operation_id = "filesystem_api", responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open_below_api(state: State<super::State>, request: Request) -> Result<Response> {
    open(state, request).await
}

/// What a socket is told of.
#[derive(Default)]
struct Followed {
    scripts: Option<Receiver<LibraryEvent>>,
    files: Option<Watch>,
}

impl Followed {
    /// The next thing to tell; an error where some of it is lost.
    async fn next(&mut self, grant: &Grant) -> Result<Told, RecvError> {
        loop {
            tokio::select! {
                event = next_script(&mut self.scripts) => return event.map(of_script),
                change = next_file(&mut self.files) => match change {
                    Some(change) => {
                        if let Some(told) = of_file(change, grant) {
                            return Ok(told);
                        }
                    }
                    None => return Err(RecvError::Closed),
                },
            }
        }
    }
}

async fn next_script(scripts: &mut Option<Receiver<LibraryEvent>>) -> Result<LibraryEvent, RecvError> {
    match scripts {
        Some(scripts) => scripts.recv().await,
        None => std::future::pending().await,
    }
}

async fn next_file(files: &mut Option<Watch>) -> Option<Change> {
    match files {
        Some(files) => files.next().await,
        None => std::future::pending().await,
    }
}

async fn converse(mut socket: Socket, state: super::State) -> Ended {
    let mut followed = Followed::default();
    let grant = state.grant().clone();
    loop {
        let done = tokio::select! {
            heard = socket.hear() => match heard {
                Err(ended) => return ended,
                Ok(text) => answer(&mut socket, &state, &grant, &mut followed, &text).await,
            },
            told = followed.next(&grant) => match told {
                Ok(told) => socket.say(serde_json::to_string(&told).unwrap_or_default()).await,
                // Subscribing again shows what is there now.
                Err(_) => return socket.too_slow().await,
            },
        };
        if let Err(ended) = done {
            return ended;
        }
    }
}

/// Deals with one message.
async fn answer(socket: &mut Socket, state: &super::State, grant: &Grant, followed: &mut Followed, text: &str) -> Result<(), Ended> {
    let said = match extract::read::<Said>(text.as_bytes()) {
        Ok(said) => said,
        Err(error) => return socket.malformed(error.failure()).await,
    };
    socket.understood();
    let paths = match said {
        Said::Ping {} => return socket.say(pong().to_string()).await,
        Said::Subscribe { paths } => paths,
    };
    // From before the folders are looked at: what happens meanwhile is told.
    let scripts = state.library().subscribe();
    let watched = match allowed(grant, &paths) {
        Ok(folders) if folders.is_empty() => Ok(None),
        Ok(folders) => blocking(move || Ok(Some(Watch::start(&folders)?))).await,
        Err(error) => Err(error),
    };
    match watched {
        Err(error) => socket.fail(error.failure()).await,
        Ok(files) => {
            *followed = Followed { scripts: Some(scripts), files };
            socket.say(serde_json::to_string(&Told::Subscribed { paths }).unwrap_or_default()).await
        }
    }
}

/// The folders, if all of them may be read.
fn allowed(grant: &Grant, paths: &[String]) -> Result<Vec<AllowedPath>> {
    if paths.len() > FOLDERS {
        return Err(Error::invalid_at("/paths", format!("name at most {FOLDERS} folders")));
    }
    let allowed = |(index, path): (usize, &String)| grant.folder(path).map_err(|denied| at(index, denied.into()));
    paths.iter().enumerate().map(allowed).collect()
}

/// Says which of the paths is meant.
fn at(index: usize, mut failure: Failure) -> Error {
    if failure.code == crate::error::Kind::ValidationError {
        let path = format!("/paths/{index}");
        failure.details = Some(serde_json::json!({ "errors": [{ "path": path, "message": failure.message }] }));
    }
    failure.into()
}

fn of_script(event: LibraryEvent) -> Told {
    match event {
        LibraryEvent::Loaded(path) => Told::ScriptLoaded { path },
        LibraryEvent::Removed(path) => Told::ScriptRemoved { path },
        LibraryEvent::Failed(error) => {
            Told::ScriptFailed { file: error.path, line: error.line, column: error.column, message: error.message }
        }
    }
}

/// None for a file that may not be read.
fn of_file(change: Change, grant: &Grant) -> Option<Told> {
    let (Change::Created(path) | Change::Changed(path) | Change::Removed(path)) = &change;
    let shown = path.strip_prefix(grant.files()).unwrap_or(path).to_string_lossy().into_owned();
    grant.path(&shown, Access::Read).ok()?;
    Some(match change {
        Change::Created(_) => Told::FileCreated { path: shown },
        Change::Changed(_) => Told::FileChanged { path: shown },
        Change::Removed(_) => Told::FileRemoved { path: shown },
    })
}
