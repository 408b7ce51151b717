//! Paths that were checked: no way out of the data folder but the ones a manifest names.

use std::path::{Component, Path, PathBuf};

use super::grant::Denied;
use super::kept::Kept;

/// What is to be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read it, list it, ask whether it exists.
    Read,
    /// Write it, create it, remove it.
    Write,
}

/// A path that the grant allows, absolute, with every link on the way to it resolved.
#[derive(Debug, Clone)]
pub struct AllowedPath {
    path: PathBuf,
    access: Access,
}

impl AllowedPath {
    /// The path itself.
    pub fn as_path(&self) -> &Path {
        &self.path
    }

    /// What it was allowed for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Resolves `text` against `root` without granting anything yet.
    ///
    /// Links are followed as far as the path exists, so that a link inside the folder cannot lead out of it unseen; `..` is
    /// refused rather than resolved.
    pub(super) fn resolve(root: &Path, kept: &Kept, text: &str, access: Access) -> Result<Self, Denied> {
        if text.is_empty() || text.contains('\0') || text.len() > 4096 {
            return Err(Denied::Invalid(format!("{text:?} is not a file path: give a non-empty path without NUL characters")));
        }
        let asked = Path::new(text);
        if asked.components().any(|part| part == Component::ParentDir) {
            return Err(Denied::Invalid(format!("{text:?} leads upwards: give a path without `..`")));
        }
        let path = follow_links(&root.join(asked));
        if is_ours(&path) || kept.covers(&path, &follow_links(root), access) {
            return Err(Denied::Ours(text.to_owned()));
        }
        Ok(Self { path, access })
    }

    /// How permissions and messages name it: relative to `root` where it lies inside, absolute elsewhere.
    pub(super) fn shown(&self, root: &Path) -> String {
        let root = follow_links(root);
        let shown = self.path.strip_prefix(&root).unwrap_or(&self.path);
        shown.to_string_lossy().into_owned()
    }
}

/// Whether it is this process itself: its memory and its environment hold what no permission gives away.
fn is_ours(path: &Path) -> bool {
    let Ok(rest) = path.strip_prefix("/proc") else { return false };
    let first = rest.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
    // Each thread has a name there, too, which is listed nowhere.
    first == "self" || first == "thread-self" || (first.parse::<u32>().is_ok() && Path::new("/proc/self/task").join(&first).exists())
}

/// Resolves the links of the deepest part of `path` that exists; the rest is kept as it is.
pub(super) fn follow_links(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        if let Ok(real) = existing.canonicalize() {
            return missing.iter().rev().fold(real, |base, name| base.join(name));
        }
        match (existing.parent(), existing.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name);
                existing = parent;
            }
            _ => return path.to_path_buf(),
        }
    }
}
/// Whether Windows keeps a name for a device, whatever stands behind the first point: data folders move between machines.
pub fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" => true,
        stem => {
            stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")).is_some_and(|number| matches!(number.as_bytes(), [b'1'..=b'9']))
        }
    }
}
