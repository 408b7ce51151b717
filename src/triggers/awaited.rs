//! Calls that a run waits for, at the same addresses as those that start one.

use std::collections::BTreeMap;

use super::webhook::{body, event};
use super::{Delivery, Error, Triggers, signature};
use crate::error::Failure;
use crate::mask::MASK;

impl Triggers {
    /// Gives a call to the run that waits for it; the run's id. None where no run waits there.
    ///
    /// # Errors
    /// `METHOD_NOT_ALLOWED`, `UNAUTHENTICATED`, `INVALID_JSON`, as where a call starts a run; `CONFLICT` where another call came first.
    pub async fn resume(&self, delivery: &Delivery) -> Result<Option<String>, Failure> {
        let Some(awaited) = self.inner.runs.awaited_webhook(&delivery.path) else { return Ok(None) };
        if !awaited.call.methods.iter().any(|method| method.eq_ignore_ascii_case(&delivery.method)) {
            let (path, method) = (delivery.path.clone(), delivery.method.clone());
            return Err(Error::Method { path, method, allowed: awaited.call.methods }.into());
        }
        // What is on record of a secret that is kept as one is its mask, which anybody could sign with.
        if let Some(secret) = &awaited.call.secret
            && (secret == MASK || !signature::matches(secret, &delivery.body, delivery.headers.get("x-signature-256").map(String::as_str)))
        {
            return Err(Error::Signature.into());
        }
        let event = event(delivery, &BTreeMap::new(), &body(delivery)?)?;
        self.inner.runs.wake(&awaited.id, &awaited.run_id, &delivery.path, event).await?;
        Ok(Some(awaited.run_id))
    }
}
