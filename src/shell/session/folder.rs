//! The folders through which the server and the shells of its sessions hand each other files.

use std::path::{Path, PathBuf};

/// Removes what processes left behind that are gone: each has a folder with its number.
fn tidy(root: &Path) {
    #[cfg(unix)]
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let gone = |pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        if number.and_then(rustix::process::Pid::from_raw).is_some_and(gone) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder that only this user may look into.
pub(super) fn private(root: &Path, name: &str) -> std::io::Result<PathBuf> {
    tidy(root);
    let root = root.join(std::process::id().to_string());
    let mut maker = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        maker.mode(0o700);
    }
    maker.recursive(true);
    maker.create(&root)?;
    let folder = root.canonicalize()?.join(name);
    maker.create(&folder)?;
    Ok(folder)
}
