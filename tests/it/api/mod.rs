//! The API over real connections, with the whole of TRAE behind it.

mod automation;
mod bodies;
mod description;
mod desktop;
mod desktop_stream;
mod door;
mod errors;
mod filesystem;
mod health;
mod metrics;
mod node_configs;
mod runs;
mod scripts;
pub mod served;
mod server;
mod shell;
mod shell_processes;
mod shell_terminal;
mod snapshots;
mod snapshots_crash;
mod snapshots_work;
mod socket;
mod sockets;
mod triggers;
mod workflows;
mod workflows_drawn;
