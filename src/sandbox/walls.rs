//! Landlock around a command and everything it starts: the paths it was granted, and what any program needs to run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use landlock::{Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules};
use seccompiler::{SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Is, SeccompCondition as Condition, SeccompRule};

use super::calls::compile;
use super::limits::keep_few_capabilities;
use super::mark::mark;
use super::paths::{NEWEST, version};

/// What programs and their libraries lie in, and what they ask about the machine.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
    "/proc",
    "/sys",
    // Where /etc/resolv.conf leads.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
];

/// What in there holds passwords or says who may become root: where root runs it, the kernel would let it.
const HIDDEN: &[&str] = &["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d"];

/// Devices that are nobody's.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What a command may touch.
#[derive(Debug, Clone, Default)]
pub struct Walls {
    /// Files and folders, with everything in them, that it may read, and execute.
    pub read: Vec<PathBuf>,
    /// Files and folders, with everything in them, that it may write.
    pub write: Vec<PathBuf>,
    /// What it may not touch, whatever lies around it is granted: the folder of a server, what opens its secrets.
    pub keep: Vec<PathBuf>,
    /// The folder in what is kept that is open all the same, where it is granted.
    pub open: PathBuf,
    /// Whether it may connect to sockets of other programs on this machine (a display, D-Bus, Docker): who does can have them act for it.
    pub sockets: bool,
    /// Whether it may send signals to processes that it did not start.
    pub signals: bool,
}

impl Walls {
    /// Puts them around the calling thread, for good, and around whatever it starts. The version of Landlock that holds; none where the
    /// kernel has none, and nothing holds.
    ///
    /// # Errors
    /// Where they could not be put up although the kernel has what it takes. Nothing may then be started.
    pub fn raise(&self) -> Result<Option<i32>, String> {
        keep_few_capabilities();
        let mut scope = Scope::from_all(NEWEST);
        if self.signals {
            scope.remove(Scope::Signal);
        }
        if self.sockets {
            scope.remove(Scope::AbstractUnixSocket);
        }
        let all = AccessFs::from_all(NEWEST);
        let read = AccessFs::from_read(NEWEST);
        let write = writing();
        let connect = if self.sockets { BitFlags::from_flag(AccessFs::ResolveUnix) } else { BitFlags::EMPTY };
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all).map_err(|error| text(&error))?;
        if !scope.is_empty() {
            rules = rules.scope(scope).map_err(|error| text(&error))?;
        }
        let hidden: Vec<PathBuf> =
            if rustix::process::geteuid().is_root() { HIDDEN.iter().map(PathBuf::from).collect() } else { Vec::new() };
        let system = self.open(&SYSTEM.iter().map(PathBuf::from).collect::<Vec<_>>(), &[self.keep.as_slice(), &hidden].concat());
        let readable = self.open(&self.read, &self.keep);
        let mut rules = rules.create().map_err(|error| text(&error))?;
        for (paths, access) in [
            (system.around, AccessFs::ReadDir.into()),
            (system.whole, read),
            (DEVICES.iter().map(PathBuf::from).collect(), AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev),
            (readable.around, AccessFs::ReadDir.into()),
            (readable.whole, read),
            (self.open(&self.write, &self.keep).whole, write),
            (vec![PathBuf::from("/")], connect),
        ] {
            if !access.is_empty() {
                rules = rules.add_rules(path_beneath_rules(paths, access)).map_err(|error| text(&error))?;
            }
        }
        let status = rules.restrict_self().map_err(|error| text(&error))?;
        let Ok(version) = version(&status) else { return Ok(None) };
        mark()?;
        if !self.sockets {
            // Until Landlock knows paths of sockets, none can be made.
            close_sockets()?;
        }
        Ok(Some(version))
    }
}

impl Walls {
    /// Whether every command may read a path, whatever it was granted.
    pub fn is_readable_anyway(path: &Path) -> bool {
        SYSTEM.iter().chain(DEVICES).any(|place| path.starts_with(place))
    }

    /// What the kernel can be told of `places` so that nothing in `keep` is among them: a folder around such a place becomes what lies in
    /// it, level by level. Landlock only adds.
    fn open(&self, places: &[PathBuf], keep: &[PathBuf]) -> Open {
        let mut open = Open::default();
        let mut work: Vec<(PathBuf, bool)> = places.iter().map(|place| (place.clone(), true)).collect();
        while let Some((place, is_named)) = work.pop() {
            // A link that is named itself is followed, as it was granted; one that merely lies in a folder leads elsewhere.
            let real = if is_named { place.canonicalize().unwrap_or_else(|_| place.clone()) } else { place.clone() };
            if keep.contains(&real) {
                let inside = |kept: &PathBuf| self.open.starts_with(kept) && self.open != *kept;
                open.whole.extend(keep.iter().any(|kept| *kept == real && inside(kept)).then(|| self.open.clone()));
            } else if keep.iter().any(|kept| kept.starts_with(&real)) {
                let entries = std::fs::read_dir(&real).into_iter().flatten().flatten();
                let own = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
                work.extend(own.map(|entry| (entry.path(), false)));
                open.around.push(real);
            } else {
                open.whole.push(place);
            }
        }
        open
    }
}

/// Places, such that nothing that is kept is among them.
#[derive(Default)]
struct Open {
    /// With everything in them.
    whole: Vec<PathBuf>,
    /// Folders around something that is kept: they are listed.
    around: Vec<PathBuf>,
}

/// Everything that changes files. What may be written may not be read for that, nor executed.
fn writing() -> BitFlags<AccessFs> {
    let mut write = AccessFs::from_write(NEWEST);
    // Devices are made by nobody here.
    for right in [AccessFs::MakeChar, AccessFs::MakeBlock, AccessFs::IoctlDev, AccessFs::ResolveUnix] {
        write.remove(right);
    }
    write
}

/// No sockets of this machine's programs, neither directly nor through a queue of calls that no filter sees.
fn close_sockets() -> Result<(), String> {
    let text = |error: seccompiler::BackendError| error.to_string();
    let local = Condition::new(0, Len::Dword, Is::Eq, libc::AF_UNIX as u64).map_err(text)?;
    let local = SeccompRule::new(vec![local]).map_err(text)?;
    // By the numbers of x32 as well, which are these with a bit more.
    let of_x32 = if cfg!(target_arch = "x86_64") { 0x4000_0000 } else { 0 };
    let rules = BTreeMap::from([
        (libc::SYS_socket, vec![local.clone()]),
        (libc::SYS_socket | of_x32, vec![local]),
        (libc::SYS_io_uring_setup, Vec::new()),
        (libc::SYS_io_uring_setup | of_x32, Vec::new()),
    ]);
    let program = compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EACCES as u32))?;
    // A kernel without filters has Landlock's walls all the same.
    let _ = seccompiler::apply_filter(&program);
    Ok(())
}
