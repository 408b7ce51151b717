//! The API over the wire: the only room that knows the web server.
//!
//! [`router`] is every route on one page. Handlers translate and decide nothing: they take in a checked request ([`extract`]), ask
//! another room, and shape its answer; what fails leaves through [`error`]. [`door`] stands before all of them, [`server`] carries it,
//! [`access`] says which scope each route asks for.

pub mod access;
mod approvals;
mod audit;
mod auth;
mod automation;
mod body;
mod describe;
mod desktop;
mod desktop_stream;
mod docs;
pub mod door;
mod echo;
pub mod error;
mod execute;
pub mod extract;
mod filesystem;
mod health;
mod keys;
mod limits;
mod metrics;
mod node_configs;
mod node_templates;
mod noted;
mod owner;
mod passes;
mod peer;
mod queue;
mod recordings;
mod request_log;
mod router;
mod run_files;
mod runs;
mod scripts;
mod secrets;
mod secured;
pub mod server;
mod shell;
mod shell_terminal;
mod shown;
mod snapshots;
mod socket;
mod state;
mod success;
mod tls;
mod triggers;
mod ttyd;
mod versions;
mod visit;
mod webhooks;
mod workflow_automation;
mod workflows;
mod zones;

/// Whether a text is a message of `/ws/desktop-stream`, and of `/ws/workflow-automation`: what reads them there, without a socket.
pub fn understands(text: &str) -> [bool; 2] {
    [desktop_stream::understands(text), workflow_automation::understands(text)]
}

pub use door::Door;
pub use router::{door, openapi, routes};
pub use server::serve;
pub use state::{Parts, State};
pub use tls::Tls;
