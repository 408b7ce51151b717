//! The files of the script folders: how they are named, read, written and removed.
//!
//! A path in the library leads to a file below one of the folders, never through a link and never out of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
/// An empty file that is younger is being written.
const UNFINISHED: Duration = Duration::from_millis(100);
/// What is still being written after so long belongs to a server that died.
const ABANDONED: Duration = Duration::from_secs(60);
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
    /// Puts a text that was found to compile into the folders, in one move, and makes it live. First `keep` keeps it for good: it blocks,
    /// and where it fails with a reason nothing is written. Blocks.
    ///
    /// # Errors
    /// [`FolderError`]; nothing was changed then.
    pub fn save(&self, path: &str, source: &str, keep: impl FnOnce() -> Result<(), String>) -> Result<(), FolderError> {
        let file = self.file(path)?;
        self.accept(path, source, || {
            keep().map_err(|reason| FolderError::Disk { path: path.to_owned(), reason })?;
            replace(&file, source).map_err(|error| FolderError::Disk { path: path.to_owned(), reason: error.to_string() })
        })
    }

    /// Keeps any text beside what is live. Blocks.
    ///
    /// # Errors
    /// [`FolderError`]; nothing was changed then.
    pub fn save_draft(&self, path: &str, source: &str) -> Result<(), FolderError> {
        let written = replace(&beside(&self.file(path)?), source);
        written.map_err(|error| FolderError::Disk { path: path.to_owned(), reason: error.to_string() })
    }

    /// Where a file is to be written; the folders on the way are made.
    fn file(&self, path: &str) -> Result<PathBuf, FolderError> {
        let file = self.place(path, true)?;
        if file.is_dir() { Err(FolderError::Taken(path.to_owned())) } else { Ok(file) }
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

    /// Why somebody else may have written the file at that path, as the middle of a sentence; none where only whom this server works for
    /// may have, and the system's administrator.
    pub fn exposed(&self, path: &str) -> Option<String> {
        let path = if path.ends_with(".rhai") { path.to_owned() } else { format!("{path}.rhai") };
        let file = self.place(&path, false).ok()?;
        exposed(&file).or_else(|| exposed(file.parent()?).map(|why| format!("lies in a folder that {why}")))
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
        // Where the folder is gone as well, nothing is to be made to last.
        let _ = sync_folder(&file);
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
pub(super) fn is_path(path: &str) -> bool {
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
pub(super) fn node_type(path: &str) -> Option<String> {
    let name = path.strip_prefix("nodes/")?.strip_suffix(".rhai")?;
    (!name.contains('/')).then(|| name.to_owned())
}

/// What came of reading the folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Everything was read.
    Whole,
    /// A file was being written; it is as it was before, and is to be read again soon.
    Unfinished,
}

/// A file that was found; without a text where it is being written.
type Found = (String, Option<String>);

/// Every file of all folders, by its path in the library. The first folder's are named by their path in it, those of the others by the
/// folder's name and their path. Of a file that is being written, `before` tells the text.
pub(super) fn read_all(folders: &[PathBuf], before: impl Fn(&str) -> Option<String>) -> (Vec<Candidate>, Read) {
    let (mut all, mut read) = (Vec::new(), Read::Whole);
    for (position, folder) in folders.iter().enumerate() {
        let prefix = match (position, folder.file_name()) {
            (1.., Some(name)) => format!("{}/", name.to_string_lossy()),
            _ => String::new(),
        };
        for (name, source) in read_folder(folder) {
            let (node_type, path) = (node_type(&name), format!("{prefix}{name}"));
            if source.is_none() {
                read = Read::Unfinished;
            }
            all.extend(source.or_else(|| before(&path)).map(|source| Candidate { path, node_type, source }));
        }
    }
    (all, read)
}

/// Every `.rhai` file below `folder`, by its path in it. Links are not followed: a folder holds what is in it.
fn read_folder(folder: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() && waiting.len() < 1000 {
                waiting.push(path);
            } else if kind.is_file()
                && path.extension().is_some_and(|ending| ending == "rhai")
                && let (Ok(name), Some(source)) = (path.strip_prefix(folder), read_whole(&path))
            {
                found.push((name.to_string_lossy().replace('\\', "/"), source));
            }
        }
    }
    found.sort();
    found
}

/// A file's text: none within where it is just being written, none at all where it is none that can be a script.
fn read_whole(file: &Path) -> Option<Option<String>> {
    let state = || fs::metadata(file).ok().map(|data| (data.len(), data.modified().ok()));
    let before = state().filter(|(length, _)| *length <= MAX_FILE)?;
    let text = fs::read_to_string(file).ok()?;
    // Most programs make a file empty first, and write it then.
    let fresh = before.1.and_then(|at| at.elapsed().ok()).is_some_and(|age| age < UNFINISHED);
    Some((state() == Some(before) && !(text.is_empty() && fresh)).then_some(text))
}

/// A regular file's text; a link is none.
fn read(file: &Path) -> Option<String> {
    let found = fs::symlink_metadata(file).ok()?;
    if found.is_file() && found.len() <= MAX_FILE { fs::read_to_string(file).ok() } else { None }
}

#[cfg(unix)]
fn exposed(file: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::symlink_metadata(file).ok()?;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // What its own group may write, where a user's group is that user alone, is what many systems make by default.
    let sticky = found.is_dir() && found.mode() & 0o1000 != 0;
    if found.uid() != user && found.uid() != 0 {
        Some("belongs to another user".to_owned())
    } else if found.mode() & 0o002 != 0 && !sticky {
        Some("can be written by anybody".to_owned())
    } else if found.mode() & 0o020 != 0 && found.gid() != group && !sticky {
        Some("can be written by others of its group".to_owned())
    } else {
        None
    }
}

/// Who may write a file is not told by its mode here.
#[cfg(not(unix))]
fn exposed(_file: &Path) -> Option<String> {
    None
}

/// Where a file's draft lies.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(DRAFT);
    name.into()
}

/// Writes beside the file and moves the result over it: whoever reads sees the old text or the new one, also after the machine lost its
/// power. This is the one place where a script is written.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let aside = file.with_file_name(format!(".{}.tmp", uuid::Uuid::now_v7().simple()));
    let moved = write_through(&aside, text).and_then(|()| {
        failpoint::here("script.rename.before");
        fs::rename(&aside, file)
    });
    if moved.is_err() {
        let _ = fs::remove_file(&aside);
        return moved;
    }
    failpoint::here("script.sync.before");
    sync_folder(file)?;
    failpoint::here("script.sync.after");
    Ok(())
}

/// Removes what was being written when a server died, some time ago: nobody moves it any more.
pub(super) fn tidy(folders: &[PathBuf]) {
    let mut waiting = folders.to_vec();
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let (name, Ok(data)) = (entry.file_name(), entry.metadata()) else { continue };
            let ours = name
                .to_str()
                .and_then(|name| name.strip_prefix('.')?.strip_suffix(".tmp"))
                .is_some_and(|id| uuid::Uuid::parse_str(id).is_ok());
            let old = data.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > ABANDONED);
            if data.is_dir() && waiting.len() < 1000 {
                waiting.push(entry.path());
            } else if data.is_file() && ours && old {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes a new file, down to the disk.
fn write_through(file: &Path, text: &str) -> io::Result<()> {
    let mut written = File::create_new(file)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()
}

/// Makes what a file is called in its folder last.
fn sync_folder(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
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
    fn what_a_dead_server_left_is_tidied_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("deep");
        fs::create_dir(&deep).unwrap();
        let id = uuid::Uuid::now_v7().simple().to_string();
        let make = |path: PathBuf, old: bool| {
            let file = File::create(&path).unwrap();
            if old {
                file.set_modified(std::time::SystemTime::now() - ABANDONED * 2).unwrap();
            }
            path
        };
        let left = [make(folder.path().join(format!(".{id}.tmp")), true), make(deep.join(format!(".{id}.tmp")), true)];
        let others = [
            make(deep.join(format!(".{}.tmp", uuid::Uuid::now_v7().simple())), false),
            make(deep.join(".mine.tmp"), true),
            make(deep.join("a.rhai"), true),
        ];
        tidy(&[folder.path().to_path_buf()]);
        assert!(left.iter().all(|path| !path.exists()) && others.iter().all(|path| path.exists()));
    }

    #[test]
    fn node_types_lie_in_their_own_folder() {
        assert_eq!(node_type("nodes/twice.rhai").as_deref(), Some("twice"));
        assert_eq!(node_type("more/nodes/twice.rhai"), None);
        assert_eq!(node_type("nodes/deep/twice.rhai"), None);
        assert_eq!(node_type("twice.rhai"), None);
    }
}
