//! The data folder: can it be written, is there room, does a server use it.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::Finding;
use crate::config::Config;

const PART: &str = "data folder";
/// Less room than this does not last.
const ROOM: u64 = 256 << 20;

pub(super) fn folder(config: &Config) -> Finding {
    let data = &config.storage.data_dir;
    let shown = data.display();
    if let Err(error) = crate::app::prepare(data).map(drop).and_then(|()| write(data)) {
        return Finding::broken(PART, error.message, format!("mkdir -p {shown} && chown \"$(id -un)\" {shown}, or set DATA_DIR"));
    }
    let free = free(data);
    let room = free.map_or_else(String::new, |free| format!(", {} MiB free", free >> 20));
    let used = if is_used(data) { ", in use by a running server" } else { "" };
    if free.is_some_and(|free| free < ROOM) {
        return Finding::broken(
            PART,
            format!("{shown} can be written{room}{used}"),
            format!("free space on the disk of {shown}, or set DATA_DIR"),
        );
    }
    Finding::ok(PART, format!("{shown} can be written{room}{used}"))
}

/// Writes something and takes it away again.
fn write(data: &Path) -> Result<(), crate::error::Failure> {
    let path = data.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&path, [0; 4096]).and_then(|()| std::fs::remove_file(&path)).map_err(|error| {
        crate::error::Failure::new(crate::error::Kind::StorageFull, format!("{} cannot be written: {error}", data.display()))
    })
}

fn free(data: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(data).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    return None;
}

/// Whether a server holds its lock there.
fn is_used(data: &Path) -> bool {
    File::open(data.join("server.lock")).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
