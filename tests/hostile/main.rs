//! Attacks that must fail: black-box cases against the real binary, over its own doors.
//!
//! Most of it is data beside this file; a new case is a new row. After every case the same process answers its health promptly, and has not
//! grown past the bound ([`server::Server::survived`]).
#![cfg(target_os = "linux")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod faults;
mod graphs;
mod requests;
mod scripts;
mod server;
mod sockets;
mod trust;
mod urls;
