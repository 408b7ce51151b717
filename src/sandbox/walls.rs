//! Landlock around a command and everything it starts: the paths it was granted, and what any program needs to run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use landlock::{Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules};
use seccompiler::{SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Is, SeccompCondition as Condition, SeccompRule};

use super::calls::compile;
use super::limits::keep_few_capabilities;
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

/// Devices that are nobody's.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What a command may touch.
#[derive(Debug, Clone, Default)]
pub struct Walls {
    /// Files and folders, with everything in them, that it may read, and execute.
    pub read: Vec<PathBuf>,
    /// Files and folders, with everything in them, that it may write.
    pub write: Vec<PathBuf>,
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
        let mut rules = rules.create().map_err(|error| text(&error))?;
        for (paths, access) in [
            (SYSTEM.iter().map(Path::new).collect::<Vec<_>>(), read),
            (DEVICES.iter().map(Path::new).collect(), AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev),
            (self.read.iter().map(PathBuf::as_path).collect(), read),
            (self.write.iter().map(PathBuf::as_path).collect(), write),
            (vec![Path::new("/")], connect),
        ] {
            if !access.is_empty() {
                rules = rules.add_rules(path_beneath_rules(paths, access)).map_err(|error| text(&error))?;
            }
        }
        let status = rules.restrict_self().map_err(|error| text(&error))?;
        let Ok(version) = version(&status) else { return Ok(None) };
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
    let rules =
        BTreeMap::from([(libc::SYS_socket, vec![SeccompRule::new(vec![local]).map_err(text)?]), (libc::SYS_io_uring_setup, Vec::new())]);
    let program = compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EACCES as u32))?;
    // A kernel without filters has Landlock's walls all the same.
    let _ = seccompiler::apply_filter(&program);
    Ok(())
}
