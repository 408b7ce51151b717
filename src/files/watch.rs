//! Following what happens to the files of folders: created, changed, removed.
//!
//! What the system tells is only taken as a hint where to look: what is reported is the difference between what was there and what is.
//! So a burst is one change, an atomic replacement is a change and not a removal, and a folder that is removed and made anew is followed
//! like one that was there all the time. Nothing is lost to a reader that is slow; it is told of fewer steps in between.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::{Error, MOST_ENTRIES};
use crate::policy::AllowedPath;

/// How long files must have been still before they are looked at: a burst is one change.
const SETTLE: Duration = Duration::from_millis(50);
/// However busy a folder is, it is looked at at least this often.
const AT_LATEST: Duration = Duration::from_millis(250);
/// How often it is seen to it that the folders are still the ones that are watched.
const LOOK: Duration = Duration::from_millis(500);
/// Hints that wait to be looked at; with more of them everything is looked at.
const HINTS: usize = 4096;
/// Changes that wait for their reader.
const CHANGES: usize = 256;

/// What happened to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is there.
    Created(PathBuf),
    /// It is another one, or holds something else.
    Changed(PathBuf),
    /// It is gone.
    Removed(PathBuf),
}

/// Follows folders, and all below them unless told otherwise. Ends when dropped.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<Change>,
}

impl Watch {
    /// Follows `folders`; one that is not there is followed as soon as it is. Links in them are not followed. Blocks.
    ///
    /// # Errors
    /// [`Error::NotAFolder`], [`Error::TooManyEntries`]; [`Error::Unwatchable`] where the system does not tell of changes.
    pub fn start(folders: &[AllowedPath]) -> Result<Self, Error> {
        Self::following(folders, true)
    }

    /// The same for what lies in one folder itself, not in folders of it.
    ///
    /// # Errors
    /// As [`Watch::start`].
    pub fn shallow(folder: &AllowedPath) -> Result<Self, Error> {
        Self::following(std::slice::from_ref(folder), false)
    }

    fn following(folders: &[AllowedPath], deep: bool) -> Result<Self, Error> {
        let unwatchable = |error: &dyn std::fmt::Display| Error::Unwatchable(error.to_string());
        let (hint, hints) = sync_channel(HINTS);
        let overrun = Arc::new(AtomicBool::new(false));
        let flooded = Arc::clone(&overrun);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let paths = match event {
                Ok(event) if event.kind.is_access() => return,
                Ok(event) if !event.need_rescan() => event.paths,
                _ => {
                    flooded.store(true, Ordering::Relaxed);
                    Vec::new()
                }
            };
            // An empty hint wakes, too.
            if let Err(TrySendError::Full(_)) = hint.try_send(paths) {
                flooded.store(true, Ordering::Relaxed);
            }
        });
        let mut roots: Vec<Root> = Vec::new();
        let paths: BTreeSet<_> = folders.iter().map(AllowedPath::as_path).collect();
        for path in paths {
            // What is in a folder that is followed is followed already; parents come first.
            if roots.iter().any(|root| path.starts_with(&root.path)) {
                continue;
            }
            let path = path.to_path_buf();
            if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_dir()) {
                return Err(Error::NotAFolder(path.to_string_lossy().into_owned()));
            }
            roots.push(Root { path, deep, identity: None, files: BTreeMap::new() });
        }
        let mut following = Following { watcher: watcher.map_err(|error| unwatchable(&error))?, roots };
        for index in 0..following.roots.len() {
            following.follow(index).map_err(|error| unwatchable(&error))?;
            // What is there already is known, not new.
            following.look_at(index, None);
            if let Some(root) = following.roots.get(index).filter(|root| root.files.len() >= MOST_ENTRIES) {
                return Err(Error::TooManyEntries(root.path.to_string_lossy().into_owned()));
            }
        }
        let (tell, changes) = mpsc::channel(CHANGES);
        let thread = std::thread::Builder::new().name("folders".to_owned()).spawn(move || {
            loop {
                let mut dirty = BTreeSet::new();
                match hints.recv_timeout(LOOK) {
                    Ok(paths) => {
                        dirty.extend(paths);
                        let first = Instant::now();
                        while let (true, Ok(paths)) = (first.elapsed() < AT_LATEST, hints.recv_timeout(SETTLE)) {
                            dirty.extend(paths);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                let everything = overrun.swap(false, Ordering::Relaxed);
                let told = following.changes(&dirty, everything).into_iter().all(|change| tell.blocking_send(change).is_ok());
                if !told || tell.is_closed() {
                    return;
                }
            }
        });
        thread.map_err(|error| unwatchable(&error))?;
        Ok(Self { changes })
    }

    /// The next change; none once nothing is followed any more.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self { inode: found.ino(), size: found.size(), modified: (found.mtime(), found.mtime_nsec()) }
    }
}

/// A folder and what is known to be in it.
struct Root {
    path: PathBuf,
    /// Whether what lies in folders of it counts.
    deep: bool,
    /// Which folder of that name is watched.
    identity: Option<(u64, u64)>,
    files: BTreeMap<PathBuf, Stamp>,
}

struct Following {
    watcher: notify::RecommendedWatcher,
    roots: Vec<Root>,
}

impl Following {
    /// What happened, given where something may have.
    fn changes(&mut self, dirty: &BTreeSet<PathBuf>, everything: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for index in 0..self.roots.len() {
            let Some(root) = self.roots.get(index) else { break };
            // Something happened to the folder itself: one that takes its place may even get its number.
            let another = dirty.contains(&root.path) || identity(&root.path) != root.identity;
            if another && let Err(error) = self.follow(index) {
                tracing::warn!(%error, "a folder could not be watched; it is tried again");
            }
            if another || everything {
                changes.extend(self.look_at(index, None));
                continue;
            }
            for path in dirty {
                changes.extend(self.look_at(index, Some(path)));
            }
        }
        changes
    }

    /// Watches the folder that has the root's name now.
    fn follow(&mut self, index: usize) -> Result<(), notify::Error> {
        let Some(root) = self.roots.get_mut(index) else { return Ok(()) };
        // It may be gone already, along with what it watched.
        let _ = self.watcher.unwatch(&root.path);
        let now = identity(&root.path);
        let mode = if root.deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        match self.watcher.watch(&root.path, mode) {
            Err(error) if now.is_some() && identity(&root.path) == now => return Err(error),
            // Gone in between: the next look finds out.
            Err(_) => root.identity = None,
            Ok(()) => root.identity = now,
        }
        Ok(())
    }

    /// What is different at `path` and below; at the whole root without it.
    fn look_at(&mut self, index: usize, path: Option<&Path>) -> Vec<Change> {
        let Some(root) = self.roots.get_mut(index) else { return Vec::new() };
        let path = path.unwrap_or(&root.path).to_path_buf();
        if !path.starts_with(&root.path) || !root.deep && path != root.path && path.parent() != Some(&root.path) {
            return Vec::new();
        }
        let mut found = BTreeMap::new();
        let deep = if root.deep { usize::MAX } else { usize::from(path == root.path) };
        walk(&path, deep, &mut found);
        let mut changes = Vec::new();
        let before: Vec<_> =
            root.files.range(path.clone()..).take_while(|(file, _)| file.starts_with(&path)).map(|(f, s)| (f.clone(), *s)).collect();
        for (file, stamp) in before {
            match found.remove(&file) {
                None => {
                    root.files.remove(&file);
                    changes.push(Change::Removed(file));
                }
                Some(now) if now != stamp => {
                    root.files.insert(file.clone(), now);
                    changes.push(Change::Changed(file));
                }
                Some(_) => {}
            }
        }
        for (file, stamp) in found {
            if root.files.len() >= MOST_ENTRIES {
                tracing::warn!(folder = %root.path.display(), "too many files: new ones are not followed");
                break;
            }
            root.files.insert(file.clone(), stamp);
            changes.push(Change::Created(file));
        }
        changes
    }
}

/// Every regular file at `path` and so many folders below.
fn walk(path: &Path, deep: usize, found: &mut BTreeMap<PathBuf, Stamp>) {
    let mut waiting = vec![(path.to_path_buf(), 0)];
    while let Some((path, depth)) = waiting.pop() {
        let Ok(there) = fs::symlink_metadata(&path) else { continue };
        if there.is_file() {
            found.insert(path, Stamp::of(&there));
        } else if there.is_dir() && depth < deep && found.len() < MOST_ENTRIES {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| (entry.path(), depth + 1)));
        }
    }
}

/// What tells a folder from another one of the same name.
fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::metadata(folder).ok().map(|found| (found.dev(), found.ino()))
}
