//! The words of this room.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WriteOptions {
    /// Add to the end instead of replacing the file.
    pub append: bool,
    /// Create the folders on the way.
    pub create_directories: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { append: false, create_directories: true }
    }
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Written {
    /// Its absolute path.
    pub path: String,
    /// The bytes written this time.
    pub bytes: u64,
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub is_directory: bool,
    /// Bytes.
    pub size: u64,
}
