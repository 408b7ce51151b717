//! The API over real connections, with the whole of TRAE behind it.

mod auth;
mod bodies;
mod description;
mod door;
mod errors;
mod limits;
mod runs;
pub mod served;
mod server;
mod socket;
mod tls;
mod workflows;
