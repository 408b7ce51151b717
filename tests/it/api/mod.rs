//! The API over real connections, with the whole of TRAE behind it.

mod auth;
mod bodies;
mod description;
mod door;
mod errors;
mod filesystem;
mod health;
mod limits;
mod metrics;
mod runs;
mod scripts;
pub mod served;
mod server;
mod socket;
mod sockets;
mod tls;
mod triggers;
mod workflows;
