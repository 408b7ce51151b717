//! A command of a script: it and everything it starts stays within what the script's manifest grants, by the kernel's hand.
//!
//! It has a folder of its own for temporary files, which goes with it and which is its home as long as it may not read the real one. What
//! it is refused it hears from the operating system (`Permission denied`); [`Confined::hint`] says what to add where.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use tokio::process::Command;
use tokio::sync::oneshot;

use super::group::Group;
use crate::policy::{Place, Reach};
use crate::sandbox::Walls;

/// What leads to the sockets of a user's other programs.
const TO_SOCKETS: &[&str] = &["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"];

/// What is prepared for one command, and cleared away after it.
pub(super) struct Confined {
    reach: Reach,
    walls: Walls,
    /// Its own folder.
    own: PathBuf,
    /// Files that were made so that the kernel could be told of them.
    made: Vec<PathBuf>,
}

impl Confined {
    /// Prepares what `reach` allows, for programs that lie in the folders of `search`.
    pub(super) fn new(reach: &Reach, search: &[PathBuf]) -> std::io::Result<Self> {
        let own = std::env::temp_dir().join(format!("trae-{}", uuid::Uuid::now_v7().simple()));
        make_private(&own)?;
        let mut confined = Self { reach: reach.clone(), walls: Walls::default(), own: own.clone(), made: Vec::new() };
        let kept = |path: &PathBuf| !path.starts_with(&reach.files) && reach.kept.iter().any(|kept| path.starts_with(kept) && path != kept);
        let mut write: Vec<PathBuf> = reach.write.iter().filter_map(|place| confined.writable(place)).filter(|path| !kept(path)).collect();
        let mut read: Vec<PathBuf> =
            reach.read.iter().map(|place| place.path.clone()).filter(|path| is_itself(path) && !kept(path)).collect();
        let sockets = reach.desktop || write.iter().any(|path| reaches_sockets(path));
        if reach.desktop {
            read.extend(std::env::var_os("XAUTHORITY").map(PathBuf::from));
            read.extend(std::env::home_dir().map(|home| home.join(".Xauthority")));
        }
        read.extend(search.iter().filter(|folder| folder.is_absolute() && folder.parent().is_some()).cloned());
        read.push(own.clone());
        write.push(own);
        let (keep, open) = (reach.kept.clone(), reach.files.clone());
        confined.walls = Walls { read, write, keep, open, sockets, signals: reach.processes };
        Ok(confined)
    }

    /// What the kernel can be told of a place that may be written: something that is there. A folder or file of the data folder is made.
    fn writable(&mut self, place: &Place) -> Option<PathBuf> {
        let path = &place.path;
        if !path.exists() && path.starts_with(&self.reach.files) {
            let folder = if place.exact { path.parent()? } else { path };
            if is_itself(&self.reach.files) {
                std::fs::create_dir_all(folder).ok()?;
            }
            // Through no link: it would be made somewhere else.
            if place.exact && is_itself(folder) && std::fs::File::create_new(path).is_ok() {
                self.made.push(path.clone());
            }
        }
        is_itself(path).then(|| path.clone())
    }

    /// Changes what the command finds in its environment.
    pub(super) fn variables(&self, environment: &mut BTreeMap<OsString, OsString>) {
        for name in ["TMPDIR", "TMP", "TEMP"] {
            environment.insert(name.into(), self.own.clone().into());
        }
        let home = environment.get(OsStr::new("HOME")).map(PathBuf::from);
        if !home.is_some_and(|home| self.may_read(&home)) {
            environment.insert("HOME".into(), self.own.clone().into());
            environment.retain(|name, _| !name.to_str().is_some_and(|name| name.starts_with("XDG_") && name.ends_with("_HOME")));
        }
        if !self.walls.sockets {
            environment.retain(|name, _| !TO_SOCKETS.iter().any(|socket| name == socket));
        }
    }

    /// A folder that it shares with the server.
    pub(super) fn share(&mut self, folder: &Path) {
        self.walls.read.push(folder.to_owned());
        self.walls.write.push(folder.to_owned());
    }

    /// What it was prepared for.
    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Does something that starts a program within the walls, as [`Confined::start`] does. Blocks.
    pub(super) fn within<T: Send>(&self, act: impl FnOnce() -> std::io::Result<T> + Send) -> std::io::Result<T> {
        std::thread::scope(|scope| {
            let raised = std::thread::Builder::new().name("command".to_owned()).spawn_scoped(scope, || {
                raise(&self.walls)?;
                act()
            })?;
            raised.join().map_err(|_| std::io::Error::other("the thread that starts it ended"))?
        })
    }

    /// Starts it within its walls: on a thread that puts them around itself and ends once the command, which inherits them, has begun.
    pub(super) async fn start(&self, mut command: Command) -> std::io::Result<Group> {
        let runtime = tokio::runtime::Handle::current();
        let (answer, started) = oneshot::channel();
        let walls = self.walls.clone();
        std::thread::Builder::new().name("command".to_owned()).stack_size(256 * 1024).spawn(move || {
            let _within = runtime.enter();
            // As a group, which ends with whoever waits for it, also where nobody does any more.
            let _ = answer.send(raise(&walls).and_then(|()| command.spawn()).map(Group::new));
        })?;
        started.await.map_err(|_| std::io::Error::other("the thread that starts it ended"))?
    }

    /// What is missing from the manifest, where the command was refused a path: `said` is what it printed, and where it ran.
    pub(super) fn hint(&self, said: &str, directory: &Path) -> Option<String> {
        let line = said.lines().rev().find(|line| line.contains("Permission denied"))?;
        let Some(path) = refused_path(line).map(|path| directory.join(path)) else {
            return Some("trae: the script's manifest grants its commands only what `read` and `write` in [permissions] name".to_owned());
        };
        // The kernel looks at where a path really leads.
        let path = path.canonicalize().unwrap_or(path);
        let shown = match self.reach.shown(&path) {
            folder if folder.is_empty() => "**/*".to_owned(),
            shown => shown,
        };
        let tells = ["create", "touch", "remove", "write", "mkdir", "unlink", "rename", "move"].iter().any(|word| line.contains(word));
        // What a shell says itself is about a redirection, or a program that it may not start.
        let redirects = line.contains("sh: line ") && !super::group::is_executable(&path);
        let writes = tells || redirects || !path.exists();
        let missing = match (self.may_read(&path), self.may_write(&path)) {
            (true, false) | (false, false) if writes => "write",
            (false, _) => "read",
            (true, _) => return None,
        };
        Some(format!(
            "trae: the script's manifest grants no {missing} to {shown:?}: add `{missing} = [{shown:?}]` to [permissions] in its header, or to \
             the node's config"
        ))
    }

    fn may_read(&self, path: &Path) -> bool {
        self.walls.read.iter().any(|place| path.starts_with(place)) || Walls::is_readable_anyway(path)
    }

    fn may_write(&self, path: &Path) -> bool {
        self.walls.write.iter().any(|place| path.starts_with(place))
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // What it did not write is not left lying about.
        for made in &self.made {
            if std::fs::metadata(made).is_ok_and(|found| found.len() == 0) {
                let _ = std::fs::remove_file(made);
            }
        }
        let _ = std::fs::remove_dir_all(&self.own);
    }
}

/// Nothing starts where the walls are not known to hold; a kernel that has none is on the run's record already.
fn raise(walls: &Walls) -> std::io::Result<()> {
    let raised = walls.raise().map_err(|reason| std::io::Error::other(format!("its sandbox could not be put up: {reason}")));
    raised.map(|_| ())
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Whether a path is there and leads through no link: what a permission names, and nothing else.
fn is_itself(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|real| real == path)
}

/// Whether who may write there may also talk to the programs that listen there.
fn reaches_sockets(path: &Path) -> bool {
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type())) {
        return true;
    }
    path.parent().is_none() || path.starts_with("/run")
}

/// The path in `touch: cannot touch '/x': Permission denied`, `bash: line 1: /x: Permission denied`, `Permission denied: '/x'`.
fn refused_path(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("Permission denied")?;
    let quoted = |text: &'_ str| -> Option<(usize, usize)> {
        let end = text.rfind(['\'', '"', '’'])?;
        let begin = text[..end].rfind(['\'', '"', '‘'])?;
        Some((begin, end))
    };
    for part in [before, after] {
        if let Some((begin, end)) = quoted(part) {
            let inside = part.get(begin..end)?;
            return inside.char_indices().nth(1).map(|(at, _)| &inside[at..]).filter(|path| !path.is_empty());
        }
    }
    let before = before.trim_end().trim_end_matches(':');
    let path = before.rsplit(": ").next()?.trim();
    (!path.is_empty() && !path.starts_with('[')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::refused_path;

    #[test]
    fn what_was_refused_is_read_from_what_programs_say() {
        for (line, path) in [
            ("touch: cannot touch '/x/y z': Permission denied", "/x/y z"),
            ("cat: /etc/shadow: Permission denied", "/etc/shadow"),
            ("bash: line 1: out.txt: Permission denied", "out.txt"),
            ("ls: cannot open directory '.': Permission denied", "."),
            ("PermissionError: [Errno 13] Permission denied: '/x/y'", "/x/y"),
            ("mkdir: cannot create directory ‘a’: Permission denied", "a"),
        ] {
            assert_eq!(refused_path(line), Some(path), "{line}");
        }
        assert_eq!(refused_path("no such thing"), None);
    }
}
