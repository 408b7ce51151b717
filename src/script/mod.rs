//! The only room that says rhai: the engine and its limits, the functions a script has, the folders scripts come from.
//!
//! Most of it lives in the *runner*, a child process of the same binary ([`runner::main`]) that holds the engine and nothing else:
//! each host function builds a [`Call`](crate::host::protocol::Call) and asks the server. In the server itself this room only keeps
//! the library of scripts and node types, and checks the expressions of graphs.

mod bind;
mod catalog;
mod engine;
mod error;
pub mod expression;
mod folder;
pub mod header;
mod imports;
mod library;
mod link;
mod live;
mod program;
pub mod reference;
pub mod runner;
mod starter;
mod steps;
mod values;
mod watch;
mod zygote;

pub use catalog::{Candidate, Catalog, LibraryError, LibraryEvent, ScriptFile};
pub use folder::FolderError;
pub use library::{Checker, Keeper, Library, Settings, starters};
pub use program::node_source;
pub use starter::Starter;
