//! The API over real connections, with the whole of TRAE behind it.

mod automation;
mod bodies;
mod description;
mod desktop;
mod desktop_stream;
mod door;
mod errors;
mod runs;
pub mod served;
mod server;
mod socket;
mod workflows;
