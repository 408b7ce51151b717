//! The capabilities that are not the desktop: text in pictures, commands, HTTP, files, processes.

use trae::policy::{Grant, Permissions};

mod fetch;
mod files;
pub mod neural;
pub mod ocr;
mod shell;
mod shell_kinds;
mod shell_sessions;
mod system;

pub use shell::{alive, gone};

/// A grant of everything, with relative paths in `root`.
fn everything(root: &std::path::Path) -> Grant {
    Grant::new(vec![Permissions::all()], root)
}
