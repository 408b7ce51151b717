//! The request that is being served: under which id, along which route, and who sent it.
//!
//! It goes with the task, not through every handler's arguments, so that what a caller may do ([`super::State::grant`],
//! [`super::State::runs`]) cannot be forgotten on the way. A socket stays within the visit that opened it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use serde_json::json;

use super::error::Error;
use crate::audit::{Audit, Deed};
use crate::desktop::Token;
use crate::error::{Failure, Kind};
use crate::keys::{Keys, Known, Scope, Scopes};
use crate::policy::Permissions;
use crate::runs;

/// The header that carries a request's id, both ways.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The header by which a client proves that it is at the controls of the desktop.
pub(crate) const CONTROL: &str = "x-control-token";

/// How often it is looked whether the key of an open socket is still one.
const LOOK: Duration = Duration::from_secs(1);

tokio::task_local! {
    static VISIT: Arc<Visit>;
}

/// One request.
pub(crate) struct Visit {
    /// Its id: the client's own where that is well-formed.
    pub(crate) id: String,
    /// What it shows to prove that it is at the controls of the desktop.
    control: Option<Token>,
    caller: OnceLock<Caller>,
    route: OnceLock<MatchedPath>,
    /// Where it is noted what is refused on a socket.
    audit: OnceLock<Arc<Audit>>,
}

/// Who sent it.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The key, where one was shown and looked at.
    pub(crate) known: Option<Known>,
    /// What is open to them.
    scopes: Scopes,
    /// The request only looks.
    looks: bool,
    /// What the page of a session has to repeat; none where a key was shown.
    pub(crate) csrf: Option<Arc<str>>,
}

impl Visit {
    /// A visit that begins with these headers.
    pub(crate) fn begin(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_well_formed(id));
        let id = given.map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), str::to_owned);
        let control = headers.get(CONTROL).and_then(|token| token.to_str().ok()).map(Token::shown);
        Self { id, control, caller: OnceLock::new(), route: OnceLock::new(), audit: OnceLock::new() }
    }

    /// Notes who it is.
    pub(crate) fn admit(&self, caller: Caller) {
        let _ = self.caller.set(caller);
    }

    /// What is refused on its socket is noted there.
    pub(crate) fn note_in(&self, audit: &Arc<Audit>) {
        let _ = self.audit.set(Arc::clone(audit));
    }

    /// Who sent it, once that is known.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.caller.get()
    }

    /// Resolves once the key that was shown is revoked. Never where none was.
    pub(crate) async fn revoked(&self, keys: &Keys) {
        let Some(known) = self.caller().and_then(|caller| caller.known.as_ref()) else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK).await;
            // Where it cannot be looked up, nothing is known to have changed.
            if matches!(keys.is_known(&known.key.id).await, Ok(false)) {
                return;
            }
        }
    }

    /// The route it takes, as the router writes it. None where it leads nowhere.
    pub(crate) fn route(&self) -> Option<&str> {
        self.route.get().map(MatchedPath::as_str)
    }
}

/// An id that somebody else chose is only repeated where it can do no harm in a log.
fn is_well_formed(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Does `work` within `visit`.
pub(crate) async fn within<T>(visit: Arc<Visit>, work: impl Future<Output = T>) -> T {
    VISIT.scope(visit, work).await
}

/// The visit that the running task belongs to.
pub(crate) fn current() -> Option<Arc<Visit>> {
    VISIT.try_with(Arc::clone).ok()
}

/// Who sent the request that the running task serves.
pub(crate) fn caller() -> Option<Caller> {
    VISIT.try_with(|visit| visit.caller.get().cloned()).ok().flatten()
}

/// The name of the key that was shown. None where nobody had to show one.
pub(crate) fn name() -> Option<String> {
    Some(caller()?.known?.key.name.clone())
}

/// What the caller is called in the audit log.
pub(crate) fn actor() -> String {
    actor_of(caller().as_ref())
}

/// The same of a caller that may not be known yet.
pub(crate) fn actor_of(caller: Option<&Caller>) -> String {
    match caller {
        Some(Caller { known: Some(known), .. }) => format!("key:{}", known.key.name),
        Some(caller) if caller.scopes == Scopes::all() => "local".to_owned(),
        Some(_) | None => "anonymous".to_owned(),
    }
}

/// What was shown to prove that the caller is at the controls of the desktop.
pub(crate) fn control_token() -> Option<Token> {
    VISIT.try_with(|visit| visit.control.clone()).ok().flatten()
}

/// The id of the request that the running task serves.
pub(crate) fn request_id() -> Option<String> {
    VISIT.try_with(|visit| visit.id.clone()).ok()
}

/// Notes the route that the router chose.
pub(crate) fn note_route(request: Request) -> Request {
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        let _ = VISIT.try_with(|visit| visit.route.set(route.clone()));
    }
    request
}

impl Caller {
    /// Whoever calls a server that wants no keys.
    pub(crate) fn anyone() -> Self {
        Self { known: None, scopes: Scopes::all(), looks: false, csrf: None }
    }

    /// Whoever uses what is open to all, on a server that wants keys.
    pub(crate) fn nobody() -> Self {
        Self { known: None, scopes: Scopes::default(), looks: false, csrf: None }
    }

    /// Somebody with a key; `looks` where the request changes nothing.
    pub(crate) fn known(known: Known, looks: bool) -> Self {
        Self { scopes: known.scopes, known: Some(known), looks, csrf: None }
    }

    /// The workflows that their key is for, where it is for some only.
    pub(crate) fn only_for(&self) -> Option<&[String]> {
        let workflows = &self.known.as_ref()?.key.workflows;
        (!workflows.is_empty()).then_some(workflows)
    }

    /// Refuses whose key is for some workflows only, where that is not about one of them or a run of theirs.
    pub(crate) fn require_one_of_theirs(&self, is_one: bool) -> Result<(), Error> {
        match self.only_for() {
            Some(workflows) if !is_one => Err(runs::only_these(workflows).into()),
            _ => Ok(()),
        }
    }

    /// Refuses who has not this scope.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Error> {
        self.require_one_of_theirs(scope == Scope::Workflows)?;
        if self.scopes.open(scope) {
            return Ok(());
        }
        let has = self.scopes.to_string();
        let message = format!("this needs a key with the scope `{scope}`, and yours has `{has}`: trae keys create --scope {scope}");
        Err(Failure::new(Kind::PermissionDenied, message).with(json!({ "scope": scope, "scopes": self.scopes })).into())
    }

    /// What a run may do that they start; none where nothing holds them back.
    pub(crate) fn for_runs(&self) -> Option<Permissions> {
        (!self.scopes.open(Scope::Admin)).then(|| self.scopes.permissions())
    }

    /// What a handler may do for them; none where nothing holds them back. To look, the scope `read` is enough. For a key that is for
    /// some workflows only handlers do nothing by themselves.
    pub(crate) fn for_handlers(&self) -> Option<Permissions> {
        if self.only_for().is_some() {
            return Some(Permissions::default());
        }
        let mut permissions = self.for_runs()?;
        if self.looks {
            permissions.merge(&Permissions { screen: true, clipboard: true, process: true, ..Permissions::default() });
        }
        Some(permissions)
    }
}

/// Refuses who has not this scope: for what is said on a socket, whose route asks for less.
pub(crate) fn require(scope: Scope) -> Result<(), Failure> {
    let caller = caller().unwrap_or_else(Caller::nobody);
    let refused = caller.require(scope).map_err(|error| error.failure().clone());
    if let (Err(failure), Some(visit)) = (&refused, current())
        && let (Some(audit), Some(route)) = (visit.audit.get(), visit.route())
        // The refusal of a request is its answer, which is on record.
        && route.contains("/ws/")
    {
        let details = json!({ "request_id": visit.id, "scope": scope });
        audit
            .denied(Deed { actor: actor_of(Some(&caller)), action: "socket".to_owned(), target: Some(route.to_owned()), details }, failure);
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_others_are_kept_where_they_can_do_no_harm() {
        let begun = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, id.parse().unwrap());
            Visit::begin(&headers).id
        };
        assert_eq!(begun("abc-1.2_3"), "abc-1.2_3");
        for bad in ["", "a b", "a\tb", "<script>", &"x".repeat(65)] {
            assert_ne!(begun(bad), bad);
        }
        assert_eq!(Visit::begin(&HeaderMap::new()).id.len(), 32);
    }
}
