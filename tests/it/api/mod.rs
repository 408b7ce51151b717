//! The API over real connections, with stand-ins behind it: what a client sees is this room's, what happens is the others'.

mod bodies;
mod description;
mod door;
mod errors;
mod events;
mod routes;
mod server;
mod socket;
mod stand_in;
