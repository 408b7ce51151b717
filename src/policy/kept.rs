//! What no permission opens: places that the server keeps for itself.

use std::path::{Path, PathBuf};

use super::path::{Access, follow_links};

/// Places that a server keeps for itself, whatever is granted.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Folders and files that nothing reads or writes, but for what lies in the folder of files: its data folder, what opens its secrets.
    pub own: Vec<PathBuf>,
    /// Folders whose scripts nothing writes: they would be live at once.
    pub scripts: Vec<PathBuf>,
}

impl Kept {
    /// The same places, with the links on the way to them resolved.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let all = |paths: &[PathBuf]| paths.iter().map(|path| follow_links(path)).collect();
        Self { own: all(&self.own), scripts: all(&self.scripts) }
    }

    pub(super) fn covers(&self, path: &Path, root: &Path, access: Access) -> bool {
        let is_source = || access == Access::Write && path.extension().is_some_and(|ending| ending == "rhai");
        (!path.starts_with(root) && self.own.iter().any(|place| path.starts_with(place)))
            || (is_source() && self.scripts.iter().any(|folder| path.starts_with(folder)))
    }
}
