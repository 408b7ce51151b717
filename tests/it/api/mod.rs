//! The API over real connections, with the whole of TRAE behind it.

mod bodies;
mod description;
mod door;
mod errors;
mod runs;
pub mod served;
mod server;
mod socket;
mod workflows;
