//! Files that are whole or not there.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use trae::error::{Classify, Kind};
use trae::files::{self, WriteOptions};
use trae::policy::{Access, AllowedPath, Grant, Permissions};

use super::everything;

fn at(root: &Path, path: &str, access: Access) -> AllowedPath {
    everything(root).path(path, access).unwrap()
}

fn readable(root: &Path, path: &str) -> AllowedPath {
    at(root, path, Access::Read)
}

fn writable(root: &Path, path: &str) -> AllowedPath {
    at(root, path, Access::Write)
}

const APPEND: WriteOptions = WriteOptions { append: true, create_directories: true };
const NO_FOLDERS: WriteOptions = WriteOptions { append: false, create_directories: false };

#[test]
fn files_are_written_read_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let path = "reports/2026/one.txt";
    let written = files::write(&writable(root, path), "grün\n".as_bytes(), WriteOptions::default()).unwrap();
    assert_eq!(written.bytes, 6);
    assert!(written.path.ends_with(path) && written.path.starts_with('/'));
    files::write(&writable(root, path), b"more\n", APPEND).unwrap();
    assert_eq!(files::read(&readable(root, path)).unwrap(), "grün\nmore\n");
    files::write(&writable(root, path), b"", WriteOptions::default()).unwrap();
    assert_eq!(files::read(&readable(root, path)).unwrap(), "");

    std::fs::create_dir(root.join("reports/2026/a")).unwrap();
    let listed = files::list(&readable(root, "reports/2026")).unwrap();
    let listed: Vec<_> = listed.iter().map(|entry| (entry.name.as_str(), entry.is_directory)).collect();
    assert_eq!(listed, [("a", true), ("one.txt", false)]);

    assert!(files::exists(&readable(root, path)).unwrap());
    assert!(!files::exists(&readable(root, "reports/none/none")).unwrap());
    assert_eq!(files::remove(&writable(root, "reports/2026")).unwrap_err().kind(), Kind::Conflict);
    files::remove(&writable(root, path)).unwrap();
    files::remove(&writable(root, "reports/2026/a")).unwrap();
    files::remove(&writable(root, "reports/2026")).unwrap();
    assert_eq!(files::list(&readable(root, "reports")).unwrap(), []);
}

#[test]
fn a_replaced_file_keeps_its_rights() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    files::write(&writable(folder.path(), "key"), b"new", WriteOptions::default()).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
}

#[test]
fn what_is_no_text_file_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("dir")).unwrap();
    std::fs::write(root.join("bytes"), [0xff, 0xfe, 0]).unwrap();
    std::fs::File::create(root.join("huge")).unwrap().set_len(11 * 1024 * 1024).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());

    let reads = |path: &str| files::read(&readable(root, path)).unwrap_err().kind();
    assert_eq!(reads("dir"), Kind::ValidationError);
    assert_eq!(reads("bytes"), Kind::ValidationError);
    assert_eq!(reads("huge"), Kind::PayloadTooLarge);
    assert_eq!(reads("pipe"), Kind::ValidationError);
    assert_eq!(reads("/dev/zero"), Kind::ValidationError);
    assert_eq!(reads("bytes/inner"), Kind::ValidationError);
    let missing = files::read(&readable(root, "none")).unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    assert_eq!(missing.details().unwrap()["kind"], "file");

    let writes = |path: &str, options| files::write(&writable(root, path), b"x", options).unwrap_err().kind();
    assert_eq!(writes("dir", WriteOptions::default()), Kind::ValidationError);
    assert_eq!(writes("pipe", APPEND), Kind::ValidationError);
    assert_eq!(writes("/dev/null", WriteOptions::default()), Kind::ValidationError);
    assert_eq!(writes("new/file", NO_FOLDERS), Kind::NotFound);
    assert_eq!(writes("bytes/inner", WriteOptions::default()), Kind::ValidationError);
    assert_eq!(files::list(&readable(root, "bytes")).unwrap_err().kind(), Kind::ValidationError);
    assert_eq!(files::remove(&writable(root, "none")).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn a_path_for_reading_is_never_written() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kept"), "kept").unwrap();
    let path = readable(folder.path(), "kept");
    assert_eq!(files::write(&path, b"x", WriteOptions::default()).unwrap_err().kind(), Kind::PermissionDenied);
    assert_eq!(files::remove(&path).unwrap_err().kind(), Kind::PermissionDenied);
    assert_eq!(std::fs::read_to_string(folder.path().join("kept")).unwrap(), "kept");
}

#[test]
fn links_put_in_place_after_the_check_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("files"), folder.path().join("outside"));
    for folder in [&root, &outside] {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::write(outside.join("secret"), "secret").unwrap();

    // Checked while nothing was there; then the last part, or a folder on the way, becomes a link.
    let (file, inner) = (readable(&root, "late"), readable(&root, "way/secret"));
    let (target, below) = (writable(&root, "target"), writable(&root, "way/new"));
    symlink(outside.join("secret"), root.join("late")).unwrap();
    symlink(outside.join("secret"), root.join("target")).unwrap();
    symlink(&outside, root.join("way")).unwrap();

    assert!(files::read(&file).is_err());
    assert!(files::read(&inner).is_err());
    assert!(files::write(&target, b"x", WriteOptions::default()).is_err());
    assert!(files::write(&target, b"x", APPEND).is_err());
    assert!(files::write(&below, b"x", WriteOptions::default()).is_err());
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    assert!(!outside.join("new").exists());
}

#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED: a small disk could not be mounted here, so a full one was not tried");
        return;
    }
    struct Mounted<'a>(&'a Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(self.0).status();
        }
    }
    let _mounted = Mounted(&disk);

    files::write(&writable(&disk, "kept"), b"kept", WriteOptions::default()).unwrap();
    let large = vec![b'x'; 200_000];
    for options in [WriteOptions::default(), APPEND] {
        let error = files::write(&writable(&disk, "kept"), &large, options).unwrap_err();
        assert_eq!(error.kind(), Kind::StorageFull, "{error}");
        assert_eq!(files::read(&readable(&disk, "kept")).unwrap(), "kept");
    }
    let left: Vec<_> = files::list(&readable(&disk, ".")).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(left, ["kept"]);
}

#[test]
fn a_folder_may_be_followed_where_it_or_what_is_in_it_may_be_read() {
    let root = tempfile::tempdir().unwrap();
    let read = vec!["reports/**".to_owned(), "inbox".to_owned()];
    let grant = Grant::new(vec![Permissions { read, ..Permissions::default() }], root.path().canonicalize().unwrap());
    for allowed in ["reports", "reports/", "reports/2026", "inbox"] {
        assert!(grant.folder(allowed).is_ok(), "{allowed}");
    }
    for denied in [".", "other", "report", "/etc"] {
        assert_eq!(grant.folder(denied).unwrap_err().kind(), Kind::PermissionDenied, "{denied}");
    }
    assert_eq!(grant.folder("reports/../other").unwrap_err().kind(), Kind::ValidationError);
}
