//! A file that is put aside when it is full: `backend.log`, `backend.log.1` (the newest), `backend.log.2`, …

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Result, Write};
use std::path::{Path, PathBuf};

/// The present file and its like.
pub(super) struct Rolling {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    most: u64,
    keep: u32,
}

impl Rolling {
    /// Goes on with the file at `path`, which only its owner may read. A new one is begun beyond `most` bytes; `keep` old ones are kept.
    pub(super) fn open(path: &Path, most: u64, keep: u32) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_private(folder)?;
        }
        let file = append(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_path_buf(), file: BufWriter::new(file), bytes, most, keep })
    }

    fn turn_over(&mut self) -> Result<()> {
        self.file.flush()?;
        if self.keep == 0 {
            std::fs::remove_file(&self.path)?;
        }
        for number in (1..self.keep).rev() {
            let older = self.numbered(number);
            if older.exists() {
                std::fs::rename(older, self.numbered(number + 1))?;
            }
        }
        if self.keep > 0 {
            std::fs::rename(&self.path, self.numbered(1))?;
        }
        self.file = BufWriter::new(append(&self.path)?);
        self.bytes = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

impl Write for Rolling {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        let length = line.len() as u64;
        if self.bytes > 0 && self.bytes + length > self.most {
            self.turn_over()?;
        }
        self.file.write_all(line)?;
        self.bytes += length;
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a folder and those above it; the new ones are their owner's alone.
fn create_private(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/backend.log");
        let read = |name: &str| std::fs::read_to_string(path.with_file_name(name)).unwrap_or_default();
        let mut log = Rolling::open(&path, 10, 2).unwrap();
        for line in ["first 1\n", "second\n", "third 3\n", "fourth\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        log.flush().unwrap();
        assert_eq!(
            (read("backend.log"), read("backend.log.1"), read("backend.log.2")),
            ("fourth\n".into(), "third 3\n".into(), "second\n".into())
        );
        assert_eq!(read("backend.log.3"), "");
        drop(log);
        // It goes on where it was.
        Rolling::open(&path, 100, 2).unwrap().write_all(b"fifth\n").unwrap();
        assert_eq!(read("backend.log"), "fourth\nfifth\n");
    }

    #[test]
    fn none_is_kept_where_none_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.log");
        let mut log = Rolling::open(&path, 5, 0).unwrap();
        log.write_all(b"one two\n").unwrap();
        log.write_all(b"three\n").unwrap();
        log.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
