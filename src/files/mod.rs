//! Text files and folders, at paths that `policy` allowed.
//!
//! Those paths have their links resolved; here no link is followed at all, so that a link put in place after the check leads
//! nowhere. A file is replaced in one move, so that a crash or a full disk leaves either the old content or the new. Blocking.

mod error;
mod inbox;
mod place;
mod watch;
mod words;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::failpoint;
use crate::policy::AllowedPath;
pub use error::Error;
pub use inbox::{Aside, Found, Listing, digest, find, remove_same, set_aside, tells_of_changes};
use place::Place;
pub use watch::{Change, Watch};
pub use words::*;

/// Bytes that are read at most.
const LARGEST: u64 = 10 * 1024 * 1024;

/// Entries that are listed at most.
const MOST_ENTRIES: usize = 100_000;

/// The whole text of a file of at most 10 MiB.
pub fn read(path: &AllowedPath) -> Result<String, Error> {
    String::from_utf8(read_bytes(path)?).map_err(|_| Error::NotText(Place::of(path).shown()))
}

/// What a file holds, whatever that is.
pub fn read_bytes(path: &AllowedPath) -> Result<Vec<u8>, Error> {
    let place = Place::of(path);
    // Not blocking, as opening a named pipe would wait for its other end.
    let file = place.open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(|errno| place.error("read", errno))?;
    let file = File::from(file);
    let found = file.metadata().map_err(|error| place.io("read", &error))?;
    if found.is_dir() {
        return Err(Error::IsFolder(place.shown()));
    }
    if !found.is_file() {
        return Err(Error::NotAFile(place.shown()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len().min(LARGEST)).unwrap_or_default());
    // The files of /proc say they are empty, and others may grow: what counts is what comes.
    (&file).take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| place.io("read", &error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::TooLarge(place.shown()));
    }
    Ok(bytes)
}

/// Replaces a file, or adds to its end. Either all of `content` is on the disk afterwards, or the file is as it was.
pub fn write(path: &AllowedPath, content: &[u8], options: WriteOptions) -> Result<Written, Error> {
    let place = Place::for_writing(path)?;
    let (folder, name) = place.folder(options.create_directories)?;
    let earlier = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Some(found),
            FileType::Directory => return Err(Error::IsFolder(place.shown())),
            // Replacing a device or a pipe by a file would break the machine, not write to it.
            _ => return Err(Error::NotAFile(place.shown())),
        },
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(place.error("write", errno)),
    };
    let written = if options.append {
        append(&folder, name, content)
    } else {
        replace(&folder, name, content, earlier.map(|found| Mode::from_raw_mode(found.st_mode)))
    };
    written.map_err(|error| place.io("write", &error))?;
    Ok(Written { path: path.as_path().to_string_lossy().into_owned(), bytes: content.len() as u64 })
}

/// What is in a folder, by name. Links are listed as themselves.
pub fn list(path: &AllowedPath) -> Result<Vec<Entry>, Error> {
    let place = Place::of(path);
    let folder = place.open(OFlags::RDONLY | OFlags::DIRECTORY).map_err(|errno| match errno {
        Errno::NOTDIR => Error::NotAFolder(place.shown()),
        other => place.error("list", other),
    })?;
    let entries = Dir::read_from(&folder).map_err(|errno| place.error("list", errno))?;
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|errno| place.error("list", errno))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if listed.len() == MOST_ENTRIES {
            return Err(Error::TooManyEntries(place.shown()));
        }
        // One that went away meanwhile is not listed.
        if let Ok(found) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            listed.push(Entry {
                name: name.to_string_lossy().into_owned(),
                is_directory: FileType::from_raw_mode(found.st_mode) == FileType::Directory,
                size: u64::try_from(found.st_size).unwrap_or_default(),
            });
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

/// Whether there is something at that path.
pub fn exists(path: &AllowedPath) -> Result<bool, Error> {
    let place = Place::of(path);
    match place.stat() {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(place.error("look for", errno)),
    }
}

/// Removes a file or an empty folder.
pub fn remove(path: &AllowedPath) -> Result<(), Error> {
    let place = Place::for_writing(path)?;
    let (folder, name) = place.folder(false)?;
    match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
        // POSIX says EPERM for folders, Linux EISDIR.
        Err(Errno::ISDIR | Errno::PERM) => rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR),
        other => other,
    }
    .map_err(|errno| match errno {
        Errno::NOTEMPTY | Errno::EXIST => Error::NotEmpty(place.shown()),
        other => place.error("remove", other),
    })
}

/// Writes beside the file and moves the result over it.
fn replace(folder: &impl std::os::fd::AsFd, name: &OsStr, content: &[u8], mode: Option<Mode>) -> std::io::Result<()> {
    let beside = format!(".trae-{}.tmp", uuid::Uuid::now_v7().simple());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let moved = (|| {
        let mut file = File::from(rustix::fs::openat(folder, &beside, flags, Mode::from_raw_mode(0o666))?);
        if let Some(mode) = mode {
            rustix::fs::fchmod(&file, mode)?;
        }
        file.write_all(content)?;
        file.sync_all()?;
        failpoint::here("file.rename.before");
        Ok(rustix::fs::renameat(folder, &beside, folder, name)?)
    })();
    match moved {
        // The file is in place; that its name may not survive a power cut on some file systems is no reason to say it is not.
        Ok(()) => {
            failpoint::here("file.sync.before");
            let _ = rustix::fs::fsync(folder);
            failpoint::here("file.sync.after");
        }
        Err(_) => {
            let _ = rustix::fs::unlinkat(folder, &beside, AtFlags::empty());
        }
    }
    moved
}

/// Adds to the end; what was added in part only is taken away again.
fn append(folder: &impl std::os::fd::AsFd, name: &OsStr, content: &[u8]) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o666))?);
    let before = file.metadata()?.len();
    let added = file.write_all(content).and_then(|()| file.sync_all());
    if added.is_err() {
        let _ = file.set_len(before);
    }
    added
}
