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

use super::door::Door;
use super::state::State;
use super::visit;
use super::{
    approvals, audit, auth, automation, describe, desktop, desktop_stream, docs, echo, error, filesystem, health, keys, metrics,
    node_configs, node_templates, queue, recordings, run_files, runs, scripts, secrets, shell, shell_terminal, snapshots, triggers,
    versions, webhooks, workflow_automation, workflows, zones,
};

/// A route at once, and its description when somebody asks: a server that nobody asks for it never makes it.
macro_rules! routes {
    ($first:path $(, $more:path)* $(,)?) => {
        utoipa_axum::paste! {{
            use utoipa_axum::PathItemExt as _;
            let on = |methods: Vec<utoipa::openapi::HttpMethod>| methods.into_iter().map(|method| method.to_method_filter());
            let path = utoipa_axum::routes!(@path [path()] of $first);
            let methods = axum::routing::MethodRouter::new();
            let methods = on(utoipa_axum::routes!(@path [methods()] of $first)).fold(methods, |all, method| all.on(method, $first));
            $(let methods = on(utoipa_axum::routes!(@path [methods()] of $more)).fold(methods, |all, method| all.on(method, $more));)*
            Line { path, methods, described: || utoipa_axum::routes!($first $(, $more)*) }
        }}
    };
}

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
        .add(routes!(auth::session, auth::begin_session, auth::end_session))
        .add(routes!(auth::link))
        .add(routes!(auth::ticket))
        .add(routes!(auth::enter))
        .add(routes!(keys::list, keys::create))
        .add(routes!(keys::revoke))
        .add(routes!(audit::list))
        .add(routes!(secrets::list))
        .add(routes!(secrets::set, secrets::remove))
        // desktop
        .add(routes!(desktop::streaming::status))
        .add(routes!(desktop::streaming::configure))
        .add(routes!(desktop::info))
        .add(routes!(desktop::picture::screenshot))
        .add(routes!(desktop::picture::frame))
        .add(routes!(desktop::control::get))
        .add(routes!(desktop::control::request))
        .add(routes!(desktop::control::take))
        .add(routes!(desktop::control::give))
        .add(routes!(desktop::control::release))
        .add(routes!(desktop::control::emergency_stop))
        .add(routes!(desktop::targets::list, desktop::targets::create))
        .add(routes!(desktop::targets::get, desktop::targets::delete))
        .add(routes!(desktop::windows::list))
        .add(routes!(desktop::windows::get))
        .add(routes!(desktop::windows::image))
        .add(routes!(desktop::windows::focus))
        .add(routes!(desktop::windows::move_to))
        .add(routes!(desktop::windows::resize))
        .add(routes!(desktop::windows::minimize))
        .add(routes!(desktop::windows::maximize))
        .add(routes!(desktop::windows::restore))
        .add(routes!(desktop::windows::close))
        // automation
        .add(routes!(automation::status))
        .add(routes!(automation::capabilities))
        .add(routes!(automation::mouse::click))
        .add(routes!(automation::mouse::move_to))
        .add(routes!(automation::mouse::drag))
        .add(routes!(automation::mouse::scroll))
        .add(routes!(automation::mouse::down))
        .add(routes!(automation::mouse::up))
        .add(routes!(automation::mouse::position))
        .add(routes!(automation::keyboard::type_text))
        .add(routes!(automation::keyboard::press))
        .add(routes!(automation::keyboard::hotkey))
        .add(routes!(automation::keyboard::down))
        .add(routes!(automation::keyboard::up))
        .add(routes!(automation::clipboard::read, automation::clipboard::write))
        .add(routes!(automation::text::read))
        .add(routes!(automation::text::find))
        .add(routes!(automation::text::wait))
        .add(routes!(automation::text::click))
        .add(routes!(automation::picture::find))
        .add(routes!(automation::picture::wait))
        .add(routes!(automation::picture::click))
        .add(routes!(automation::picture::difference))
        .add(routes!(automation::picture::pixel))
        .add(routes!(automation::picture::still))
        .add(routes!(automation::picture::change))
        // node types and node configs
        .add(routes!(node_templates::list))
        .add(routes!(node_templates::get))
        .add(routes!(node_configs::list, node_configs::create))
        .add(routes!(node_configs::get, node_configs::update, node_configs::delete))
        // snapshots
        .add(routes!(snapshots::create))
        .add(routes!(snapshots::list))
        .add(routes!(snapshots::work::ocr))
        .add(routes!(snapshots::work::click))
        .add(routes!(snapshots::templates::list, snapshots::templates::create))
        .add(routes!(snapshots::templates::get, snapshots::templates::update, snapshots::templates::delete))
        .add(routes!(snapshots::templates::apply))
        .add(routes!(snapshots::get, snapshots::delete))
        .add(routes!(snapshots::image))
        // recordings
        .add(routes!(recordings::list, recordings::start))
        .add(routes!(recordings::get, recordings::delete))
        .add(routes!(recordings::pause))
        .add(routes!(recordings::resume))
        .add(routes!(recordings::stop))
        .add(routes!(recordings::workflow, recordings::keep))
        .add(routes!(recordings::image))
        .add(routes!(recordings::video))
        // workflows
        .add(routes!(workflows::list, workflows::create))
        .add(routes!(workflows::status))
        .add(routes!(workflows::validate))
        .add(routes!(workflows::import))
        .add(routes!(workflows::get, workflows::update, workflows::delete))
        .add(routes!(workflows::execute))
        .add(routes!(workflows::approve))
        .add(routes!(workflows::script))
        .add(routes!(versions::deleted))
        .add(routes!(versions::of_workflow))
        .add(routes!(versions::drawing))
        .add(routes!(versions::compiled))
        .add(routes!(versions::restore_workflow))
        .add(routes!(versions::compare_workflow))
        // scripts
        .add(routes!(scripts::list))
        .add(routes!(scripts::check))
        .add(routes!(scripts::get, scripts::put, scripts::delete))
        .add(routes!(scripts::run))
        .shares(routes!(scripts::approve))
        .add(routes!(versions::of_script))
        .add(routes!(versions::source))
        .add(routes!(versions::restore_script))
        .add(routes!(versions::compare_script))
        // runs
        .add(routes!(runs::list))
        .add(routes!(runs::get))
        .add(routes!(runs::cancel))
        .add(routes!(runs::retry))
        .add(routes!(runs::events))
        .add(routes!(queue::get))
        .add(routes!(run_files::image))
        .add(routes!(run_files::value))
        .add(routes!(run_files::export))
        .add(routes!(approvals::list))
        .add(routes!(approvals::get, approvals::decide))
        // shell
        .add(routes!(shell::commands::powershell))
        .add(routes!(shell::commands::cmd))
        .add(routes!(shell::commands::bash))
        .add(routes!(shell::commands::sh))
        .add(routes!(shell::commands::zsh))
        .add(routes!(shell::commands::fish))
        .add(routes!(shell::commands::status))
        .add(routes!(shell::sessions::list, shell::sessions::create))
        .add(routes!(shell::sessions::get, shell::sessions::delete))
        .add(routes!(shell::sessions::screen))
        .add(routes!(shell::processes::of_session))
        .add(routes!(shell::recordings::get, shell::recordings::start, shell::recordings::stop))
        .add(routes!(shell::sessions::history))
        .add(routes!(shell::environment::get, shell::environment::set))
        .add(routes!(shell::environment::change_directory))
        .add(routes!(shell::processes::list))
        .add(routes!(shell::processes::kill))
        .add(routes!(shell::processes::suspend))
        .add(routes!(shell::processes::resume))
        // zones
        .add(routes!(zones::list))
        .add(routes!(zones::get, zones::put, zones::delete))
        .add(routes!(zones::locate))
        .add(routes!(zones::click))
        // triggers
        .add(routes!(triggers::list, triggers::create))
        .add(routes!(triggers::get, triggers::change, triggers::delete))
        // webhooks
        .add(routes!(webhooks::receive))
        .add(routes!(webhooks::try_out))
        // sockets
        .add(routes!(echo::health))
        .add(routes!(echo::open))
        .add(routes!(echo::open_below_api))
        .add(routes!(filesystem::open))
        .add(routes!(filesystem::open_below_api))
        .add(routes!(desktop_stream::open))
        .add(routes!(desktop_stream::open_below_api))
        .add(routes!(workflow_automation::open))
        .add(routes!(workflow_automation::open_below_api))
        .add(routes!(shell_terminal::open))
        .add(routes!(shell_terminal::open_below_api))
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
    Door::new(routes, state.config()).with(state.keys(), state.audit(), state.passes())
}

/// The description of every route.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut described = table().describe();
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
    described: Vec<fn() -> Described>,
    routed: BTreeSet<String>,
}

/// What `routes!` makes of handlers.
struct Line {
    path: String,
    methods: axum::routing::MethodRouter<State>,
    described: fn() -> Described,
}

/// What utoipa makes of them.
type Described = (Vec<(String, RefOr<Schema>)>, Paths, axum::routing::MethodRouter<State>);

impl Table {
    fn new() -> Self {
        Self { router: Router::new(), described: Vec::new(), routed: BTreeSet::new() }
    }

    fn add(mut self, line: Line) -> Self {
        self.router = self.router.route(&routed(&line.path), line.methods);
        self.routed.insert(line.path.trim_end_matches('/').to_owned());
        self.described.push(line.described);
        self
    }

    /// Describes a route that another one's handler takes.
    fn shares(mut self, line: Line) -> Self {
        self.routed.insert(line.path.trim_end_matches('/').to_owned());
        self.described.push(line.described);
        self
    }

    fn describe(self) -> utoipa::openapi::OpenApi {
        let mut whole = Description::openapi();
        for (schemas, paths, _) in self.described.into_iter().map(|described| described()) {
            whole.paths.paths.extend(paths.paths);
            whole.components.get_or_insert_default().schemas.extend(schemas);
        }
        whole
    }
}

/// How axum writes a documented path: without the slash at the end, and with a star where the rest of the path is meant. Nothing can
/// stand behind such a star, so that running a script shares its route with the script.
fn routed(path: &str) -> String {
    match path.trim_end_matches('/') {
        "/api/webhooks/{path}" => "/api/webhooks/{*path}".to_owned(),
        "/api/webhooks-test/{path}" => "/api/webhooks-test/{*path}".to_owned(),
        "/api/scripts/{path}" | "/api/scripts/{path}/run" | "/api/scripts/{path}/approve" => "/api/scripts/{*path}".to_owned(),
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}
