//! The images as files: each whole or not there at all, none but plain files, and no name that did not come from a checked id.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::Error;
use crate::failpoint;
use crate::screen::ImageFormat;

/// Bytes of an image at most: a planted file must not fill the memory.
const LARGEST: u64 = 256 << 20;

/// How a file begins that was not finished.
const UNFINISHED: &str = ".new-";

/// The name of an image's file. Made of a checked id, so that it leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FileName(String);

impl FileName {
    /// The name of a snapshot's image; none for an id that cannot be one.
    pub(super) fn of(id: &str, format: ImageFormat) -> Option<Self> {
        let ending = match format {
            ImageFormat::Jpeg => "jpg",
            ImageFormat::Png => "png",
            ImageFormat::Webp => "webp",
        };
        is_id(id).then(|| Self(format!("{id}.{ending}")))
    }

    /// The name of a file that was found, if it is one of ours, finished or not.
    fn found(name: &str) -> Option<Self> {
        let bare = name.strip_prefix(UNFINISHED).unwrap_or(name);
        let (id, ending) = bare.rsplit_once('.')?;
        (is_id(id) && matches!(ending, "jpg" | "png" | "webp")).then(|| Self(name.to_owned()))
    }

    fn unfinished(&self) -> String {
        format!("{UNFINISHED}{}", self.0)
    }
}

/// Whether a text may be a snapshot's or a template's id.
pub(super) fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// A claim to the folder, among all processes that use it. It goes with the process, however that ends.
#[derive(Debug)]
pub(super) struct Claim {
    folder: OwnedFd,
    /// Nobody else uses the folder.
    pub(super) alone: bool,
}

impl Claim {
    /// Lets others use the folder as well; until then they wait.
    pub(super) fn share(&mut self) {
        // It cannot fail where the claim was made; where there are no locks, there is nothing to let go of.
        let _ = flock(&self.folder, FlockOperation::LockShared);
        self.alone = false;
    }
}

/// The folder. Every call blocks.
#[derive(Debug)]
pub(super) struct Images {
    folder: PathBuf,
}

impl Images {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Claims the folder: alone where nobody else uses it, else together with the others. Makes it where it is not there.
    pub(super) fn claim(&self) -> Result<Claim, Error> {
        std::fs::create_dir_all(&self.folder).map_err(|error| self.failed("written", &error))?;
        let folder = self.open().map_err(|errno| self.failed("read", &errno.into()))?;
        let alone = match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                flock(&folder, FlockOperation::LockShared).map_err(|errno| self.failed("locked", &errno.into()))?;
                false
            }
            // Some network file systems have no locks; there, nobody can be told from nobody.
            Ok(()) | Err(_) => true,
        };
        Ok(Claim { folder, alone })
    }

    /// Writes an image. It is on the disk afterwards, whole, or there is nothing of that name.
    pub(super) fn write(&self, name: &FileName, bytes: &[u8]) -> Result<(), Error> {
        std::fs::create_dir_all(&self.folder).map_err(|error| self.failed("written", &error))?;
        let folder = self.open().map_err(|errno| self.failed("written", &errno.into()))?;
        let unfinished = name.unfinished();
        let written = (|| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::openat(&folder, &unfinished, flags, Mode::RUSR | Mode::WUSR)?);
            file.write_all(bytes)?;
            file.sync_all()?;
            failpoint::here("image.rename.before");
            rustix::fs::renameat(&folder, &unfinished, &folder, &name.0)?;
            failpoint::here("image.sync.before");
            rustix::fs::fsync(&folder)?;
            failpoint::here("image.sync.after");
            Ok(())
        })();
        written.map_err(|error: std::io::Error| {
            for left in [unfinished.as_str(), &name.0] {
                let _ = rustix::fs::unlinkat(&folder, left, AtFlags::empty());
            }
            self.failed("written", &error)
        })
    }

    /// An image; none where there is no such file, or something that is no plain file.
    pub(super) fn read(&self, name: &FileName) -> Result<Option<Vec<u8>>, Error> {
        // Not blocking, as opening a planted pipe would wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = self.open().and_then(|folder| rustix::fs::openat(folder, &name.0, flags, Mode::empty()));
        let file = match opened {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Ok(None),
            Err(errno) => return Err(self.failed("read", &errno.into())),
        };
        let read = (|| {
            if !file.metadata()?.is_file() {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            (&file).take(LARGEST).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        })();
        read.map_err(|error| self.failed("read", &error))
    }

    /// Whether an image is there.
    pub(super) fn holds(&self, name: &FileName) -> bool {
        let found = self.open().and_then(|folder| rustix::fs::statat(folder, &name.0, AtFlags::SYMLINK_NOFOLLOW));
        found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
    }

    /// Removes an image, or the link that stands in its place. One that is not there is gone already.
    pub(super) fn remove(&self, name: &FileName) -> Result<(), Error> {
        match self.open().and_then(|folder| rustix::fs::unlinkat(folder, &name.0, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("removed", &errno.into())),
        }
    }

    /// Every file that is named like an image, finished or not; makes the folder where there is none.
    pub(super) fn names(&self) -> Result<Vec<FileName>, Error> {
        std::fs::create_dir_all(&self.folder).map_err(|error| self.failed("written", &error))?;
        let listed = self.open().and_then(Dir::new).and_then(|entries| {
            let mut names = Vec::new();
            for entry in entries {
                names.extend(entry?.file_name().to_str().ok().and_then(FileName::found));
            }
            Ok(names)
        });
        listed.map_err(|errno| self.failed("read", &errno.into()))
    }

    /// The folder itself may be a link: whoever runs TRAE may keep images on another disk.
    fn open(&self) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(CWD, &self.folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    }

    fn failed(&self, verb: &'static str, error: &std::io::Error) -> Error {
        Error::Folder { folder: self.folder.display().to_string(), verb, reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> FileName {
        FileName::of(id, ImageFormat::Jpeg).unwrap()
    }

    #[test]
    fn only_ids_become_names() {
        for id in ["", "..", "../x", "a/b", "a.b", "a\0", "ä", ".new-a", &"x".repeat(129)] {
            assert_eq!(FileName::of(id, ImageFormat::Png), None, "{id:?}");
        }
        for found in [".hidden", "notes.txt", "a.jpeg", "x", "..jpg", "a b.jpg"] {
            assert_eq!(FileName::found(found), None, "{found:?}");
        }
        assert!(FileName::found("a-1.jpg").is_some() && FileName::found(".new-a-1.webp").is_some());
    }

    #[test]
    fn an_image_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::new(folder.path().join("snapshots"));
        assert!(images.read(&name("a")).unwrap().is_none() && !images.holds(&name("a")));
        images.write(&name("a"), b"abc").unwrap();
        assert_eq!(images.read(&name("a")).unwrap().unwrap(), b"abc");
        assert_eq!(images.names().unwrap(), [name("a")]);
        images.remove(&name("a")).unwrap();
        images.remove(&name("a")).unwrap();
        assert!(images.names().unwrap().is_empty());
    }

    #[test]
    fn only_one_claims_the_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::new(folder.path().join("snapshots"));
        let mut first = images.claim().unwrap();
        assert!(first.alone);
        first.share();
        let second = images.claim().unwrap();
        assert!(!second.alone);
        drop(first);
        assert!(!images.claim().unwrap().alone);
        drop(second);
        assert!(images.claim().unwrap().alone);
    }

    #[test]
    fn what_is_no_plain_file_is_no_image() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::new(folder.path().to_path_buf());
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        std::os::unix::fs::symlink(&secret, folder.path().join("link.jpg")).unwrap();
        std::fs::create_dir(folder.path().join("folder.jpg")).unwrap();
        rustix::fs::mknodat(CWD, folder.path().join("pipe.jpg"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for id in ["link", "folder", "pipe"] {
            assert!(images.read(&name(id)).unwrap().is_none() && !images.holds(&name(id)), "{id}");
        }
        images.remove(&name("link")).unwrap();
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
        assert!(!folder.path().join("link.jpg").is_symlink());
    }
}
