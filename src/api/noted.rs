//! What the door puts on record of a request: that it comes, before anything of it is done, and what it was answered.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::access;
use super::error::Error;
use super::visit::{self, Visit};
use crate::audit::{Audit, Deed, Outcome};
use crate::error::{Failure, Kind};

/// What is asked by POST and changes nothing.
const LOOKS: &[&str] = &[
    "/api/automation/picture/difference",
    "/api/automation/picture/find",
    "/api/automation/picture/wait",
    "/api/automation/screen/change",
    "/api/automation/screen/still",
    "/api/automation/text/find",
    "/api/automation/text/read",
    "/api/automation/text/wait",
    "/api/desktop/screenshot",
    "/api/scripts/check",
    "/api/snapshots/ocr/execute",
    "/api/workflows/validate",
];
/// What is changed by opening a socket: whoever has a terminal may type into it.
const TERMINALS: &str = "/ws/shell";
/// What calls of these rooms start is on record by itself, with who called.
const WEBHOOKS: &[&str] = &["/api/webhooks", "/api/webhooks-test"];

/// What stops or mends something: better done without a record than not done.
const STOPS: &[&str] = &["/api/desktop/control/release", "/api/desktop/emergency-stop", "/api/health/restart/{}", "/api/runs/{}/cancel"];

/// One request on record.
pub(super) struct Noted {
    audit: Arc<Audit>,
    id: i64,
}

/// What is said of a request.
pub(super) struct Asked {
    method: Method,
    path: String,
    room: Option<&'static str>,
    client: IpAddr,
    upgrades: bool,
}

impl Asked {
    pub(super) fn new(method: &Method, path: &str, client: IpAddr, upgrades: bool) -> Self {
        Self { method: method.clone(), path: path.to_owned(), room: access::room(path), client, upgrades }
    }

    /// Whether something may be otherwise after it.
    fn changes(&self) -> bool {
        let Some(room) = self.room else { return false };
        let looks = LOOKS.contains(&self.path.trim_end_matches('/'));
        match self.method.is_safe() {
            true => self.upgrades && room == TERMINALS,
            false => !looks && !WEBHOOKS.contains(&room),
        }
    }

    fn stops(&self) -> bool {
        self.method == Method::POST && STOPS.iter().any(|stop| access::fits(stop, &self.path))
    }

    fn deed(&self, visit: &Visit) -> Deed {
        let caller = visit.caller();
        let known = caller.and_then(|caller| caller.known.as_ref());
        Deed {
            actor: visit::actor_of(caller),
            action: format!("{} {}", self.method, self.room.unwrap_or("elsewhere")),
            target: Some(self.path.clone()),
            details: json!({
                "request_id": visit.id,
                "peer": self.client,
                "key_id": known.map(|known| &known.key.id),
            }),
        }
    }

    /// Notes that it begins, if it changes anything.
    ///
    /// # Errors
    /// Where that cannot be kept: it is not done then.
    pub(super) async fn begin(&self, audit: Option<&Arc<Audit>>, visit: &Visit) -> Result<Option<Noted>, Error> {
        if let Some(audit) = audit {
            visit.note_in(audit);
        }
        let Some(audit) = audit.filter(|_| self.changes()) else { return Ok(None) };
        match audit.begin(self.deed(visit)).await {
            Ok(id) => Ok(Some(Noted { audit: Arc::clone(audit), id })),
            Err(error) if self.stops() => {
                tracing::error!(%error, path = self.path, "this is done though it is not in the audit log");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Notes that it was refused before it began. Who shows nothing tries nothing.
    pub(super) fn refused(&self, audit: Option<&Arc<Audit>>, visit: &Visit, failure: &Failure, showed: bool) {
        let counts = match failure.code {
            Kind::PermissionDenied | Kind::OriginNotAllowed | Kind::HostNotAllowed => true,
            Kind::Unauthenticated => showed,
            _ => false,
        };
        if let Some(audit) = audit.filter(|_| counts) {
            audit.denied(self.deed(visit), failure);
        }
    }
}

impl Noted {
    /// Notes what it was answered.
    pub(super) fn end(self, response: &Response) {
        let status = response.status();
        let outcome = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Outcome::Denied,
            status if status.is_client_error() => Outcome::Refused,
            status if status.is_server_error() => Outcome::Failed,
            _ => Outcome::Ok,
        };
        self.audit.end(self.id, outcome, json!({ "status": status.as_u16() }));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn what_changes_nothing_is_not_on_record() {
        let changes = |method: Method, path: &str, upgrades| Asked::new(&method, path, Ipv4Addr::LOCALHOST.into(), upgrades).changes();
        assert!(changes(Method::POST, "/api/auth/token", false));
        assert!(changes(Method::POST, "/api/shell/bash", false) && changes(Method::DELETE, "/api/keys/x/", false));
        assert!(changes(Method::GET, "/ws/shell/x", true) && changes(Method::GET, "/api/ws/shell/x", true));
        for path in ["/api/workflows/validate/", "/api/webhooks/orders", "/nowhere"] {
            assert!(!changes(Method::POST, path, false), "{path}");
        }
        let stops = |method: Method, path: &str| Asked::new(&method, path, Ipv4Addr::LOCALHOST.into(), false).stops();
        for path in ["/api/runs/x/cancel", "/api/desktop/emergency-stop/", "/api/health/restart/ocr", "/api/desktop/control/release"] {
            assert!(stops(Method::POST, path), "{path}");
        }
        for (method, path) in [
            (Method::DELETE, "/api/workflows/cancel"),
            (Method::POST, "/api/workflows/cancel"),
            (Method::POST, "/api/runs/cancel"),
            (Method::POST, "/api/runs/x/y/cancel"),
            (Method::DELETE, "/api/runs/x/cancel"),
            (Method::PUT, "/api/scripts/a/release"),
        ] {
            assert!(!stops(method.clone(), path), "{method} {path}");
        }
        assert!(!changes(Method::GET, "/api/runs", false) && !changes(Method::GET, "/ws/filesystem", true));
    }
}
