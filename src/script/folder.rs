//! The files of the script folders: how they are named, read, written and removed.
//!
//! A path in the library leads to a file below one of the folders, never through a link and never out of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::catalog::Candidate;
use super::library::Library;
use crate::error::{Classify, Kind};
use crate::failpoint;
use crate::policy::is_device;

/// Files larger than this are no scripts.
const MAX_FILE: u64 = 1 << 20;
/// Bytes of a path at most, and of each name in it: file systems take 255, and a draft's name is longer.
const MAX_PATH: usize = 512;
const MAX_NAME: usize = 200;
/// Characters that make a name look like another: marks of direction, those without width, and wide or slanted points and strokes.
const UNSEEN: [RangeInclusive<char>; 8] = [
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2044}'..='\u{2044}',
    '\u{2060}'..='\u{206f}',
    '\u{2215}'..='\u{2216}',
    '\u{feff}'..='\u{feff}',
    '\u{ff0e}'..='\u{ff0f}',
    '\u{ff3c}'..='\u{ff3c}',
];
/// What stands behind the name of a draft.
const DRAFT: &str = ".draft";

/// Why a file of the folders was not written, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there, or its path leads nowhere in the folders.
    #[error("there is no script {0:?}: GET /api/scripts lists those there are; a path is like reports/daily.rhai")]
    Missing(String),
    /// Something else is there.
    #[error("{0:?} is a folder: choose another name")]
    Taken(String),
    /// The disk.
    #[error("the script {path:?} could not be written ({reason}): make room, or make its folder writable")]
    Disk {
        /// Its path in the library.
        path: String,
        /// What the system says.
        reason: String,
    },
}

impl Classify for FolderError {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing(_) => Kind::NotFound,
            Self::Taken(_) => Kind::Conflict,
            Self::Disk { .. } => Kind::StorageFull,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Missing(path) | Self::Taken(path) | Self::Disk { path, .. } => Some(json!({ "kind": "script", "id": path })),
        }
    }
}

impl Library {
    /// Puts a text that was found to compile into the folders, in one move, and makes it live. With `draft` it is kept beside what is live.
    /// Blocks.
    ///
    /// # Errors
    /// [`FolderError`]; nothing was changed then.
    pub fn save(&self, path: &str, source: &str, draft: bool) -> Result<(), FolderError> {
        let file = self.place(path, true)?;
        if file.is_dir() {
            return Err(FolderError::Taken(path.to_owned()));
        }
        let written = if draft { replace(&beside(&file), source) } else { self.accept(path, source, || replace(&file, source)) };
        written.map_err(|error| FolderError::Disk { path: path.to_owned(), reason: error.to_string() })?;
        self.reload();
        Ok(())
    }

    /// A text as it would be the file at `path`.
    ///
    /// # Errors
    /// [`FolderError::Missing`] for a path that leads nowhere in the folders.
    pub fn candidate(&self, path: &str, source: String) -> Result<Candidate, FolderError> {
        let place = if is_path(path) { self.folder_of(path) } else { None };
        let (_, rest) = place.ok_or_else(|| FolderError::Missing(path.chars().take(128).collect()))?;
        Ok(Candidate { path: path.to_owned(), node_type: node_type(rest), source })
    }

    /// The draft that is kept beside what is live. Blocks.
    pub fn draft(&self, path: &str) -> Option<String> {
        read(&beside(&self.place(path, false).ok()?))
    }

    /// The text of a file as it is in its folder, also of one that is broken. Blocks.
    pub fn text(&self, path: &str) -> Option<String> {
        read(&self.place(path, false).ok()?)
    }

    /// Removes a file, and its draft. Blocks.
    ///
    /// # Errors
    /// [`FolderError::Missing`], [`FolderError::Disk`].
    pub fn remove(&self, path: &str) -> Result<(), FolderError> {
        let file = self.place(path, false)?;
        let removed = [file.clone(), beside(&file)].map(|file| match fs::remove_file(&file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound || file.is_dir() => Ok(false),
            Err(error) => Err(FolderError::Disk { path: path.to_owned(), reason: error.to_string() }),
        });
        self.reload();
        let [live, draft] = removed;
        if live? | draft? { Ok(()) } else { Err(FolderError::Missing(path.to_owned())) }
    }

    /// Where the file of that path lies or would lie. With `make` the folders on the way are made.
    fn place(&self, path: &str, make: bool) -> Result<PathBuf, FolderError> {
        let missing = || FolderError::Missing(path.chars().take(128).collect());
        if !is_path(path) {
            return Err(missing());
        }
        let (folder, rest) = self.folder_of(path).ok_or_else(missing)?;
        let mut place = folder.canonicalize().map_err(|_| missing())?;
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            place.push(part);
            if parts.peek().is_none() {
                break;
            }
            // Whoever put a link there may have wanted to lead out of the folder.
            match fs::symlink_metadata(&place) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(missing()),
                Err(_) if make => {
                    fs::create_dir(&place).map_err(|error| FolderError::Disk { path: path.to_owned(), reason: error.to_string() })?;
                }
                Err(_) => return Err(missing()),
            }
        }
        Ok(place)
    }

    /// The folder that a path of the library lies in, and its path there.
    fn folder_of<'a>(&self, path: &'a str) -> Option<(&Path, &'a str)> {
        let (first, others) = self.folders().split_first()?;
        let in_other = others.iter().find_map(|folder| {
            let rest = path.strip_prefix(folder.file_name()?.to_str()?)?.strip_prefix('/')?;
            Some((folder.as_path(), rest))
        });
        Some(in_other.unwrap_or((first, path)))
    }
}

/// Whether a text is a path of the library: names between slashes, none of them hidden, leading upwards, a device of Windows or
/// looking like another, with `.rhai` at the end.
fn is_path(path: &str) -> bool {
    let name = |part: &str| {
        (1..=MAX_NAME).contains(&part.len())
            && !part.starts_with('.')
            && !part.contains(|c: char| c.is_control() || "\\:*?\"<>|".contains(c) || UNSEEN.iter().any(|range| range.contains(&c)))
            && part.trim() == part
            && !is_device(part)
    };
    path.len() <= MAX_PATH && path.ends_with(".rhai") && path.split('/').all(name)
}

/// The name of the node type that a path below a folder holds, if it holds one.
fn node_type(path: &str) -> Option<String> {
    let name = path.strip_prefix("nodes/")?.strip_suffix(".rhai")?;
    (!name.contains('/')).then(|| name.to_owned())
}

/// Every file of all folders, by its path in the library. The first folder's are named by their path in it, those of the others by the
/// folder's name and their path.
pub(super) fn read_all(folders: &[PathBuf]) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (position, folder) in folders.iter().enumerate() {
        let prefix = match (position, folder.file_name()) {
            (1.., Some(name)) => format!("{}/", name.to_string_lossy()),
            _ => String::new(),
        };
        let file = |(path, source): (String, String)| Candidate { node_type: node_type(&path), path: format!("{prefix}{path}"), source };
        all.extend(read_folder(folder).into_iter().map(file));
    }
    all
}

/// Every `.rhai` file below `folder`, by its path in it. Links are not followed: a folder holds what is in it.
fn read_folder(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() && waiting.len() < 1000 {
                waiting.push(path);
                continue;
            }
            let readable =
                kind.is_file() && path.extension().is_some_and(|e| e == "rhai") && entry.metadata().is_ok_and(|m| m.len() <= MAX_FILE);
            if let (true, Ok(name), Ok(source)) = (readable, path.strip_prefix(folder), std::fs::read_to_string(&path)) {
                found.push((name.to_string_lossy().replace('\\', "/"), source));
            }
        }
    }
    found.sort();
    found
}

/// A regular file's text; a link is none.
fn read(file: &Path) -> Option<String> {
    let found = fs::symlink_metadata(file).ok()?;
    if found.is_file() && found.len() <= MAX_FILE { fs::read_to_string(file).ok() } else { None }
}

/// Where a file's draft lies.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(DRAFT);
    name.into()
}

/// Writes beside the file and moves the result over it: whoever reads sees the old text or the new one.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let aside = file.with_file_name(format!(".{}.tmp", uuid::Uuid::now_v7().simple()));
    let moved = (|| {
        let mut written = File::create_new(&aside)?;
        written.write_all(text.as_bytes())?;
        written.sync_all()?;
        failpoint::here("script.rename.before");
        fs::rename(&aside, file)
    })();
    match (&moved, file.parent()) {
        // The file is in place; that its name may not survive a power cut on some file systems is no reason to say it is not.
        (Ok(()), Some(folder)) => {
            failpoint::here("script.sync.before");
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
            failpoint::here("script.sync.after");
        }
        (Ok(()), None) => {}
        (Err(_), _) => {
            let _ = fs::remove_file(&aside);
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_its_folder() {
        for path in ["a.rhai", "reports/daily.rhai", "nodes/größe.rhai", "a b.rhai", "console.rhai", "com10.rhai"] {
            assert!(is_path(path), "{path}");
        }
        for path in [
            "",
            "a",
            "a.rhai/",
            "/a.rhai",
            "../a.rhai",
            "a/../b.rhai",
            "a//b.rhai",
            ".a.rhai",
            "a/.git/b.rhai",
            "a\0.rhai",
            "a\\b.rhai",
            "./a.rhai",
            " .rhai",
            " a.rhai",
            "CON.rhai",
            "a/nul.b.rhai",
            "com1/a.rhai",
            "a\u{202e}b.rhai",
            "\u{ff0e}\u{ff0e}\u{ff0f}a.rhai",
        ] {
            assert!(!is_path(path), "{path:?}");
        }
        assert!(!is_path(&format!("{}.rhai", "x".repeat(512))));
    }

    #[test]
    fn node_types_lie_in_their_own_folder() {
        assert_eq!(node_type("nodes/twice.rhai").as_deref(), Some("twice"));
        assert_eq!(node_type("more/nodes/twice.rhai"), None);
        assert_eq!(node_type("nodes/deep/twice.rhai"), None);
        assert_eq!(node_type("twice.rhai"), None);
    }
}
