//! Watching the script folders: they are read again whenever they change and have come to rest.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::event::{CreateKind, ModifyKind, RemoveKind};
use notify::{ErrorKind, EventKind, RecursiveMode, Watcher};
use tokio_util::sync::CancellationToken;

use super::folder::Read;
use super::library::Shared;

/// How long the folders must have been still before they are read: an editor writes a file in several steps.
const SETTLE: Duration = Duration::from_millis(50);
/// However busy the folders are, they are read at least this often.
const AT_LATEST: Duration = Duration::from_millis(250);
/// How often it is seen to it that the folders are still the ones that are watched: one that is removed and made anew is another one.
const LOOK: Duration = Duration::from_secs(1);

/// The thread that watches. Dropped, it ends.
pub(super) struct Watching {
    stop: CancellationToken,
    ended: CancellationToken,
    wake: Weak<mpsc::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    /// Cancelled when the thread is gone.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(wake) = self.wake.upgrade() {
            let _ = wake.send(false);
        }
        // A panic in it was reported when it happened.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Begins to watch the folders of `shared`.
pub(super) fn start(shared: &Arc<Shared>) -> Result<Watching, String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "the script folders cannot be watched ({error}): raise fs.inotify.max_user_watches and max_user_instances, or set RELOAD=false"
        )
    };
    let (changed, changes) = mpsc::channel();
    // The only one that lasts: when the system's watcher dies, the channel closes, and so it is noticed.
    let changed = Arc::new(changed);
    let wake = Arc::downgrade(&changed);
    let watcher = notify::recommended_watcher(hears(changed, shared.settings.folders.clone()));
    let mut folders = Folders { watcher: watcher.map_err(|error| failed(&error))?, watched: Vec::new() };
    for folder in &shared.settings.folders {
        folders.add(folder).map_err(|error| failed(&error))?;
    }
    let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
    let (told, over) = (stop.clone(), ended.clone().drop_guard());
    let shared = Arc::downgrade(shared);
    let thread = std::thread::Builder::new().name("script-folders".to_owned()).spawn(move || {
        let _over = over;
        follow(&mut folders, &changes, &told, &shared);
    });
    Ok(Watching { stop, ended, wake, thread: Some(thread.map_err(|error| failed(&error))?) })
}

/// What is done with each thing that the system tells.
fn hears(changed: Arc<mpsc::Sender<bool>>, themselves: Vec<PathBuf>) -> impl Fn(notify::Result<notify::Event>) + Send + 'static {
    move |event| {
        // Reading a script is an event too; it must not cause the next reading.
        if event.as_ref().is_ok_and(|event| event.kind.is_access()) {
            return;
        }
        // Of what happens in a folder that came, went or was moved, nothing may be told any more; where the system's queue ran over,
        // anything may have.
        let folder = event.map_or(true, |event| {
            let moved = |path: &PathBuf| {
                matches!(event.kind, EventKind::Modify(ModifyKind::Name(_))) && path.extension().is_none_or(|ending| ending != "rhai")
            };
            event.need_rescan()
                || matches!(event.kind, EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder))
                || event.paths.iter().any(|path| themselves.contains(path) || moved(path))
        });
        let _ = changed.send(folder);
    }
}

fn follow(folders: &mut Folders, changes: &mpsc::Receiver<bool>, told: &CancellationToken, shared: &Weak<Shared>) {
    // A file was being written when it was last looked at.
    let mut unfinished = false;
    loop {
        // Whether anything changed, and whether a folder itself did.
        let (changed, replaced) = match changes.recv_timeout(if unfinished { SETTLE } else { LOOK }) {
            Ok(mut replaced) => {
                let first = Instant::now();
                while let (true, Ok(folder)) = (first.elapsed() < AT_LATEST, changes.recv_timeout(SETTLE)) {
                    replaced |= folder;
                }
                (true, replaced)
            }
            Err(RecvTimeoutError::Timeout) => (unfinished, false),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if told.is_cancelled() {
            return;
        }
        let Some(shared) = shared.upgrade() else { return };
        if folders.look_again(replaced) || changed {
            unfinished = shared.reload() == Read::Unfinished;
        }
    }
}

/// The folders, and which ones they were when they began to be watched.
struct Folders {
    watcher: notify::RecommendedWatcher,
    watched: Vec<(PathBuf, Option<(u64, u64)>)>,
}

impl Folders {
    fn add(&mut self, folder: &Path) -> Result<(), notify::Error> {
        let identity = identity(folder);
        self.watched.push((folder.to_path_buf(), identity));
        match self.watcher.watch(folder, RecursiveMode::Recursive) {
            Err(error) if identity.is_none() || matches!(error.kind, ErrorKind::PathNotFound) => {
                tracing::warn!(folder = %folder.display(), "this script folder is not there yet; it is read as soon as it is");
                Ok(())
            }
            other => other,
        }
    }

    /// Watches anew what is not what it was, or everything where a folder was `replaced`: one that takes another's place may even get its
    /// number. True if anything is different.
    fn look_again(&mut self, replaced: bool) -> bool {
        let mut different = false;
        for (folder, known) in &mut self.watched {
            let now = identity(folder);
            if now == *known && !replaced {
                continue;
            }
            different = true;
            // It may be gone already, along with what it watched.
            let _ = self.watcher.unwatch(folder);
            if now.is_some()
                && let Err(error) = self.watcher.watch(folder, RecursiveMode::Recursive)
            {
                tracing::warn!(folder = %folder.display(), %error, "this script folder could not be watched; it is tried again");
                continue;
            }
            *known = now;
        }
        different
    }
}

/// What tells a folder from another one of the same name.
fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(folder).ok().map(|data| (data.dev(), data.ino()))
}

#[cfg(test)]
mod tests {
    use notify::event::{Event, Flag};

    use super::super::library::{Library, Settings};
    use super::*;

    fn appears(library: &Library, script: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while library.catalog().script(script).is_none() {
            assert!(Instant::now() < deadline, "{script} is never read");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn where_the_systems_queue_ran_over_all_is_read_and_watched_anew() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_path_buf();
        let library = Library::open(Settings { folders: vec![place.clone()], reload: true });
        let (changed, changes) = mpsc::channel();
        let changed = Arc::new(changed);
        // What happens now is told to nobody, as if the queue had no room for it: also that a folder is there that is to be watched.
        let watcher = notify::recommended_watcher(hears(Arc::clone(&changed), vec![place.clone()])).unwrap();
        let mut folders = Folders { watcher, watched: vec![(place.clone(), identity(&place))] };
        std::fs::create_dir(place.join("deep")).unwrap();
        std::fs::write(place.join("deep/lost.rhai"), "1").unwrap();
        let (told, shared) = (CancellationToken::new(), Arc::downgrade(&library.shared));
        let stop = told.clone().drop_guard();
        let tell = hears(changed, vec![place.clone()]);
        let following = std::thread::spawn(move || follow(&mut folders, &changes, &told, &shared));
        tell(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        appears(&library, "deep/lost");
        std::fs::write(place.join("deep/heard.rhai"), "1").unwrap();
        appears(&library, "deep/heard");
        drop(stop);
        tell(Err(notify::Error::generic("whatever")));
        following.join().unwrap();
    }
}
