//! What runs ask of people, and calls that runs wait for: looking at them, and answering.

use serde::Serialize;
use utoipa::ToSchema;

use super::waits::{self, Request};
use super::{Error, Runs, Timestamp, audited};
use crate::error::Failure;
use crate::host::protocol::{AwaitedCall, Decision, Json, PastWait, WaitFor};
use crate::store::runs::WaitRow;

/// A question that a run asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// The run that asks.
    pub run_id: String,
    /// Its stored workflow, where it is one.
    pub workflow_id: Option<String>,
    /// The step in which it asks.
    pub step_id: Option<String>,
    /// What is asked.
    pub message: String,
    /// What may be answered.
    pub choices: Vec<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When nobody is asked any more.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// What was decided: `choice`, `comment`, `by`, `at`.
    #[schema(value_type = Option<Object>)]
    pub decision: Option<Json>,
}

/// What somebody decides.
#[derive(Debug, Clone)]
pub struct Decide {
    /// One of the choices.
    pub choice: String,
    /// What there is to say beside it.
    pub comment: Option<String>,
    /// Who it is, where that is known.
    pub by: Option<String>,
}

/// A call that a run waits for.
#[derive(Debug, Clone)]
pub struct AwaitedWebhook {
    /// The wait.
    pub id: String,
    /// The run.
    pub run_id: String,
    /// What is waited for.
    pub call: AwaitedCall,
}

impl Runs {
    /// The questions that wait for an answer, the oldest first, and how many there are.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn approvals(&self, limit: u32) -> Result<(Vec<Approval>, u64), Failure> {
        drop(self.inner.store.durable().await);
        let (rows, count) = self.inner.store.open_waits("approval", limit).await?;
        Ok((rows.into_iter().filter_map(approval).collect(), count))
    }

    /// One question, answered or not.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn approval(&self, id: &str) -> Result<Option<Approval>, Failure> {
        Ok(self.inner.store.wait(id).await?.and_then(approval))
    }

    /// Answers a question; resolves once that is on record.
    ///
    /// # Errors
    /// `NOT_FOUND`; `VALIDATION_ERROR` for what is none of the choices; `CONFLICT` where it was answered, or its run is over.
    pub async fn decide(&self, id: &str, decide: Decide) -> Result<Approval, Failure> {
        let missing = || Error::NotFound { kind: "approval", id: id.chars().take(300).collect() };
        let asked = self.approval(id).await?.ok_or_else(missing)?;
        if !asked.choices.contains(&decide.choice) {
            let message = format!("{:?} is none of the choices: answer one of {}", decide.choice, asked.choices.join(", "));
            return Err(Error::Validation(vec![("/choice".to_owned(), message)]).into());
        }
        let Decide { choice, comment, by } = decide;
        let decision = Decision { choice, comment, by, at: Timestamp::now().to_string() };
        let value = serde_json::value::to_raw_value(&decision).unwrap_or_else(|_| waits::null());
        // In the queue before the answer: both are committed together, or this one first.
        let store = &self.inner.store;
        let key = store.audit_id(Timestamp::now().0);
        store.write(audited::decided(key, self.by.as_ref(), decision.by.as_deref(), &asked.run_id, id, &decision.choice))?;
        self.give(id, &asked.run_id, value).await?;
        Ok(self.approval(id).await?.ok_or_else(missing)?)
    }

    /// The run that waits for a call at that path.
    pub fn awaited_webhook(&self, path: &str) -> Option<AwaitedWebhook> {
        let (live, pending, call) = self.inner.awaited_call(path)?;
        Some(AwaitedWebhook { id: pending.id.clone(), run_id: live.head.run_id.clone(), call })
    }

    /// Gives a wait the call that came at `path`, which is on record before its run goes on.
    ///
    /// # Errors
    /// As [`Runs::give`].
    pub async fn wake(&self, wait_id: &str, run_id: &str, path: &str, call: Json) -> Result<(), Failure> {
        let store = &self.inner.store;
        store.write(audited::woken(store.audit_id(Timestamp::now().0), path, run_id, wait_id)).map_err(Error::from)?;
        self.give(wait_id, run_id, call).await
    }

    /// Gives a wait what it waits for; resolves once that is on record. Its run goes on.
    ///
    /// # Errors
    /// `CONFLICT` where it is over.
    pub async fn give(&self, wait_id: &str, run_id: &str, value: Json) -> Result<(), Failure> {
        let over = || Error::Answered { id: wait_id.to_owned() };
        let run = self.inner.store.run(run_id).await?;
        if run.is_none_or(|run| run.finished_at.is_some()) {
            return Err(over().into());
        }
        let answer = PastWait::Value(value);
        if !self.inner.store.end_wait(wait_id, waits::end_of(&answer)).await? {
            return Err(over().into());
        }
        if let Some(live) = self.inner.find_live(run_id) {
            live.answer(wait_id, answer);
        }
        Ok(())
    }
}

/// None for what is no question.
fn approval(row: WaitRow) -> Option<Approval> {
    let request: Request = serde_json::from_str(&row.request).ok()?;
    let WaitFor::Approval(asked) = request.what else { return None };
    Some(Approval {
        id: row.id,
        run_id: row.run_id,
        workflow_id: row.workflow_id,
        step_id: row.step_id,
        message: asked.message,
        choices: asked.choices,
        since: Timestamp(row.created_at),
        until: row.due.map(Timestamp),
        decision: row.answer,
    })
}
