//! `/api/shell`: single commands, sessions, what both begin with, and the machine's processes.

pub(super) mod commands;
pub(super) mod environment;
pub(super) mod processes;
pub(super) mod recordings;
pub(super) mod sessions;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{self, Result};
use super::state::{self, State};
use super::{extract, success, workflows};
use crate::policy::{AllowedCommand, Program};
use crate::shell::Session;

/// A session that is open, and the permission to use it.
pub(super) async fn session(state: &State, id: &str) -> Result<(Arc<Session>, AllowedCommand)> {
    let session = state.shells().session(id).await?;
    let allowed = terminal(state, session.shell_type().as_str())?;
    Ok((session, allowed))
}

/// The permission to use a shell in a terminal.
fn terminal(state: &State, shell: &str) -> Result<AllowedCommand> {
    Ok(state.grant().command(Program::Terminal { shell: shell.to_owned() })?)
}

/// What commands are given so that their windows appear on the desktop that is open.
fn display(state: &State) -> BTreeMap<String, String> {
    let display = state.open_desktop().and_then(|desktop| desktop.display().map(str::to_owned));
    display.map(|display| ("DISPLAY".to_owned(), display)).into_iter().collect()
}
