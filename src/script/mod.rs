//! The only room that says rhai: the engine and its limits, the functions a script has, the folders scripts come from.
//!
//! Most of it lives in the *runner*, a child process of the same binary ([`runner::main`]) that holds the engine and nothing else:
//! each host function builds a [`Call`](crate::host::protocol::Call) and asks the server. In the server itself this room only keeps
//! the library of scripts and node types, and checks the expressions of graphs.

mod bind;
mod engine;
mod error;
pub mod expression;
pub mod header;
mod imports;
mod library;
mod link;
pub mod reference;
pub mod runner;
mod steps;
mod values;

pub use library::{Catalog, Library, LibraryError, LibraryEvent, ScriptFile, Settings, starters};
