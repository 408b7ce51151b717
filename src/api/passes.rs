//! What a browser shows in place of a key: a session's cookie, a link that opens one, a ticket for one socket.
//!
//! All of them stand for a key and end with it. None is kept: they are known by their hashes in memory, and gone when the server ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::error::{Error, Result};
use crate::error::Kind;
use crate::keys::Known;

/// How long a session lasts.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a link opens one.
pub(super) const LINK: Duration = Duration::from_secs(60);
/// How long a ticket opens a socket.
pub(super) const TICKET: Duration = Duration::from_secs(30);
/// So many of each there may be.
const MOST: usize = 10_000;

type Hash = [u8; 32];

/// The passes that were given out.
#[derive(Default)]
pub(crate) struct Passes {
    sessions: Mutex<HashMap<Hash, Pass<Arc<str>>>>,
    links: Mutex<HashMap<Hash, Pass<()>>>,
    tickets: Mutex<HashMap<Hash, Pass<String>>>,
}

/// One of them.
struct Pass<T> {
    known: Known,
    until: Instant,
    /// Of a session what its page has to repeat, of a ticket the socket it is for.
    what: T,
}

/// A session that was begun.
pub(super) struct Begun {
    /// The cookie's value.
    pub(super) cookie: String,
    /// What its page has to send as `X-CSRF-Token` with whatever changes something.
    pub(super) csrf: Arc<str>,
}

impl Passes {
    /// Begins a session for whoever showed that key.
    pub(super) fn session(&self, known: &Known) -> Result<Begun> {
        let (cookie, csrf) = (random()?, Arc::<str>::from(random()?));
        keep(&mut lock(&self.sessions), &cookie, known, SESSION, Arc::clone(&csrf))?;
        Ok(Begun { cookie, csrf })
    }

    /// Makes a link's token.
    pub(super) fn link(&self, known: &Known) -> Result<String> {
        let token = random()?;
        keep(&mut lock(&self.links), &token, known, LINK, ())?;
        Ok(token)
    }

    /// Makes a ticket for the socket at `path`.
    pub(super) fn ticket(&self, known: &Known, path: &str) -> Result<String> {
        let ticket = random()?;
        keep(&mut lock(&self.tickets), &ticket, known, TICKET, socket(path).to_owned())?;
        Ok(ticket)
    }

    /// Whose session it is, and what its page has to repeat.
    pub(super) fn of_cookie(&self, cookie: &str) -> Option<(Known, Arc<str>)> {
        let sessions = lock(&self.sessions);
        let session = sessions.get(&hash(cookie)).filter(|session| session.until > Instant::now())?;
        Some((session.known.clone(), Arc::clone(&session.what)))
    }

    /// Who made the link. It opens nothing any more.
    pub(super) fn of_link(&self, token: &str) -> Option<Known> {
        let link = lock(&self.links).remove(&hash(token))?;
        (link.until > Instant::now()).then_some(link.known)
    }

    /// Who asked for the ticket to that socket. It opens nothing any more, whatever it was tried on.
    pub(super) fn of_ticket(&self, ticket: &str, path: &str) -> Option<Known> {
        let pass = lock(&self.tickets).remove(&hash(ticket))?;
        (pass.until > Instant::now() && pass.what == socket(path)).then_some(pass.known)
    }

    /// Ends a session.
    pub(super) fn end(&self, cookie: &str) {
        lock(&self.sessions).remove(&hash(cookie));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<T>(all: &mut HashMap<Hash, Pass<T>>, secret: &str, known: &Known, lasts: Duration, what: T) -> Result<()> {
    let now = Instant::now();
    if all.len() >= MOST {
        all.retain(|_, pass| pass.until > now);
    }
    if all.len() >= MOST {
        return Err(Error::new(Kind::RateLimited, format!("{MOST} of these are open already: wait until some have ended")));
    }
    // What was shown once more stands for less: it cannot be exchanged for something that lasts.
    let known = Known { by_token: true, ..known.clone() };
    all.insert(hash(secret), Pass { known, until: now + lasts, what });
    Ok(())
}

/// A socket's path, wherever it is reached.
fn socket(path: &str) -> &str {
    let path = path.trim_matches('/');
    path.strip_prefix("api/").unwrap_or(path)
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret).into()
}

fn random() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::Internal, format!("the system gives no random numbers: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Keys, Scope};
    use crate::store::Store;

    async fn known() -> Known {
        let data = tempfile::tempdir().unwrap();
        let keys = Keys::open(Store::in_memory().unwrap(), None, data.path()).unwrap();
        let (key, _) = keys.create("a", [Scope::Read].into_iter().collect()).await.unwrap();
        keys.identify(&key).await.unwrap()
    }

    #[tokio::test]
    async fn each_opens_what_it_is_for_as_often_and_as_long_as_it_may() {
        let (passes, known) = (Passes::default(), known().await);
        let ticket = passes.ticket(&known, "/api/ws/echo").unwrap();
        assert!(passes.of_link(&ticket).is_none() && passes.of_cookie(&ticket).is_none());
        assert!(passes.of_ticket(&ticket, "/ws/echo/").is_some());
        assert!(passes.of_ticket(&ticket, "/ws/echo").is_none(), "it is good for once");
        let ticket = passes.ticket(&known, "/ws/echo").unwrap();
        assert!(passes.of_ticket(&ticket, "/ws/shell/x").is_none());
        assert!(passes.of_ticket(&ticket, "/ws/echo").is_none(), "who tries it elsewhere has used it");
        let link = passes.link(&known).unwrap();
        assert!(passes.of_link(&link).unwrap().by_token && passes.of_link(&link).is_none());
        let session = passes.session(&known).unwrap();
        assert!((0..2).all(|_| passes.of_cookie(&session.cookie).is_some_and(|(_, csrf)| csrf == session.csrf)));
        passes.end(&session.cookie);
        assert!(passes.of_cookie(&session.cookie).is_none());
        // Their time is over.
        let (ticket, session) = (passes.ticket(&known, "/ws/echo").unwrap(), passes.session(&known).unwrap());
        lock(&passes.tickets).values_mut().for_each(|pass| pass.until = Instant::now());
        lock(&passes.sessions).values_mut().for_each(|pass| pass.until = Instant::now());
        assert!(passes.of_ticket(&ticket, "/ws/echo").is_none() && passes.of_cookie(&session.cookie).is_none());
    }
}
