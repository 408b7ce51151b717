//! API keys and the tokens that are exchanged for them: who somebody is, and what that opens.
//!
//! A key is 32 random bytes, shown once, when it is made; the database has its SHA-256, which for so much chance is enough. Keys may be
//! made and revoked by another process (`trae keys`) while a server runs: [`Keys::identify`] knows of it within [`FRESH`].

mod error;
mod scope;
mod secret;
mod token;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

pub use error::Error;
pub use scope::{Scope, Scopes};
use token::{Refused, Signer};

use crate::store::Store;
use crate::store::keys::KeyRow;

/// How old what is known of the keys may be.
pub const FRESH: Duration = Duration::from_millis(500);
/// How long a token is good.
pub const TOKEN_SECONDS: i64 = 15 * 60;
/// What every key begins with, so that people and tools that look for leaked secrets know it.
const PREFIX: &str = "trae_";
/// A key is for so many workflows at most, where it is for some only.
const MOST_WORKFLOWS: usize = 64;
/// Uses of a key within so many microseconds count as one.
const SAME_USE: i64 = 60_000_000;

/// A key: all but the key itself.
#[derive(Debug)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it opens.
    pub scopes: Scopes,
    /// The workflows that it is for: it runs these, looks at their runs and cancels them, and does nothing else. Empty where it is for none
    /// in particular.
    pub workflows: Vec<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    last_used: AtomicI64,
}

impl Key {
    /// When it was used last, in microseconds since 1970, to the minute. None where nobody used it yet.
    pub fn last_used(&self) -> Option<i64> {
        Some(self.last_used.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        let last_used = AtomicI64::new(row.last_used.unwrap_or(0));
        let workflows = row.workflows.split(' ').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        Self { id: row.id, name: row.name, scopes: Scopes::read(&row.scopes), workflows, created_at: row.created_at, last_used }
    }
}

/// Somebody who showed a key, or a token.
#[derive(Debug, Clone)]
pub struct Known {
    /// The key, or the one that the token was exchanged for.
    pub key: Arc<Key>,
    /// What it opens; a token opens no more than its key does now.
    pub scopes: Scopes,
    /// A token was shown, not the key itself.
    pub by_token: bool,
}

/// The keys of a data folder.
pub struct Keys {
    store: Store,
    signer: Signer,
    table: Mutex<Arc<Table>>,
    /// Held while the table is read anew, so that one reads for all.
    reading: tokio::sync::Mutex<()>,
}

/// The keys there are, as they were a moment ago.
#[derive(Default)]
struct Table {
    read_at: Option<Instant>,
    by_hash: HashMap<[u8; 32], Arc<Key>>,
    by_id: HashMap<String, Arc<Key>>,
}

impl Keys {
    /// The keys in `store`. Tokens are signed with `configured`, or else with a secret that is kept in the folder `data`.
    ///
    /// # Errors
    /// [`Error::Secret`] where that cannot be read or written.
    pub fn open(store: Store, configured: Option<&str>, data: &Path) -> Result<Self, Error> {
        let secret = match configured {
            Some(secret) => secret.as_bytes().to_vec(),
            None => secret::kept(data)?,
        };
        let unusable = || Error::Secret { path: data.to_path_buf(), reason: "it is no secret".to_owned() };
        let signer = Signer::new(&secret).ok_or_else(unusable)?;
        Ok(Self { store, signer, table: Mutex::default(), reading: tokio::sync::Mutex::default() })
    }

    /// Makes a key and gives it: it is never shown again.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name or no scope; [`Error::Store`].
    pub async fn create(&self, name: &str, scopes: Scopes) -> Result<(String, Arc<Key>), Error> {
        self.create_for(name, scopes, &[]).await
    }

    /// The same for some workflows only, by their ids: `scopes` say what their runs may do. For none in particular where there are none.
    ///
    /// # Errors
    /// As [`Keys::create`]; [`Error::Invalid`] for what is no id, and without the scope `workflows`.
    pub async fn create_for(&self, name: &str, scopes: Scopes, workflows: &[String]) -> Result<(String, Arc<Key>), Error> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 128 || name.chars().any(char::is_control) {
            let message = "give the key a name of 1 to 128 printable characters".to_owned();
            return Err(Error::Invalid { path: "/name", message });
        }
        if scopes.is_empty() {
            let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            let message = format!("name at least one scope: {}", all.join(", "));
            return Err(Error::Invalid { path: "/scopes", message });
        }
        check(workflows, scopes)?;
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret::random::<32>()?));
        let row = KeyRow {
            id: uuid::Uuid::now_v7().to_string(),
            name: name.to_owned(),
            hash: hash(&key),
            scopes: scopes.to_string(),
            workflows: workflows.join(" "),
            created_at: now(),
            last_used: None,
        };
        self.store.create_key(row.clone()).await?;
        Ok((key, Arc::new(row.into())))
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self) -> Result<Vec<Key>, Error> {
        Ok(self.store.keys().await?.into_iter().map(Key::from).collect())
    }

    /// Revokes a key, and with it its tokens.
    ///
    /// # Errors
    /// [`Error::Store`] with `NOT_FOUND`.
    pub async fn revoke(&self, id: &str) -> Result<(), Error> {
        self.store.delete_key(id).await?;
        // At once in this process; another sees it within `FRESH`.
        *self.table() = Arc::new(Table::default());
        Ok(())
    }

    /// Who showed `credential`: a key, or a token.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Expired`]; [`Error::Store`] where it cannot be looked up.
    pub async fn identify(&self, credential: &str) -> Result<Known, Error> {
        if token::is_one(credential) {
            let claims = self.signer.read(credential, now() / 1_000_000).map_err(|refused| match refused {
                Refused::Expired => Error::Expired,
                Refused::Wrong => Error::Unknown,
            })?;
            let key = self.find(|table| table.by_id.get(&claims.sub).cloned()).await?.ok_or(Error::Unknown)?;
            return Ok(Known { scopes: claims.scopes.and(key.scopes), key, by_token: true });
        }
        if !credential.starts_with(PREFIX) {
            return Err(Error::Unknown);
        }
        let hash = hash(credential);
        let key = self.find(|table| table.by_hash.get(&hash).cloned()).await?.ok_or(Error::Unknown)?;
        self.note_use(&key);
        Ok(Known { scopes: key.scopes, key, by_token: false })
    }

    /// Whether there still is a key with this id.
    ///
    /// # Errors
    /// [`Error::Store`] where it cannot be looked up.
    pub async fn is_known(&self, id: &str) -> Result<bool, Error> {
        Ok(self.find(|table| table.by_id.get(id).cloned()).await?.is_some())
    }

    /// Who that is now, who showed a key earlier: with no more than the key opens by now.
    ///
    /// # Errors
    /// [`Error::Unknown`] where the key is revoked; [`Error::Store`] where it cannot be looked up.
    pub async fn still(&self, known: &Known) -> Result<Known, Error> {
        let key = self.find(|table| table.by_id.get(&known.key.id).cloned()).await?.ok_or(Error::Unknown)?;
        Ok(Known { scopes: known.scopes.and(key.scopes), key, by_token: known.by_token })
    }

    /// A token that stands for `known` for [`TOKEN_SECONDS`].
    pub fn token(&self, known: &Known) -> String {
        self.signer.make(&known.key.id, known.scopes, now() / 1_000_000, TOKEN_SECONDS)
    }

    /// Looks in the table; what is not in it may have come since.
    async fn find(&self, look: impl Fn(&Table) -> Option<Arc<Key>>) -> Result<Option<Arc<Key>>, Error> {
        let known = Arc::clone(&self.table());
        let fresh = known.read_at.is_some_and(|at| at.elapsed() < FRESH);
        if let Some(key) = look(&known).filter(|_| fresh) {
            return Ok(Some(key));
        }
        let asked = Instant::now();
        let _reading = self.reading.lock().await;
        let known = Arc::clone(&self.table());
        // Somebody else may have read while this waited.
        if known.read_at.is_some_and(|at| at >= asked) {
            return Ok(look(&known));
        }
        let read_at = Some(Instant::now());
        let rows = self.store.keys().await?;
        let mut table = Table { read_at, ..Table::default() };
        for row in rows {
            let hash = row.hash;
            let key = Arc::new(Key::from(row));
            // What was noted a moment ago may not be written yet.
            if let Some(before) = known.by_id.get(&key.id) {
                key.last_used.fetch_max(before.last_used.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            table.by_id.insert(key.id.clone(), Arc::clone(&key));
            table.by_hash.insert(hash, key);
        }
        let found = look(&table);
        *self.table() = Arc::new(table);
        Ok(found)
    }

    fn table(&self) -> MutexGuard<'_, Arc<Table>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody waits for it.
    fn note_use(&self, key: &Arc<Key>) {
        let now = now();
        let before = key.last_used.load(Ordering::Relaxed);
        if now - before < SAME_USE || key.last_used.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let (store, id) = (self.store.clone(), key.id.clone());
        tokio::spawn(async move {
            if let Err(error) = store.touch_key(&id, now).await {
                tracing::warn!(key = id, %error, "the use of a key could not be noted");
            }
        });
    }
}

/// Refuses what no key can be for.
fn check(workflows: &[String], scopes: Scopes) -> Result<(), Error> {
    let is_id = |id: &String| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if let Some(id) = workflows.iter().find(|id| !is_id(id)) {
        let message = format!("{id:?} is no id of a workflow: 1 to 128 letters, digits, hyphens and underscores");
        return Err(Error::Invalid { path: "/workflows", message });
    }
    if workflows.len() > MOST_WORKFLOWS {
        let message = format!("a key is for at most {MOST_WORKFLOWS} workflows: make a second one");
        return Err(Error::Invalid { path: "/workflows", message });
    }
    if !workflows.is_empty() && !scopes.open(Scope::Workflows) {
        let message = "a key for some workflows runs them: give it the scope workflows, and those that their runs need".to_owned();
        return Err(Error::Invalid { path: "/scopes", message });
    }
    Ok(())
}

/// The present, in microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests;
