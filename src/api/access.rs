//! Which scope each route asks for, on one page.
//!
//! A row counts for its path and everything below it; the longest one that fits decides. Looking (`GET`) and changing are told apart;
//! a socket is opened by looking, and what is said on it asks for its own scope ([`super::visit::Caller::require`]).
//!
//! A key that is for some workflows only ([`crate::keys::Key::workflows`]) reaches what [`OF_WORKFLOWS`] lists and nothing else, whatever its
//! scopes are; which workflows and runs these are is looked at where they are looked up ([`crate::runs::Runs::only`]).

use axum::http::Method;

use crate::keys::Scope;

/// What a route asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Open,
    /// A key, whatever it opens.
    Key,
    /// A key with this scope.
    Scope(Scope),
}

const READ: Need = Need::Scope(Scope::Read);
const DESKTOP: Need = Need::Scope(Scope::Desktop);
const SHELL: Need = Need::Scope(Scope::Shell);
const SCRIPTS: Need = Need::Scope(Scope::Scripts);
const WORKFLOWS: Need = Need::Scope(Scope::Workflows);
const ADMIN: Need = Need::Scope(Scope::Admin);

/// Path, what looking needs, what changing needs.
const TABLE: &[(&str, Need, Need)] = &[
    // A link opens a session.
    ("/", Need::Open, Need::Open),
    ("/api/approvals", READ, WORKFLOWS),
    ("/api/audit", ADMIN, ADMIN),
    ("/api/auth", Need::Key, Need::Key),
    ("/api/automation", READ, DESKTOP),
    ("/api/desktop", READ, DESKTOP),
    // Whoever makes one starts programs.
    ("/api/desktop/targets", READ, ADMIN),
    ("/api/health", READ, ADMIN),
    ("/api/keys", ADMIN, ADMIN),
    ("/api/node-configs", READ, SCRIPTS),
    ("/api/queue", READ, WORKFLOWS),
    // What somebody typed stands there.
    ("/api/recordings", DESKTOP, DESKTOP),
    ("/api/runs", READ, WORKFLOWS),
    ("/api/script-versions", READ, SCRIPTS),
    ("/api/scripts", READ, SCRIPTS),
    ("/api/secrets", ADMIN, ADMIN),
    ("/api/settings", ADMIN, ADMIN),
    ("/api/shell", READ, SHELL),
    ("/api/snapshots", READ, DESKTOP),
    ("/api/triggers", READ, WORKFLOWS),
    // Webhooks have secrets of their own.
    ("/api/webhooks", Need::Open, Need::Open),
    ("/api/webhooks-test", WORKFLOWS, WORKFLOWS),
    ("/api/workflows", READ, WORKFLOWS),
    ("/api/zones", READ, DESKTOP),
    ("/docs", Need::Open, Need::Open),
    ("/metrics", READ, READ),
    ("/openapi.json", Need::Open, Need::Open),
    ("/ws/desktop-stream", READ, READ),
    ("/ws/echo", READ, READ),
    ("/ws/filesystem", READ, READ),
    ("/ws/health", READ, READ),
    ("/ws/shell", SHELL, SHELL),
    ("/ws/workflow-automation", READ, READ),
];

/// What a key reaches that is for some workflows only; `{}` stands for one part of a path.
const OF_WORKFLOWS: &[(Method, &str)] = &[
    (Method::POST, "/api/auth/ticket"),
    (Method::POST, "/api/auth/token"),
    (Method::GET, "/api/runs/{}"),
    (Method::POST, "/api/runs/{}/cancel"),
    (Method::GET, "/api/runs/{}/events"),
    (Method::POST, "/api/workflows/{}/execute"),
    (Method::GET, "/api/ws/workflow-automation"),
    (Method::GET, "/ws/workflow-automation"),
];

/// Whether a key that is for some workflows only may come there at all.
pub(crate) fn is_of_workflows(method: &Method, path: &str) -> bool {
    OF_WORKFLOWS.iter().any(|(listed, route)| listed == method && fits(route, path))
}

/// Whether `path` is one of `route`, in which `{}` stands for one part.
pub(super) fn fits(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.trim_matches('/').split('/'), path.trim_matches('/').split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == part || (wanted == "{}" && !part.is_empty()) => {}
            _ => return false,
        }
    }
}

/// What `method` on `path` needs. A path that leads nowhere needs a key: who has none does not learn what there is.
pub(crate) fn need(method: &Method, path: &str) -> Need {
    row(method, path).unwrap_or(Need::Key)
}

/// What the table says. None where no row fits.
pub fn row(method: &Method, path: &str) -> Option<Need> {
    let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if looks && is_health(path) {
        return Some(Need::Open);
    }
    find(path).map(|(_, look, change)| if looks { *look } else { *change })
}

/// The path of the row that fits.
pub(crate) fn room(path: &str) -> Option<&'static str> {
    find(path).map(|(row, ..)| *row)
}

fn find(path: &str) -> Option<&'static (&'static str, Need, Need)> {
    // As the router reads it: slashes at both ends do not count.
    let path = path.trim_matches('/');
    // Sockets live in both places.
    let path = path.strip_prefix("api/").filter(|rest| rest.starts_with("ws/")).unwrap_or(path);
    let covers = |row: &str| path.strip_prefix(&row[1..]).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    TABLE.iter().filter(|(row, ..)| covers(row)).max_by_key(|(row, ..)| row.len())
}

/// Whether it lives is everybody's to ask, as often as they like.
pub(crate) fn is_health(path: &str) -> bool {
    path.trim_matches('/') == "api/health"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_row_decides_and_names_that_only_begin_alike_do_not_fit() {
        assert_eq!(row(&Method::GET, "/api/health/"), Some(Need::Open));
        assert_eq!(row(&Method::GET, "/api/health/detailed"), Some(READ));
        assert_eq!(row(&Method::POST, "/api/health/restart/shell"), Some(ADMIN));
        assert_eq!(row(&Method::POST, "//api/shell/bash//"), Some(SHELL));
        assert_eq!(row(&Method::GET, "/api/ws/shell/x"), Some(SHELL));
        assert_eq!(row(&Method::GET, "/api/shellfish"), None);
        assert_eq!(need(&Method::GET, "/nowhere"), Need::Key);
    }

    #[test]
    fn what_is_for_some_workflows_is_exactly_what_is_listed() {
        assert!(is_of_workflows(&Method::POST, "/api/workflows/w/execute") && is_of_workflows(&Method::GET, "/api/runs/r/"));
        for (method, path) in [
            (Method::GET, "/api/workflows/w/execute"),
            (Method::POST, "/api/workflows//execute"),
            (Method::POST, "/api/workflows/w/x/execute"),
            (Method::PUT, "/api/workflows/w"),
            (Method::GET, "/api/runs"),
            (Method::GET, "/api/runs/r/export"),
            (Method::POST, "/api/runs/r/retry"),
            (Method::GET, "/ws/shell/x"),
        ] {
            assert!(!is_of_workflows(&method, path), "{method} {path}");
        }
    }
}
