//! Runs that a run starts: with a record of their own, no more rights than both have, and started once for each place in their parent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;

use super::execute::{Halt, Inner};
use super::live::{Ended, Live};
use super::order::{Order, Place, raw};
use super::record::{RunError, RunStatus};
use super::waits::{Pending, null};
use super::{Error, Execute, Timestamp};
use crate::error::{Failure, Kind};
use crate::failpoint;
use crate::host::protocol::{Json, PastWait, ScriptError, WaitFor};
use crate::store::runs::RunRow;

/// So many runs may stand above one another.
const MAX_DEPTH: u32 = 8;

/// Resolves with what the run comes to that is waited for; never, where none is.
pub(super) fn ended<'a>(parent: &'a Arc<Live>, pending: &'a Pending) -> BoxFuture<'a, PastWait> {
    Box::pin(async move {
        let Some(child) = &pending.request.child else { return std::future::pending().await };
        match come_to(parent, &pending.request.what, child).await {
            Ok(value) => PastWait::Value(value),
            Err(failure) => PastWait::Failed(failure),
        }
    })
}

async fn come_to(parent: &Arc<Live>, what: &WaitFor, child: &str) -> Result<Json, Failure> {
    let inner = &parent.inner;
    let name = match what {
        WaitFor::Script { path, .. } => format!("the script {path}"),
        WaitFor::Workflow { workflow_id, .. } => format!("the workflow {workflow_id}"),
        WaitFor::Time { .. } | WaitFor::Approval(_) | WaitFor::Webhook(_) => return Ok(null()),
    };
    let live = match inner.find_live(child) {
        Some(live) => live,
        None => match inner.store.run(child).await.map_err(Error::from)? {
            Some(row) => return of_row(row, &name),
            None => start(parent, what, child).await?,
        },
    };
    if let WaitFor::Workflow { wait: false, .. } = what {
        inner.store.durable().await.map_err(Error::from)?;
        return Ok(raw(&serde_json::json!({ "run_id": child }).to_string()));
    }
    let mut progress = live.progress.subscribe();
    let ended = progress.wait_for(|progress| progress.ended.is_some()).await.ok().and_then(|progress| progress.ended.clone());
    match ended {
        // Put down with the server: the parent is as well, and both go on together.
        Some(ended) if ended.status == RunStatus::Interrupted && inner.halt() != Halt::No => std::future::pending().await,
        Some(ended) => of_ended(&ended, &name),
        None => std::future::pending().await,
    }
}

fn of_ended(ended: &Ended, name: &str) -> Result<Json, Failure> {
    outcome(ended.status, ended.result.as_ref().map(|value| (**value).to_owned()), ended.error.clone(), name)
}

fn of_row(row: RunRow, name: &str) -> Result<Json, Failure> {
    let status = RunStatus::parse(&row.status).unwrap_or(RunStatus::Interrupted);
    outcome(status, row.result, row.error.as_deref().map(RunError::from_text), name)
}

fn outcome(status: RunStatus, result: Option<Json>, error: Option<RunError>, name: &str) -> Result<Json, Failure> {
    match (result, error) {
        (Some(value), _) if status == RunStatus::Succeeded => Ok(value),
        (_, Some(error)) => {
            let mut failure = Failure::new(error.code, format!("{name} failed: {}", error.message));
            failure.details = error.details;
            Err(failure)
        }
        _ => Err(Failure::new(Kind::Cancelled, format!("{name} was {}", status.as_str()))),
    }
}

/// Starts a run within the run `parent`, under the id that is on record for it.
async fn start(parent: &Arc<Live>, what: &WaitFor, child: &str) -> Result<Arc<Live>, Failure> {
    let inner = &parent.inner;
    let ceiling;
    let (order, parameters, trigger) = match what {
        WaitFor::Script { path, parameters } => {
            if parent.depth + 1 >= MAX_DEPTH {
                return Err(Error::TooDeep(MAX_DEPTH, path.clone()).into());
            }
            let (prepared, parameters) = inner.programs.script(path, parameters.clone())?;
            ceiling = inner.check_script(path, &prepared).await?;
            let order = Order { kind: "script", workflow_id: None, script: Some(path.clone()), prepared };
            (order, parameters, "script")
        }
        WaitFor::Workflow { workflow_id, parameters, .. } => {
            if parent.depth + 1 >= MAX_DEPTH {
                return Err(Error::TooDeep(MAX_DEPTH, workflow_id.clone()).into());
            }
            let graph = inner.graph(workflow_id).await?;
            graph.check_trust(workflow_id)?;
            ceiling = graph.standing.ceiling.clone();
            let prepared = graph.ready()?;
            let order = Order { kind: "workflow", workflow_id: Some(workflow_id.clone()), script: None, prepared };
            (order, parameters.clone(), "workflow")
        }
        WaitFor::Time { .. } | WaitFor::Approval(_) | WaitFor::Webhook(_) => {
            return Err(Failure::new(Kind::Internal, "nothing is to be started"));
        }
    };
    let execute =
        Execute { parameters, trigger: format!("{trigger}:{}", parent.head.run_id), mode: parent.mode.for_child(), ..Execute::default() };
    let place = Place {
        run_id: Some(child.to_owned()),
        within: parent.grant.layers().iter().cloned().chain(ceiling).collect(),
        by: None,
        depth: parent.depth + 1,
        parent: Some(parent.head.run_id.clone()),
        retry_of: None,
        // Who waits for it has its own turn already, and would keep it from ever coming.
        free: !matches!(what, WaitFor::Workflow { wait: false, .. }),
    };
    failpoint::here("child.start.before");
    let live = inner.launch(order, execute, place)?;
    failpoint::here("child.start.after");
    Ok(live)
}

/// What a run that another one's failure starts says of itself: it starts no further one.
const ERROR: &str = "error:";

/// Starts the workflow that the settings of a failed run's workflow name, once. On record with the failure, or before it.
pub(super) async fn on_error(failed: &Arc<Live>, error: &ScriptError) {
    let head = &failed.head;
    let Some(workflow_id) = head.workflow_id.as_ref().filter(|_| !failed.mode.dry && !head.trigger.starts_with(ERROR)) else { return };
    if let Err(failure) = start_handler(failed, workflow_id, error).await {
        tracing::warn!(run_id = head.run_id, workflow_id, error = %failure, "the error workflow of a failed run could not be started");
    }
}

async fn start_handler(failed: &Arc<Live>, workflow_id: &str, error: &ScriptError) -> Result<(), Failure> {
    let (inner, head) = (&failed.inner, &failed.head);
    let Some(handler) = inner.graph(workflow_id).await?.compiled.settings.error_workflow.clone() else { return Ok(()) };
    let trigger = format!("{ERROR}{}", head.run_id);
    inner.store.durable().await.map_err(Error::from)?;
    if inner.store.has_child(&head.run_id, &trigger).await.map_err(Error::from)? {
        return Ok(());
    }
    let graph = inner.graph(&handler).await?;
    graph.check_trust(&handler)?;
    let (prepared, ceiling) = (graph.ready()?, graph.standing.ceiling.clone());
    let order = Order { kind: "workflow", workflow_id: Some(handler), script: None, prepared };
    let told = serde_json::json!({
        "run_id": head.run_id,
        "workflow_id": workflow_id,
        "trigger": head.trigger,
        "error": RunError::from(error.clone()),
    });
    let told = raw(&told.to_string());
    let execute = Execute { parameters: told.clone(), input: told, trigger, mode: failed.mode.for_child(), ..Execute::default() };
    // It is held to what whoever started the failed run may do, not to what that declared.
    let within = failed.grant.layers().iter().skip(2).cloned().chain(ceiling).collect();
    let place = Place { within, depth: failed.depth, parent: Some(head.run_id.clone()), free: true, ..Place::default() };
    inner.launch(order, execute, place)?;
    Ok(())
}

/// The run that waits was stopped: so is the one it waits for, unless the server stops all of them.
pub(super) async fn cancel_with(parent: &Arc<Live>, pending: &Pending) {
    let Some(child) = pending.request.child.as_ref().and_then(|child| find(&parent.inner, child)) else { return };
    if matches!(pending.request.what, WaitFor::Workflow { wait: false, .. }) || parent.inner.halt() != Halt::No {
        return;
    }
    child.cancelled.store(true, Ordering::Relaxed);
    child.cancel.cancel();
    drop(child.progress.subscribe().wait_for(|progress| progress.ended.is_some()).await);
}

fn find(inner: &Inner, run_id: &str) -> Option<Arc<Live>> {
    inner.find_live(run_id)
}

/// How a run ended that was put down with the server.
pub(super) fn put_down() -> Ended {
    let failure = Failure::new(Kind::ServiceUnavailable, "the server was stopped: the run goes on when it is up again");
    let error = Some(ScriptError::from(failure).into());
    Ended { status: RunStatus::Interrupted, result: None, error, finished_at: Timestamp::now() }
}
