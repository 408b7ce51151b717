//! Every route on one page.
//!
//! A line here is all that a route needs: its path, method and description stand at the handler, and `/openapi.json` is made of the
//! same list. Paths are documented as the specification writes them; they answer with and without a slash at the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use tower::util::MapRequestLayer;
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::Paths;
use utoipa::openapi::schema::Schema;
use utoipa_axum::routes;

use super::door::Door;
use super::state::State;
use super::visit;
use super::{
    auth, automation, describe, desktop, docs, echo, error, filesystem, health, keys, metrics, node_configs, runs, scripts, triggers,
    webhooks, workflow_automation, workflows,
};

/// Every route.
fn table() -> Table {
    Table::new()
        // health
        .add(routes!(health::health))
        .add(routes!(health::detailed))
        .add(routes!(health::service))
        .add(routes!(health::restart))
        .add(routes!(metrics::metrics))
        // keys
        .add(routes!(auth::token))
        .add(routes!(keys::list, keys::create))
        .add(routes!(keys::revoke))
        // desktop
        .add(routes!(desktop::info))
        .add(routes!(desktop::screenshot))
        .add(routes!(desktop::frame))
        // automation
        .add(routes!(automation::status))
        .add(routes!(automation::capabilities))
        .add(routes!(automation::click))
        .add(routes!(automation::type_text))
        // node types
        .add(routes!(node_configs::list))
        .add(routes!(node_configs::get))
        // workflows
        .add(routes!(workflows::list, workflows::create))
        .add(routes!(workflows::status))
        .add(routes!(workflows::validate))
        .add(routes!(workflows::get, workflows::update, workflows::delete))
        .add(routes!(workflows::execute))
        .add(routes!(workflows::script))
        // scripts
        .add(routes!(scripts::list))
        .add(routes!(scripts::check))
        .add(routes!(scripts::get, scripts::put, scripts::delete))
        .add(routes!(scripts::run))
        // runs
        .add(routes!(runs::list))
        .add(routes!(runs::get))
        .add(routes!(runs::cancel))
        .add(routes!(runs::events))
        // triggers
        .add(routes!(triggers::list))
        .add(routes!(triggers::get, triggers::change))
        // webhooks
        .add(routes!(webhooks::receive))
        // sockets
        .add(routes!(echo::health))
        .add(routes!(echo::open))
        .add(routes!(echo::open_below_api))
        .add(routes!(filesystem::open))
        .add(routes!(filesystem::open_below_api))
        .add(routes!(workflow_automation::open))
        .add(routes!(workflow_automation::open_below_api))
        // description
        .add(routes!(docs::openapi_json))
        .add(routes!(docs::page))
        .add(routes!(docs::file))
}

/// The whole API behind its door.
pub fn door(state: State) -> Door {
    let Table { router, .. } = table();
    let routes = router
        .route_layer(MapRequestLayer::new(visit::note_route))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(metrics::Counting(Arc::clone(state.answered())))
        .with_state(state.clone());
    Door::new(routes, state.config()).with(state.keys())
}

/// The description of every route.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut described = table().described;
    describe::complete(&mut described);
    described
}

/// Every path that is routed, as it is documented.
pub fn routes() -> BTreeSet<String> {
    table().routed
}

/// What the description says of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "TRAE",
        description = "Trusted Remote Automation Environment: sees a desktop, uses its mouse and keyboard, reads its text, and runs workflows and scripts that do."
    ),
    components(schemas(error::ErrorResponse))
)]
struct Description;

/// Routes and their description, filled from the same lines.
struct Table {
    router: Router<State>,
    described: utoipa::openapi::OpenApi,
    routed: BTreeSet<String>,
}

/// What `routes!` makes of a handler.
type Line = (Vec<(String, RefOr<Schema>)>, Paths, axum::routing::MethodRouter<State>);

impl Table {
    fn new() -> Self {
        Self { router: Router::new(), described: Description::openapi(), routed: BTreeSet::new() }
    }

    fn add(mut self, (schemas, paths, methods): Line) -> Self {
        for (path, item) in paths.paths {
            self.router = self.router.route(&routed(&path), methods.clone());
            self.routed.insert(path.trim_end_matches('/').to_owned());
            self.described.paths.paths.insert(path, item);
        }
        self.described.components.get_or_insert_default().schemas.extend(schemas);
        self
    }
}

/// How axum writes a documented path: without the slash at the end, and with a star where the rest of the path is meant. Nothing can
/// stand behind such a star, so that running a script shares its route with the script.
fn routed(path: &str) -> String {
    match path.trim_end_matches('/') {
        "/api/webhooks/{path}" => "/api/webhooks/{*path}".to_owned(),
        "/api/scripts/{path}" | "/api/scripts/{path}/run" => "/api/scripts/{*path}".to_owned(),
        path => path.to_owned(),
    }
}
