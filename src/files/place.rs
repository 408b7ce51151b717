//! Getting at a path without following any link on the way.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::Error;
use crate::policy::{Access, AllowedPath};

/// A path whose links were resolved when it was checked.
#[derive(Debug)]
pub(super) struct Place<'a> {
    path: &'a Path,
}

impl<'a> Place<'a> {
    pub(super) fn of(allowed: &'a AllowedPath) -> Self {
        Self { path: allowed.as_path() }
    }

    /// Only for a path that was allowed for writing.
    pub(super) fn for_writing(allowed: &'a AllowedPath) -> Result<Self, Error> {
        let place = Self::of(allowed);
        match allowed.access() {
            Access::Write => Ok(place),
            Access::Read => Err(Error::ReadOnlyPath(place.shown())),
        }
    }

    /// How messages name it.
    pub(super) fn shown(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    pub(super) fn open(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        open(self.path, flags)
    }

    /// Whether it can be looked at.
    pub(super) fn stat(&self) -> Result<(), Errno> {
        let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(());
        };
        let folder = open(parent, FOLDER)?;
        rustix::fs::statat(&folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map(drop)
    }

    /// Its folder, opened, and its name there.
    pub(super) fn folder(&self, create: bool) -> Result<(OwnedFd, &'a OsStr), Error> {
        let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Err(Error::IsFolder(self.shown()));
        };
        let opened = if create { open_or_create(parent) } else { open(parent, FOLDER) };
        match opened {
            Ok(folder) => Ok((folder, name)),
            Err(Errno::NOENT) => Err(Error::NoFolder(parent.to_string_lossy().into_owned())),
            Err(Errno::NOTDIR) => Err(Error::NotAFolder(parent.to_string_lossy().into_owned())),
            Err(errno) => Err(self.error("reach", errno)),
        }
    }

    pub(super) fn error(&self, verb: &'static str, errno: Errno) -> Error {
        Error::from_errno(self.shown(), verb, errno)
    }

    pub(super) fn io(&self, verb: &'static str, error: &std::io::Error) -> Error {
        self.error(verb, Errno::from_io_error(error).unwrap_or(Errno::IO))
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

fn open_or_create(folder: &Path) -> Result<OwnedFd, Errno> {
    let mut missing: Vec<&OsStr> = Vec::new();
    let mut existing: PathBuf = folder.to_path_buf();
    let mut opened = loop {
        match open(&existing, FOLDER) {
            Err(Errno::NOENT) => match (folder.ancestors().nth(missing.len()).and_then(Path::file_name), existing.parent()) {
                (Some(name), Some(parent)) => {
                    missing.push(name);
                    existing = parent.to_path_buf();
                }
                _ => return Err(Errno::NOENT),
            },
            other => break other?,
        }
    };
    for name in missing.into_iter().rev() {
        match rustix::fs::mkdirat(&opened, name, Mode::from_raw_mode(0o777)) {
            // Somebody else was faster.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        opened = rustix::fs::openat(&opened, name, FOLDER | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    }
    Ok(opened)
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_in(CWD, path, flags)
}

/// Opens without following links: anywhere on the way where the system can (Linux 5.6), else at the end.
pub(super) fn open_in(folder: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    #[cfg(target_os = "linux")]
    match rustix::fs::openat2(&folder, path, flags, Mode::empty(), rustix::fs::ResolveFlags::NO_SYMLINKS) {
        // Older kernels lack it, and some sandboxes refuse what they do not know.
        Err(Errno::NOSYS | Errno::PERM) => {}
        other => return other,
    }
    rustix::fs::openat(&folder, path, flags, Mode::empty())
}
