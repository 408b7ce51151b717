//! The API over the wire: the only room that knows the web server.
//!
//! [`router`] is every route on one page. Handlers translate and decide nothing: they take in a checked request ([`extract`]), ask
//! another room, and shape its answer; what fails leaves through [`error`]. [`door`] stands before all of them, [`server`] carries it.

mod automation;
mod body;
mod describe;
mod desktop;
mod desktop_stream;
mod docs;
pub mod door;
mod echo;
pub mod error;
pub mod extract;
mod filesystem;
mod health;
mod metrics;
mod node_configs;
mod node_templates;
mod router;
mod runs;
mod scripts;
pub mod server;
mod shell;
mod shell_terminal;
mod snapshots;
mod socket;
mod state;
mod success;
mod triggers;
mod webhooks;
mod workflow_automation;
mod workflows;

pub use door::Door;
pub use router::{door, openapi, routes};
pub use server::serve;
pub use state::{Parts, State};
