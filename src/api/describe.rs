//! What the description says of every operation alike, so that no handler has to: the refusals of the door, of bodies and of paths.
//!
//! A handler's own attribute lists what is particular to it; what it lists wins.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{ContentBuilder, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder};

/// A refusal that many operations share: its name among the components, its status, and what it means.
struct Refusal {
    name: &'static str,
    status: &'static str,
    means: &'static str,
    applies: fn(&str, &Operation) -> bool,
}

const REFUSALS: &[Refusal] = &[
    Refusal { name: "BadRequest", status: "400", means: "The request or its body does not parse.", applies: |_, _| true },
    Refusal {
        name: "Unauthenticated",
        status: "401",
        means: "A key is needed, and missing or wrong.",
        applies: |path, _| path.starts_with("/api") || path.starts_with("/ws") || path == "/metrics",
    },
    Refusal { name: "Forbidden", status: "403", means: "Known, but not allowed: scope, permission, Host or Origin.", applies: |_, _| true },
    Refusal {
        name: "NotFound",
        status: "404",
        means: "There is no such thing.",
        applies: |path, operation| takes(operation, &ParameterIn::Path) || may_name_a_desktop(path),
    },
    Refusal {
        name: "PayloadTooLarge",
        status: "413",
        means: "The body is larger than MAX_BODY_BYTES.",
        applies: |_, operation| operation.request_body.is_some(),
    },
    Refusal {
        name: "UnsupportedMediaType",
        status: "415",
        means: "The body is not application/json.",
        applies: |_, operation| operation.request_body.is_some(),
    },
    Refusal {
        name: "Invalid",
        status: "422",
        means: "Values are not accepted: details.errors lists each with its path. Nothing was changed.",
        applies: |_, operation| operation.request_body.is_some() || operation.parameters.as_ref().is_some_and(|list| !list.is_empty()),
    },
    Refusal {
        name: "RateLimited",
        status: "429",
        means: "Too many, too fast: try again after Retry-After seconds.",
        applies: |path, _| path.starts_with("/api") && !path.starts_with("/api/health"),
    },
    Refusal {
        name: "ServiceUnavailable",
        status: "503",
        means: "The part is off, or this machine lacks it: details.hint says how to get it.",
        applies: |path, _| path.starts_with("/api") || path.starts_with("/ws"),
    },
];

/// Adds to each operation the refusals that it shares with others.
pub(super) fn complete(description: &mut OpenApi) {
    let components = description.components.get_or_insert_default();
    for refusal in REFUSALS {
        components.responses.insert(refusal.name.to_owned(), RefOr::T(response(refusal.means)));
    }
    for (path, item) in &mut description.paths.paths {
        for operation in operations(item) {
            for refusal in REFUSALS {
                if (refusal.applies)(path, operation) {
                    let shared = || RefOr::Ref(Ref::from_response_name(refusal.name));
                    operation.responses.responses.entry(refusal.status.to_owned()).or_insert_with(shared);
                }
            }
        }
    }
}

fn response(means: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorResponse"))).build();
    ResponseBuilder::new().description(means).content("application/json", body).build()
}

/// Whether a desktop can be named there, which may not be there.
fn may_name_a_desktop(path: &str) -> bool {
    ["/api/automation", "/api/desktop", "/api/snapshots/create"].iter().any(|room| path.starts_with(room))
}

fn takes(operation: &Operation, place: &ParameterIn) -> bool {
    operation.parameters.iter().flatten().any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == *place))
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}
