//! Folders into which files are dropped: what is in them, what a file holds, and where it goes when it is done with.
//!
//! No link is followed: neither one among the files nor one among the folders.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::place::{Place, open_in};
use super::{Error, MOST_ENTRIES};
use crate::policy::AllowedPath;

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path in the folder.
    pub name: String,
    /// What tells one state of it from another: which file it is, its size, times of change; with colons between.
    pub stamp: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written; nanoseconds since 1970.
    pub modified: i128,
}

/// What is in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Which folder that is: another one may take its name.
    pub folder: String,
    /// Its plain files.
    pub files: Vec<Found>,
    /// Whether some were left out because their names are not UTF-8.
    pub unnamed: bool,
    /// The first folder in it that could not be looked into.
    pub closed: Option<String>,
}

/// What came of putting a file away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aside {
    /// It is away.
    Done,
    /// It was gone already.
    Gone,
    /// Another one has taken its place, or it holds something else by now; that one was left alone.
    Another,
}

/// The plain files in `folder`; with `recursive` those in folders of it, too, but for those whose names `skip` names.
///
/// # Errors
/// Where it cannot be looked into; [`Error::TooManyEntries`].
pub fn find(folder: &AllowedPath, recursive: bool, skip: &dyn Fn(&str) -> bool) -> Result<Listing, Error> {
    let place = Place::of(folder);
    let root = place.open(FOLDER).map_err(|errno| match errno {
        Errno::NOTDIR => Error::NotAFolder(place.shown()),
        other => place.error("look into", other),
    })?;
    let own = rustix::fs::fstat(&root).map_err(|errno| place.error("look into", errno))?;
    let folder = format!("{}:{}", own.st_dev, identity(&root, Path::new(""), &own));
    let mut listing = Listing { folder, files: Vec::new(), unnamed: false, closed: None };
    let mut waiting = vec![PathBuf::new()];
    while let Some(inner) = waiting.pop() {
        let entries =
            if inner.as_os_str().is_empty() { Dir::read_from(&root) } else { open_in(&root, &inner, FOLDER).and_then(Dir::read_from) };
        let entries = match entries {
            Ok(entries) => entries,
            // It went away meanwhile.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !inner.as_os_str().is_empty() => continue,
            Err(_) if !inner.as_os_str().is_empty() => {
                listing.closed.get_or_insert_with(|| inner.to_string_lossy().into_owned());
                continue;
            }
            Err(errno) => return Err(place.error("look into", errno)),
        };
        for entry in entries {
            let entry = entry.map_err(|errno| place.error("look into", errno))?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") || matches!(entry.file_type(), FileType::Symlink) {
                continue;
            }
            let Ok(name) = entry.file_name().to_str() else {
                listing.unnamed = true;
                continue;
            };
            let path = inner.join(name);
            let Ok(found) = rustix::fs::statat(&root, &path, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory if recursive && !skip(name) => waiting.push(path),
                FileType::RegularFile if !skip(name) => {
                    if listing.files.len() + waiting.len() >= MOST_ENTRIES {
                        return Err(Error::TooManyEntries(place.shown()));
                    }
                    listing.files.push(Found {
                        name: path.to_string_lossy().into_owned(),
                        stamp: stamp(&root, &path, &found),
                        size: u64::try_from(found.st_size).unwrap_or_default(),
                        modified: i128::from(found.st_mtime) * 1_000_000_000 + i128::from(found.st_mtime_nsec),
                    });
                }
                _ => {}
            }
        }
    }
    Ok(listing)
}

/// What a file holds, as SHA-256 in hex; none where it changed while it was read, or `stop` says that nobody wants to know any more.
/// `stamp_before` is what it was found with.
///
/// # Errors
/// Where it cannot be read.
pub fn digest(file: &AllowedPath, stamp_before: &str, stop: &dyn Fn() -> bool) -> Result<Option<String>, Error> {
    let place = Place::of(file);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = File::from(place.open(flags).map_err(|errno| place.error("read", errno))?);
    let same = |file: &File| rustix::fs::fstat(file).is_ok_and(|now| stamp(file, Path::new(""), &now) == stamp_before);
    if !same(&opened) {
        return Ok(None);
    }
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        if stop() {
            return Ok(None);
        }
        match (&opened).read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => digest.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(place.io("read", &error)),
        }
    }
    Ok(same(&opened).then(|| digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Moves the file, if it is still the one of that stamp, into the folder `into` beside it. A name that is taken there gets a number.
///
/// # Errors
/// Where it cannot be moved: it is where it was.
pub fn set_aside(file: &AllowedPath, stamp: &str, into: &str) -> Result<Aside, Error> {
    let place = Place::for_writing(file)?;
    let (folder, name) = match the_same(&place, stamp)? {
        Ok(there) => there,
        Err(other) => return Ok(other),
    };
    let failed = |errno| place.error("move", errno);
    match rustix::fs::mkdirat(&folder, into, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let target = open_in(&folder, Path::new(into), FOLDER).map_err(failed)?;
    for number in 0..100_000_u32 {
        match rename(&folder, name, &target, &numbered(name, number)) {
            Ok(()) => {
                // That it may be back after a power cut is no reason to say it was not moved.
                let _ = rustix::fs::fsync(&target);
                return Ok(Aside::Done);
            }
            Err(Errno::EXIST) => {}
            Err(Errno::NOENT) => return Ok(Aside::Gone),
            Err(errno) => return Err(failed(errno)),
        }
    }
    Err(failed(Errno::EXIST))
}

/// Removes the file, if it is still the one of that stamp.
///
/// # Errors
/// Where it cannot be removed.
pub fn remove_same(file: &AllowedPath, stamp: &str) -> Result<Aside, Error> {
    let place = Place::for_writing(file)?;
    let (folder, name) = match the_same(&place, stamp)? {
        Ok(there) => there,
        Err(other) => return Ok(other),
    };
    match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) => Ok(Aside::Done),
        Err(Errno::NOENT) => Ok(Aside::Gone),
        Err(errno) => Err(place.error("remove", errno)),
    }
}

/// Whether the system tells of what happens in that folder. It does not where another machine keeps it.
pub fn tells_of_changes(folder: &AllowedPath) -> bool {
    #[cfg(target_os = "linux")]
    {
        // NFS, SMB, CIFS, SMB2, FUSE, 9P, AFS, Ceph, Coda.
        const ELSEWHERE: [u32; 9] =
            [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x5346_414f, 0x00c3_6400, 0x7375_7245];
        // The width of the number differs between machines; its lower half is what counts.
        rustix::fs::statfs(folder.as_path()).is_ok_and(|found| !ELSEWHERE.contains(&((found.f_type as u64 & 0xffff_ffff) as u32)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        true
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

fn stamp(folder: impl AsFd, path: &Path, found: &Stat) -> String {
    format!(
        "{}:{}:{}.{}:{}.{}",
        identity(folder, path, found),
        found.st_size,
        found.st_mtime,
        found.st_mtime_nsec,
        found.st_ctime,
        found.st_ctime_nsec
    )
}

/// What tells a file from others that had its name, or get its inode when it is gone.
fn identity(folder: impl AsFd, path: &Path, found: &Stat) -> String {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{StatxFlags, statx};
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
        // Not every file system knows when a file was made.
        if let Ok(more) = statx(&folder, path, flags, StatxFlags::BTIME)
            && StatxFlags::from_bits_retain(more.stx_mask).contains(StatxFlags::BTIME)
        {
            return format!("{}@{}.{}", found.st_ino, more.stx_btime.tv_sec, more.stx_btime.tv_nsec);
        }
    }
    let _ = (folder, path);
    found.st_ino.to_string()
}

/// The part of a stamp that another owner or other rights do not change.
fn content(stamp: &str) -> &str {
    stamp.rsplit_once(':').map_or(stamp, |(content, _)| content)
}

/// The file's folder and name, if it is still the one of that stamp.
fn the_same<'a>(place: &Place<'a>, before: &str) -> Result<Result<(OwnedFd, &'a OsStr), Aside>, Error> {
    let (folder, name) = match place.folder(false) {
        Ok(found) => found,
        Err(Error::NoFolder(_)) => return Ok(Err(Aside::Gone)),
        Err(error) => return Err(error),
    };
    match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if content(&stamp(&folder, Path::new(name), &found)) == content(before) => Ok(Ok((folder, name))),
        Ok(_) => Ok(Err(Aside::Another)),
        Err(Errno::NOENT) => Ok(Err(Aside::Gone)),
        Err(errno) => Err(place.error("look at", errno)),
    }
}

/// Moves a file, replacing nothing.
fn rename(from: &OwnedFd, name: &OsStr, to: &OwnedFd, new: &OsStr) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from, name, to, new, rustix::fs::RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match rustix::fs::statat(to, new, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rustix::fs::renameat(from, name, to, new),
            Err(errno) => Err(errno),
        },
        done => done,
    }
}

/// `report.pdf`, `report-1.pdf`, `report-2.pdf`, …
fn numbered(name: &OsStr, number: u32) -> std::ffi::OsString {
    if number == 0 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let mut numbered = path.file_stem().unwrap_or(name).to_owned();
    numbered.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        numbered.push(".");
        numbered.push(extension);
    }
    numbered
}
