//! Watched folders: each file that is dropped starts one run, once it is complete.
//!
//! What the system tells is only a hint to look: what counts is what is there. A file fires by its place and its content; that it did is
//! on record for as long as it stays, and is forgotten when it is seen to be gone, so that the same file may come again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use globset::{GlobBuilder, GlobMatcher};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::fire::{Shot, json as text, may_pass};
use super::table::Known;
use crate::error::{Failure, Kind};
use crate::files::{self, Found, Listing, Watch};
use crate::policy::{Access, AllowedPath, Denied, Grant};
use crate::runs::{Execute, RunStatus, Ticket};
use crate::store::triggers::{FiredFile, KnownFile};
use crate::workflow::{After, FolderStart, Listens};

/// So many folders are watched.
const MOST_FOLDERS: usize = 256;
/// So many runs of one folder may be under way; other files wait where they are.
const MOST_RUNS: usize = 256;
/// A folder is looked into at least so often where the system tells of changes: it may have told too many to keep.
const RESCAN: Duration = Duration::from_secs(30);
/// And so often where it does not.
const RESCAN_BLIND: Duration = Duration::from_secs(2);
/// Where the system would not tell of changes, it is asked again after so long.
const DEAF: Duration = Duration::from_secs(60);
/// Two looks are so far apart at least.
const PAUSE: Duration = Duration::from_millis(50);
/// What could not be done is tried again after so long.
const AGAIN: Duration = Duration::from_secs(2);

/// Whether a folder may be watched, and its files moved or deleted where they are to be.
pub(super) fn allowed(grant: &Grant, folder: &FolderStart) -> Result<AllowedPath, Denied> {
    let path = grant.folder(&folder.path)?;
    if folder.after != After::Keep {
        grant.path(&format!("{}/x", folder.path.trim_end_matches('/')), Access::Write)?;
    }
    Ok(path)
}

/// Watches all folders until cancelled.
pub(super) async fn watch(inner: Arc<Inner>, cancel: CancellationToken) {
    let mut changes = inner.table.changes();
    let mut watched: HashMap<Arc<str>, (FolderStart, CancellationToken, tokio::task::JoinHandle<()>)> = HashMap::new();
    loop {
        changes.borrow_and_update();
        let mut before = std::mem::take(&mut watched);
        let mut started = Vec::new();
        for known in inner.table.all() {
            let Some(Listens::Folder(folder)) = known.listens.clone().filter(|_| known.is_armed()) else { continue };
            if watched.len() + started.len() >= MOST_FOLDERS {
                let note = format!("{MOST_FOLDERS} folders are watched already: switch another one off first");
                known.status.set_note(&known.id, Some(note));
                continue;
            }
            match before.remove(&known.id) {
                Some(same) if same.0 == folder => drop(watched.insert(Arc::clone(&known.id), same)),
                Some(other) => {
                    before.insert(Arc::clone(&known.id), other);
                    started.push((known, folder));
                }
                None => started.push((known, folder)),
            }
        }
        // One that begins must find nobody else at the same folder.
        for (_, stop, _) in before.values() {
            stop.cancel();
        }
        for (_, (_, _, task)) in before {
            drop(task.await);
        }
        for (known, folder) in started {
            let stop = cancel.child_token();
            let inbox = Inbox::new(Arc::clone(&inner), &known, folder.clone());
            let task = tokio::spawn(inbox.follow(stop.clone()));
            watched.insert(Arc::clone(&known.id), (folder, stop, task));
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
        }
    }
    for (_, (_, _, task)) in watched {
        drop(task.await);
    }
}

/// A file that has to be still before it counts.
struct Candidate {
    stamp: String,
    since: Instant,
}

/// One watched folder.
struct Inbox {
    inner: Arc<Inner>,
    id: Arc<str>,
    folder: FolderStart,
    pattern: Option<GlobMatcher>,
    /// The files that fired, by path.
    fired: HashMap<String, Vec<KnownFile>>,
    candidates: HashMap<String, Candidate>,
    /// Files that could not be read, and when to try again.
    refused: HashMap<String, (String, Instant)>,
    running: Vec<Ticket>,
    watch: Option<Watch>,
    /// Whether what is heard of it is all there is.
    told: bool,
    /// The system would not tell of changes; it is asked again then.
    deaf_until: Option<Instant>,
}

impl Inbox {
    fn new(inner: Arc<Inner>, known: &Known, folder: FolderStart) -> Self {
        let glob = GlobBuilder::new(&folder.pattern).literal_separator(true).build();
        Self {
            inner,
            id: Arc::clone(&known.id),
            pattern: glob.ok().map(|glob| glob.compile_matcher()),
            folder,
            fired: HashMap::new(),
            candidates: HashMap::new(),
            refused: HashMap::new(),
            running: Vec::new(),
            watch: None,
            told: false,
            deaf_until: None,
        }
    }

    async fn follow(mut self, cancel: CancellationToken) {
        loop {
            let wait = match self.load().await {
                Ok(()) => break,
                Err(failure) => self.trouble(&failure),
            };
            tokio::select! { () = cancel.cancelled() => return, () = tokio::time::sleep(wait) => {} }
        }
        loop {
            // A run that is being started is put on record, even where everything ends.
            let wait = match self.look(&cancel).await {
                Ok(wait) => wait,
                Err(failure) => self.trouble(&failure),
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = hint(&mut self.watch) => {}
            }
            tokio::select! { () = cancel.cancelled() => return, () = tokio::time::sleep(PAUSE) => {} }
        }
    }

    /// Shows what is in the way; gives how long to wait.
    fn trouble(&self, failure: &Failure) -> Duration {
        self.note(Some(failure.message.clone()));
        AGAIN
    }

    fn note(&self, note: Option<String>) {
        if let Some(known) = self.inner.table.get(&self.id) {
            known.status.set_note(&self.id, note);
        }
    }

    async fn load(&mut self) -> Result<(), Failure> {
        self.fired.clear();
        for file in self.inner.store.known_files(&self.id).await? {
            self.fired.entry(file.path.clone()).or_default().push(file);
        }
        Ok(())
    }

    /// Looks into the folder, and starts what is to be started. Gives how long to wait until the next look.
    async fn look(&mut self, cancel: &CancellationToken) -> Result<Duration, Failure> {
        self.take_in_followed();
        self.let_go();
        let path = allowed(&self.inner.grant, &self.folder)?;
        self.listen(&path).await;
        let listing = self.list(path.clone()).await?;
        let mut note = None;
        if listing.unnamed {
            note = Some("there are files whose names are not UTF-8: rename them".to_owned());
        }
        if let Some(closed) = &listing.closed {
            note = Some(format!("the folder {closed:?} in it cannot be looked into: give TRAE's user the right to"));
        }
        self.forget_gone(&path, &listing).await?;
        let (ready, wait) = self.ready(&path, &listing).await?;
        let (trouble, soon) = self.start(&path, &listing.folder, ready, cancel).await?;
        let again = self.refused.values().map(|(_, again)| again.saturating_duration_since(Instant::now())).min();
        let wait = wait.min(soon.unwrap_or(RESCAN)).min(again.unwrap_or(RESCAN));
        self.note(trouble.or_else(|| self.refused.values().next().map(|(reason, _)| reason.clone())).or(note));
        Ok(wait.min(if self.told { RESCAN } else { RESCAN_BLIND }))
    }

    /// Files of which it was decided meanwhile what becomes of them.
    fn take_in_followed(&mut self) {
        for (key, gone) in self.inner.take_followed(&self.id) {
            for files in self.fired.values_mut() {
                if gone {
                    files.retain(|file| file.key != key);
                } else if let Some(file) = files.iter_mut().find(|file| file.key == key) {
                    file.pending = false;
                }
            }
        }
        self.fired.retain(|_, files| !files.is_empty());
    }

    /// Has the system tell of changes, where it can.
    async fn listen(&mut self, path: &AllowedPath) {
        if self.watch.is_some() || self.deaf_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        let (path, deep) = (path.clone(), self.folder.recursive);
        let started = tokio::task::spawn_blocking(move || {
            let told = files::tells_of_changes(&path);
            let watch = if deep { Watch::start(std::slice::from_ref(&path)) } else { Watch::shallow(&path) };
            (watch, told)
        });
        match started.await {
            Ok((Ok(watch), told)) => (self.watch, self.told) = (Some(watch), told),
            Ok((Err(error), _)) => {
                tracing::debug!(trigger_id = %self.id, %error, "a folder is looked into again and again, as the system does not tell of it");
                (self.told, self.deaf_until) = (false, Some(Instant::now() + DEAF));
            }
            Err(_) => self.told = false,
        }
    }

    async fn list(&self, path: AllowedPath) -> Result<Listing, Failure> {
        let (recursive, moves) = (self.folder.recursive, self.folder.after == After::Move);
        let pattern = self.folder.pattern.clone();
        let listed = tokio::task::spawn_blocking(move || {
            files::find(&path, recursive, &|name| is_passing(name, &pattern) || moves && matches!(name, "done" | "failed"))
        });
        match listed.await {
            Ok(Ok(listing)) => Ok(listing),
            Ok(Err(files::Error::NotFound(path))) => {
                Err(Failure::new(Kind::NotFound, format!("there is no folder {path:?}: it is watched as soon as there is one")))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(Failure::new(Kind::Internal, error.to_string())),
        }
    }

    /// Files that were there and are not any more may come again.
    async fn forget_gone(&mut self, path: &AllowedPath, listing: &Listing) -> Result<(), Failure> {
        if listing.closed.is_some() {
            return Ok(());
        }
        let here: std::collections::HashSet<String> = listing.files.iter().map(|file| whole(path, &file.name)).collect();
        let root = format!("{}/", path.as_path().to_string_lossy());
        // In another folder of that name they may be on their way back: then they are told by their inode.
        let is_gone = |file: &KnownFile| {
            let within = file.path.strip_prefix(&root).is_some_and(|name| self.folder.recursive || !name.contains('/'));
            within && !file.pending && file.folder == listing.folder && !here.contains(&file.path)
        };
        let gone: Vec<String> = self.fired.values().flatten().filter(|file| is_gone(file)).map(|file| file.key.clone()).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.inner.store.update_files(&self.id, gone.clone(), Vec::new()).await?;
        let gone: std::collections::HashSet<String> = gone.into_iter().collect();
        for files in self.fired.values_mut() {
            files.retain(|file| !gone.contains(&file.key));
        }
        self.fired.retain(|_, files| !files.is_empty());
        Ok(())
    }

    /// The files that are new and still, oldest first; and how long to wait for the others.
    async fn ready(&mut self, path: &AllowedPath, listing: &Listing) -> Result<(Vec<Found>, Duration), Failure> {
        let still = Duration::from_secs_f64(self.folder.stable_seconds);
        let now = Instant::now();
        let mut wait = RESCAN;
        let (mut ready, mut stayed) = (Vec::new(), Vec::new());
        let mut seen: HashMap<String, Candidate> = HashMap::new();
        for file in &listing.files {
            if !self.fits(&file.name) {
                continue;
            }
            let fired = self.fired.get_mut(&whole(path, &file.name));
            if let Some(known) = fired.and_then(|files| files.iter_mut().find(|known| known.stamp == file.stamp)) {
                if known.folder != listing.folder {
                    // The folder was away, and came back with what was in it.
                    known.folder.clone_from(&listing.folder);
                    stayed.push((known.key.clone(), known.stamp.clone(), known.folder.clone()));
                }
                continue;
            }
            let candidate = match self.candidates.remove(&file.name) {
                Some(candidate) if candidate.stamp == file.stamp => candidate,
                _ => Candidate { stamp: file.stamp.clone(), since: now },
            };
            let waits = still.saturating_sub(now.duration_since(candidate.since));
            if waits.is_zero() {
                ready.push(file.clone());
            } else {
                wait = wait.min(waits);
            }
            seen.insert(file.name.clone(), candidate);
        }
        self.candidates = seen;
        self.refused.retain(|name, _| self.candidates.contains_key(name));
        if !stayed.is_empty() {
            self.inner.store.update_files(&self.id, Vec::new(), stayed).await?;
        }
        ready.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
        ready.retain(|file| self.refused.get(&file.name).is_none_or(|(_, again)| *again <= now));
        Ok((ready, wait))
    }

    /// Holds on to no run that is over, or that waits for something else than its turn.
    fn let_go(&mut self) {
        self.running.retain(|ticket| matches!(ticket.status(), RunStatus::Queued | RunStatus::Running));
    }

    /// Whether so many runs are under way that other files have to wait.
    fn is_full(&mut self) -> bool {
        if self.running.len() >= MOST_RUNS {
            self.let_go();
        }
        self.running.len() >= MOST_RUNS
    }

    fn fits(&self, name: &str) -> bool {
        let base = name.rsplit('/').next().unwrap_or(name);
        let asked = if self.folder.pattern.contains('/') { name } else { base };
        self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(asked))
    }

    /// Starts a run for each of these files; gives what was in the way of the first that was refused, and how soon to look again at
    /// those that have to wait.
    async fn start(
        &mut self,
        path: &AllowedPath,
        folder: &str,
        ready: Vec<Found>,
        cancel: &CancellationToken,
    ) -> Result<(Option<String>, Option<Duration>), Failure> {
        let Some(known) = self.inner.table.get(&self.id).filter(|known| known.is_armed()) else { return Ok((None, None)) };
        let mut soon = None;
        for file in ready {
            if self.is_full() || cancel.is_cancelled() {
                return Ok((None, Some(4 * PAUSE)));
            }
            let whole = whole(path, &file.name);
            let hash = match self.digest(&whole, &file, cancel).await {
                Ok(Some(hash)) => hash,
                // It changed while it was read.
                Ok(None) => {
                    self.candidates.remove(&file.name);
                    soon = Some(PAUSE);
                    continue;
                }
                Err(failure) => {
                    let reason = format!("the file {:?} cannot be read; it is tried again: {}", file.name, failure.message);
                    self.refused.insert(file.name, (reason, Instant::now() + AGAIN));
                    continue;
                }
            };
            self.refused.remove(&file.name);
            let key = format!("{whole}#{hash}");
            if self.stays(&whole, &key, &file, folder).await? {
                self.candidates.remove(&file.name);
                continue;
            }
            let event = if self.fired.contains_key(&whole) { "changed" } else { "created" };
            let name = file.name.rsplit('/').next().unwrap_or(&file.name);
            let input = text(&json!({ "path": self.shown(&whole), "name": name, "size": file.size, "event": event }))?;
            let after = match self.folder.after {
                After::Keep => None,
                After::Move => Some("move"),
                After::Delete => Some("delete"),
            };
            let fired = FiredFile { path: whole.clone(), stamp: file.stamp.clone(), folder: folder.to_owned(), after };
            let execute = Execute { input, trigger: format!("watch_folder:{}", self.id), ..Execute::default() };
            match self.inner.shoot(&known, Some(key.clone()), Some(fired), execute).await {
                Ok(shot) => {
                    let files = self.fired.entry(whole.clone()).or_default();
                    // What it held before may come again.
                    files.retain(|file| file.pending);
                    files.push(KnownFile { key, path: whole, stamp: file.stamp, folder: folder.to_owned(), pending: after.is_some() });
                    match shot {
                        Shot::Started(ticket) => self.running.push(ticket),
                        Shot::Before(_) => self.load().await?,
                    }
                    self.candidates.remove(&file.name);
                    if after.is_some() {
                        self.inner.pending.notify_one();
                    }
                }
                Err(failure) if may_pass(&failure) => {
                    self.refused.insert(file.name, (failure.message.clone(), Instant::now() + AGAIN));
                    return Ok((Some(failure.message), soon));
                }
                Err(failure) => {
                    self.refused.insert(file.name, (failure.message, Instant::now() + 5 * AGAIN));
                }
            }
        }
        Ok((None, soon))
    }

    /// Whether that content at that place fired already, and the file never was away since.
    async fn stays(&mut self, whole: &str, key: &str, file: &Found, folder: &str) -> Result<bool, Failure> {
        let Some(files) = self.fired.get_mut(whole) else { return Ok(false) };
        let Some(known) = files.iter_mut().find(|known| known.key == key) else { return Ok(false) };
        let inode = |stamp: &str| stamp.split(':').next().map(str::to_owned);
        if known.folder == folder || inode(&known.stamp) == inode(&file.stamp) {
            known.stamp.clone_from(&file.stamp);
            folder.clone_into(&mut known.folder);
            let stayed = vec![(key.to_owned(), file.stamp.clone(), folder.to_owned())];
            self.inner.store.update_files(&self.id, Vec::new(), stayed).await?;
            return Ok(true);
        }
        // The folder is another one, and so is the file.
        self.inner.store.update_files(&self.id, vec![key.to_owned()], Vec::new()).await?;
        files.retain(|known| known.key != key);
        if files.is_empty() {
            self.fired.remove(whole);
        }
        Ok(false)
    }

    async fn digest(&self, whole: &str, file: &Found, cancel: &CancellationToken) -> Result<Option<String>, Failure> {
        let path = self.inner.grant.path(whole, Access::Read)?;
        let (stamp, cancel) = (file.stamp.clone(), cancel.clone());
        let read = tokio::task::spawn_blocking(move || files::digest(&path, &stamp, &|| cancel.is_cancelled()));
        Ok(read.await.map_err(|error| Failure::new(Kind::Internal, error.to_string()))??)
    }

    /// As a script names it.
    fn shown(&self, whole: &str) -> String {
        let files = self.inner.grant.files().to_string_lossy().into_owned() + "/";
        whole.strip_prefix(&files).unwrap_or(whole).to_owned()
    }
}

/// Resolves when something may have happened; what was told in the meantime is told at once.
async fn hint(watch: &mut Option<Watch>) {
    match watch {
        Some(open) => {
            if open.next().await.is_none() {
                *watch = None;
                return;
            }
            while let Some(Some(_)) = futures_util::FutureExt::now_or_never(open.next()) {}
        }
        None => std::future::pending().await,
    }
}

fn whole(path: &AllowedPath, name: &str) -> String {
    format!("{}/{name}", path.as_path().to_string_lossy().trim_end_matches('/'))
}

/// Whether a file is one that programs make in passing: hidden, or not complete yet. One that the pattern asks for by its ending is none.
fn is_passing(name: &str, pattern: &str) -> bool {
    const ENDINGS: [&str; 9] = ["~", ".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".swp", ".swx"];
    let lower = name.to_lowercase();
    let ending = ENDINGS.into_iter().find(|ending| lower.ends_with(ending));
    name.starts_with('.') && !pattern.starts_with('.')
        || name.starts_with("~$")
        || name.starts_with('#') && name.ends_with('#')
        || ending.is_some_and(|ending| !pattern.to_lowercase().ends_with(ending))
}
