//! One line of the log for each request: its id, method, route, status and how long it took.
//!
//! The route stands there as the router writes it, without what was filled in, and without the query: neither can hold a secret then.

use std::time::Duration;

use axum::http::{Method, StatusCode};

use super::access::{self, is_health};
use super::visit::Visit;

/// Writes the line. Health is asked all the time, which is worth a line only to whoever looks closely.
pub(crate) fn note(visit: &Visit, method: &Method, path: &str, status: StatusCode, took: Duration) {
    // Who is refused at the door does not come to a route; the row of the table tells where they knocked.
    let route = visit.route().or_else(|| access::room(path)).unwrap_or("(none)");
    let key = visit.caller().and_then(|caller| Some(caller.known.as_ref()?.key.id.as_str()));
    let (method, status, milliseconds) = (method.as_str(), status.as_u16(), took.as_micros() as f64 / 1000.0);
    if is_health(route) {
        tracing::debug!(request_id = visit.id, method, route, status, milliseconds, key, "request");
    } else {
        tracing::info!(request_id = visit.id, method, route, status, milliseconds, key, "request");
    }
}
