//! What a run waits for: a time, a person, a call, another run. It holds nothing meanwhile, where it can be let go.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::children;
use super::live::Live;
use super::record::Awaited;
use super::{Error, Timestamp, masked};
use crate::error::{Failure, Kind};
use crate::failpoint;
use crate::host::Waited;
use crate::host::protocol::{Decision, Json, PastWait, Wait, WaitFor};
use crate::mask;
use crate::store::runs::{NewWait, WaitEnd, WaitRow};

/// A wait for a time that is no longer than this is waited for on the spot, and not put on record.
const SHORT_SECONDS: f64 = 1.0;
/// Whatever else is waited for may come this soon: only then is the run let go.
const LINGER: Duration = Duration::from_secs(1);
/// The longest wait: a thousand years is no wait any more.
const MAX_SECONDS: f64 = 3.2e10;
/// The clock may be set meanwhile: it is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The longest question, in bytes, and the most choices.
const MAX_MESSAGE: usize = 16 << 10;
const MAX_CHOICES: usize = 32;

/// A wait that is not over, as it is on record.
pub(super) struct Pending {
    pub(super) id: String,
    pub(super) place: String,
    pub(super) step_id: Option<String>,
    pub(super) request: Request,
    /// Microseconds since 1970: when it is over by itself.
    pub(super) due: Option<i64>,
    pub(super) answer: watch::Sender<Option<PastWait>>,
}

/// What is waited for, and the run that was started for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) what: WaitFor,
    /// The run that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) child: Option<String>,
}

impl Pending {
    fn new(id: String, place: String, step_id: Option<String>, request: Request, due: Option<i64>) -> Arc<Self> {
        Arc::new(Self { id, place, step_id, request, due, answer: watch::Sender::new(None) })
    }

    /// As those see it who follow the run.
    pub(super) fn shown(&self, since: Timestamp) -> Awaited {
        let kind = self.request.what.kind();
        let what = serde_json::to_value(&self.request.what).ok().and_then(|what| what.get(kind).cloned()).unwrap_or_default();
        Awaited {
            id: self.id.clone(),
            kind: kind.to_owned(),
            step_id: self.step_id.clone(),
            details: Awaited::details(what, self.request.child.as_deref()),
            since,
            until: self.due.map(Timestamp),
        }
    }

    /// One that an earlier process left.
    pub(super) fn restored(row: &WaitRow) -> Option<Arc<Self>> {
        let request = serde_json::from_str(&row.request).ok()?;
        Some(Self::new(row.id.clone(), row.place.clone(), row.step_id.clone(), request, row.due))
    }
}

/// What an answered wait gave, as a run that goes on is told.
pub(super) fn past(row: WaitRow) -> Option<(String, PastWait)> {
    row.answered_at?;
    let past = match (row.answer, row.failure) {
        (Some(answer), _) => PastWait::Value(answer),
        (None, failure) => {
            let failure = failure.and_then(|failure| serde_json::from_str(&failure).ok());
            PastWait::Failed(failure.unwrap_or_else(|| Failure::new(Kind::Internal, "what was waited for is not on record")))
        }
    };
    Some((row.place, past))
}

/// The journal's side of a wait: see [`crate::host::Journal::wait`].
pub(super) async fn wait(live: Arc<Live>, wait: Wait, within: Option<Duration>, cancel: CancellationToken) -> Result<Waited, Failure> {
    let known = live.pending(&wait.place);
    if let (None, WaitFor::Time { seconds }) = (&known, &wait.what) {
        if !(0.0..=MAX_SECONDS).contains(seconds) {
            return Err(Failure::new(Kind::ValidationError, format!("{seconds} is no number of seconds to wait: give one from 0 up")));
        }
        if *seconds <= SHORT_SECONDS {
            return sleep(*seconds, &cancel).await;
        }
    }
    let hold = wait.hold;
    let pending = match known {
        Some(pending) => pending,
        None => begin(&live, wait, within).await?,
    };
    // On record before anything comes of it: a person's answer, a child that is started.
    live.inner.store.durable().await.map_err(Error::from)?;
    failpoint::here("wait.begun");
    let over = over(&live, &pending, &cancel);
    let lingers = match pending.request.what {
        WaitFor::Time { .. } => Duration::ZERO,
        WaitFor::Approval(_) | WaitFor::Webhook(_) | WaitFor::Script { .. } | WaitFor::Workflow { .. } => LINGER,
    };
    let outcome = if hold {
        let _shown = live.shown_waiting();
        over.await
    } else {
        match tokio::time::timeout(lingers, over).await {
            Ok(outcome) => outcome,
            Err(_) => {
                live.rest_at(&pending, within);
                return Ok(Waited::Rest);
            }
        }
    };
    match outcome? {
        PastWait::Value(value) => Ok(Waited::Over(value)),
        PastWait::Failed(failure) => Err(failure),
    }
}

async fn sleep(seconds: f64, cancel: &CancellationToken) -> Result<Waited, Failure> {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => Ok(Waited::Over(null())),
        () = cancel.cancelled() => Err(cancelled()),
    }
}

/// Puts a wait on record.
async fn begin(live: &Arc<Live>, wait: Wait, within: Option<Duration>) -> Result<Arc<Pending>, Failure> {
    let now = Timestamp::now().0;
    check(live, &wait.what).await?;
    let after = |seconds: f64| i64::try_from(Duration::from_secs_f64(seconds.clamp(0.0, MAX_SECONDS)).as_micros()).unwrap_or(i64::MAX);
    let seconds = match &wait.what {
        WaitFor::Time { seconds } => Some(*seconds),
        WaitFor::Approval(asked) => asked.timeout,
        WaitFor::Webhook(awaited) => awaited.timeout,
        WaitFor::Script { .. } | WaitFor::Workflow { .. } => None,
    };
    let due = seconds.map(|seconds| now.saturating_add(after(seconds)));
    let child = match &wait.what {
        WaitFor::Script { .. } | WaitFor::Workflow { .. } => Some(uuid::Uuid::now_v7().to_string()),
        WaitFor::Time { .. } | WaitFor::Approval(_) | WaitFor::Webhook(_) => None,
    };
    let request = Request { what: wait.what, child };
    let row = NewWait {
        id: uuid::Uuid::now_v7().to_string(),
        run: live.key,
        place: wait.place.clone(),
        step_id: wait.step_id.clone(),
        kind: request.what.kind(),
        request: masked::text(serde_json::to_string(&request).map_err(|error| Failure::new(Kind::ValidationError, error.to_string()))?),
        hold: wait.hold,
        due,
        until: within.map(|within| now.saturating_add(after(within.as_secs_f64()))),
        created_at: now,
        start_event: 0,
    };
    let pending = Pending::new(row.id.clone(), wait.place, wait.step_id, request, due);
    live.begin_wait(&pending, row)?;
    Ok(pending)
}

/// Whether it may be waited for at all.
async fn check(live: &Live, what: &WaitFor) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::new(Kind::ValidationError, message));
    match what {
        WaitFor::Time { .. } => {}
        WaitFor::Approval(asked) => {
            if asked.message.len() > MAX_MESSAGE {
                return refuse(format!("a question has at most {MAX_MESSAGE} bytes"));
            }
            if asked.choices.is_empty() || asked.choices.len() > MAX_CHOICES {
                return refuse(format!("a question has from 1 to {MAX_CHOICES} choices"));
            }
            if let Some(default) = &asked.default
                && !asked.choices.contains(default)
            {
                return refuse(format!("the default {default:?} is none of the choices"));
            }
            seconds(asked.timeout)?;
        }
        WaitFor::Webhook(awaited) => {
            if awaited.path.trim_matches('/').is_empty() || awaited.path.len() > 1024 || awaited.methods.is_empty() {
                return refuse("a call is waited for at a path of up to 1,024 bytes, with at least one method".to_owned());
            }
            seconds(awaited.timeout)?;
            if live.inner.awaited_call(&awaited.path).is_some() {
                let message =
                    format!("another run waits for a call at {:?}: make the path unique, for instance with {{{{ run.id }}}}", awaited.path);
                return Err(Failure::new(Kind::Conflict, message));
            }
        }
        WaitFor::Script { path, .. } => live.grant.script(path)?,
        WaitFor::Workflow { workflow_id, .. } => live.grant.workflow(workflow_id)?,
    }
    Ok(())
}

fn seconds(timeout: Option<f64>) -> Result<(), Failure> {
    match timeout {
        Some(seconds) if !(seconds > 0.0 && seconds <= MAX_SECONDS) => {
            Err(Failure::new(Kind::ValidationError, format!("a timeout of {seconds} s is none: give a number above 0")))
        }
        _ => Ok(()),
    }
}

/// What ends a wait.
enum Came {
    Answer(Option<PastWait>),
    Cancel,
    By(PastWait),
}

/// Resolves with what the wait comes to; that is on record, or on its way there. Fails where it was cancelled: it then is not over.
pub(super) async fn over(live: &Arc<Live>, pending: &Arc<Pending>, cancel: &CancellationToken) -> Result<PastWait, Failure> {
    let mut answers = pending.answer.subscribe();
    let answered = async { answers.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone()) };
    let came = tokio::select! {
        biased;
        answer = answered => Came::Answer(answer),
        () = cancel.cancelled() => Came::Cancel,
        () = due(pending.due) => Came::By(at_due(&pending.request.what)),
        ended = children::ended(live, pending) => Came::By(ended),
    };
    let came = match came {
        Came::By(came) => came,
        // An answer from outside is on record before it is told here.
        Came::Answer(answer) => {
            live.end_wait(pending);
            return answer.ok_or_else(cancelled);
        }
        Came::Cancel => {
            children::cancel_with(live, pending).await;
            return Err(cancelled());
        }
    };
    let end = end_of(&came);
    failpoint::here("wait.end.before");
    let ended = live.inner.store.end_wait(&pending.id, end).await;
    failpoint::here("wait.end.after");
    match ended {
        Ok(true) => {
            live.end_wait(pending);
            Ok(came)
        }
        // Somebody answered in the last moment.
        Ok(false) => {
            live.end_wait(pending);
            let row = live.inner.store.wait(&pending.id).await.map_err(Error::from)?;
            Ok(row.and_then(past).map_or(came, |(_, past)| past))
        }
        Err(error) => Err(Error::from(error).into()),
    }
}

pub(super) fn end_of(came: &PastWait) -> WaitEnd {
    let at = Timestamp::now().0;
    match came {
        PastWait::Value(value) => WaitEnd { answer: Some(mask::json(value.clone())), failure: None, at },
        PastWait::Failed(failure) => WaitEnd { answer: None, failure: serde_json::to_string(failure).ok().map(masked::text), at },
    }
}

/// Resolves when that time has come, by the wall clock: also where it came while nobody looked.
async fn due(at: Option<i64>) {
    let Some(at) = at else { return std::future::pending().await };
    loop {
        let left = at.saturating_sub(Timestamp::now().0);
        if left <= 0 {
            return;
        }
        tokio::time::sleep(Duration::from_micros(left.unsigned_abs()).min(LOOK_EVERY)).await;
    }
}

/// What a wait comes to whose time has come.
fn at_due(what: &WaitFor) -> PastWait {
    match what {
        WaitFor::Time { .. } | WaitFor::Script { .. } | WaitFor::Workflow { .. } => PastWait::Value(null()),
        WaitFor::Approval(asked) => match &asked.default {
            Some(default) => {
                let by = Some("timeout".to_owned());
                let decision = Decision { choice: default.clone(), comment: None, by, at: Timestamp::now().to_string() };
                PastWait::Value(serde_json::value::to_raw_value(&decision).unwrap_or_else(|_| null()))
            }
            None => PastWait::Failed(Failure::new(Kind::Timeout, "nobody answered in time")),
        },
        WaitFor::Webhook(awaited) => PastWait::Failed(Failure::new(Kind::Timeout, format!("nobody called {:?} in time", awaited.path))),
    }
}

fn cancelled() -> Failure {
    Failure::new(Kind::Cancelled, "the run was cancelled while it waited")
}

pub(super) fn null() -> Json {
    serde_json::value::RawValue::NULL.to_owned()
}
