//! The audit log: who did what, with which, when, and what came of it.
//!
//! What changes something is on record before it happens ([`Audit::begin`], or a row that is queued before whoever acts waits for all that
//! was queued), and what came of it after. The rows are a chain of hashes that the database's one writer makes, so that a row costs no more
//! than a few microseconds of a commit that many share; every few seconds a [`checkpoint`] signs how far it has come. [`verify`] goes along the
//! chain and names what was done to it.

mod checkpoint;
mod error;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use verify::{Finding, Report};

use crate::error::Failure;
use crate::mask;
use crate::store::Store;
use crate::store::audit::AuditRow;
pub use crate::store::audit::{AuditDeed as Noted, AuditQuery as Query};
use crate::store::runs::Write;
use checkpoint::Signer;

/// How often it is signed how far the chain has come, while it grows.
const SIGN_EVERY: Duration = Duration::from_secs(5);
/// So many refusals are noted in a minute; the others are counted, so that nobody fills the disk by being refused.
const REFUSALS: u32 = 120;
/// Bytes of the longest text in an entry.
const LONGEST: usize = 2048;
/// Bytes of all details of an entry.
const LONGEST_DETAILS: usize = 8192;

/// Who does what.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// Who: `key:frontend`, `local`, `cli:ann`, `run:0199…`, `webhook:orders`.
    pub actor: String,
    /// What: `run`, `shell.run`, `POST /api/keys`.
    pub action: String,
    /// With which.
    pub target: Option<String>,
    /// Facts beside it. Nothing that was typed, written or read.
    pub details: Value,
}

/// What came of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// Whoever wanted it may not.
    Denied,
    /// It could not be done as it was asked for.
    Refused,
    /// It was tried, and failed.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// The server ended before it did.
    Interrupted,
}

impl Outcome {
    /// As it is written: `ok`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The row of something that begins; what came of it gets the same `id`.
pub fn begun(id: i64, deed: Deed) -> Write {
    row(id, deed, "begun")
}

/// The row of something that is over already.
pub fn noted(id: i64, deed: Deed, outcome: Outcome) -> Write {
    row(id, deed, outcome.as_str())
}

/// The row of what came of something.
pub fn ended(id: i64, outcome: Outcome, details: Value) -> Write {
    let deed = Deed { actor: String::new(), action: String::new(), target: None, details };
    match row(id, deed, outcome.as_str()) {
        Write::Audit(mut row) => {
            row.is_end = true;
            Write::Audit(row)
        }
        other => other,
    }
}

fn row(id: i64, Deed { actor, action, target, mut details }: Deed, result: &str) -> Write {
    let short = |text: String| clipped(mask::string(text), LONGEST);
    mask::value(&mut details);
    shorten(&mut details);
    let details = match details {
        Value::Null => None,
        Value::Object(fields) if fields.is_empty() => None,
        details => Some(details.to_string()),
    };
    // JSON that is cut is none.
    let details = details.map(|text| if text.len() > LONGEST_DETAILS { json!({ "left_out": text.len() }).to_string() } else { text });
    Write::Audit(Box::new(AuditRow {
        id,
        is_end: false,
        at: now(),
        actor: short(actor),
        action: short(action),
        target: target.map(short),
        details,
        result: result.to_owned(),
    }))
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > LONGEST => *text = clipped(std::mem::take(text), LONGEST),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

fn clipped(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The audit log of a data folder.
pub struct Audit {
    store: Store,
    data: PathBuf,
    signer: Signer,
    refusals: Mutex<Refusals>,
}

/// How many were refused within a minute.
struct Refusals {
    since: Instant,
    noted: u32,
    /// So many more were not noted.
    more: u64,
}

impl Audit {
    /// The log in `store`, signed with the key in the folder `data`; one is made where there is none.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(store: Store, data: &Path) -> Result<Self, Error> {
        let refusals = Mutex::new(Refusals { since: Instant::now(), noted: 0, more: 0 });
        Ok(Self { store, data: data.to_path_buf(), signer: Signer::open(data)?, refusals })
    }

    /// The public key that its checkpoints are signed with, in hex.
    pub fn public_key(&self) -> String {
        self.signer.public()
    }

    /// Notes that something begins; resolves once that is committed, and so before it does.
    ///
    /// # Errors
    /// [`Error::Store`]: then it must not begin.
    pub async fn begin(&self, deed: Deed) -> Result<i64, Error> {
        let id = self.queue(deed)?;
        self.store.durable().await?;
        Ok(id)
    }

    /// The same for whoever waits for all that was queued before it acts.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn queue(&self, deed: Deed) -> Result<i64, Error> {
        let id = self.store.audit_id(now());
        self.store.write(begun(id, deed))?;
        Ok(id)
    }

    /// Notes what came of it. Nobody waits for that.
    pub fn end(&self, id: i64, outcome: Outcome, details: Value) {
        self.put(ended(id, outcome, details));
    }

    /// Notes something that is over already.
    pub fn note(&self, deed: Deed, outcome: Outcome) {
        self.put(noted(self.store.audit_id(now()), deed, outcome));
    }

    /// Notes that something was refused before it began: every one, as long as there are not too many.
    pub fn denied(&self, mut deed: Deed, failure: &Failure) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.since.elapsed() >= Duration::from_secs(60) {
            (refusals.since, refusals.noted) = (Instant::now(), 0);
        }
        if refusals.noted >= REFUSALS {
            refusals.more += 1;
            return;
        }
        refusals.noted += 1;
        let more = std::mem::take(&mut refusals.more);
        drop(refusals);
        if let Value::Object(fields) = &mut deed.details {
            fields.insert("error_code".to_owned(), json!(failure.code));
            fields.insert("error".to_owned(), json!(failure.message));
            if more > 0 {
                fields.insert("not_noted_before".to_owned(), json!(more));
            }
        }
        self.note(deed, Outcome::Denied);
    }

    fn put(&self, write: Write) {
        if let Err(error) = self.store.write(write) {
            tracing::error!(%error, "what came of something is not in the audit log");
        }
    }

    /// What was done, newest first, and how much of it there is in all.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, query: Query) -> Result<(Vec<Noted>, u64), Error> {
        // What was answered a moment ago is in it.
        let _ = self.store.durable().await;
        Ok(self.store.audit(query).await?)
    }

    /// Signs how far the chain has come, if it has come further than was signed.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sign(&self) -> Result<(), Error> {
        self.store.durable().await?;
        let Some((seq, hash)) = self.store.audit_head().await? else { return Ok(()) };
        match self.signer.last() {
            Some(last) if last.seq == seq && last.hash == hex(&hash) => Ok(()),
            _ => self.signer.sign(seq, &hash, now()),
        }
    }

    /// Signs it from time to time, until `end`. Says at once where the log ends before what was signed.
    pub async fn keep(self: Arc<Self>, end: CancellationToken) {
        if let (Ok(head), Some(last)) = (self.store.audit_head().await, self.signer.last())
            && head.map_or(0, |(seq, _)| seq) < last.seq
        {
            tracing::error!(signed = last.seq, "entries of the audit log are gone: `trae audit verify` says which");
        }
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(SIGN_EVERY) => {}
            }
            if let Err(error) = self.sign().await {
                tracing::error!(%error, "the audit log could not be signed; it is tried again");
            }
        }
    }
}

/// The present, in microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests;
