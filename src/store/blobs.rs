//! What is too large for a row, and pictures: files beside the database, named by the SHA-256 of what is in them.
//!
//! A file is written within the transaction that refers to it, on the thread that writes: it is there, whole, before the row is
//! committed. What a crash or a failed commit leaves without a row is removed later, again within a transaction
//! ([`super::retention`]); so nobody, not even another process, takes away what is just being referred to.
//!
//! In the row of a large value stands its [`Apart`] instead of it, which is JSON as well. A value of a script's own that looks like one
//! is put into a file whatever its size, so that the two cannot be taken for each other.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Error;
use super::runs::{Json, NewImage, RunKey, Write};
use crate::failpoint;

/// Bytes of the largest value that stands in a row.
pub(super) const LARGEST_IN_ROW: usize = 64 << 10;
/// How the stand-in of a large value begins.
const MARK: &str = "{\"$trae_file\":";
/// How a file begins that was not finished.
const UNFINISHED: &str = ".new-";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// JSON.
    Value,
    /// A picture, as JPEG.
    Image,
}

impl Content {
    /// The word on record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Image => "image",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Value => "json",
            Self::Image => "jpg",
        }
    }
}

/// Stands in a row for a value that lies in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apart {
    /// SHA-256 of its text, in hex.
    #[serde(rename = "$trae_file")]
    pub sha256: String,
    /// Bytes of its text.
    pub bytes: u64,
}

impl Apart {
    /// What `json` stands for, if it is a stand-in.
    pub fn of(json: &RawValue) -> Option<Self> {
        let text = json.get();
        if !text.starts_with(MARK) {
            return None;
        }
        serde_json::from_str(text).ok().filter(|apart: &Self| is_hash(&apart.sha256))
    }
}

/// Whether `text` is a SHA-256 in hex, and so may be part of a path.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// SHA-256 in hex.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder. Every call blocks.
#[derive(Debug)]
pub(super) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// The files of the database at `database`.
    pub(super) fn beside(database: &Path) -> Self {
        Self { folder: database.with_file_name("runs") }
    }

    /// Writes the row, its large values as files. Within a transaction.
    pub(super) fn write(&self, connection: &Connection, write: &Write) -> Result<(), Error> {
        if let Write::Image(image) = write {
            return self.write_image(connection, image);
        }
        if fits_in_row(write) {
            return Ok(write.apply(connection)?);
        }
        let mut small = write.clone();
        let mut files = Vec::new();
        for value in values_mut(&mut small) {
            if belongs_apart(value) {
                files.push(self.put_value(value)?);
            }
        }
        small.apply(connection)?;
        let Some(run) = run_of(&small) else { return Ok(()) };
        for apart in &files {
            refer(connection, run, &apart.sha256, Content::Value, apart.bytes)?;
        }
        Ok(())
    }

    /// Keeps a picture, once however often it is seen.
    fn write_image(&self, connection: &Connection, image: &NewImage) -> Result<(), Error> {
        let hash = image.picture.as_ref().map(|picture| hash(picture));
        if let Some((hash, picture)) = hash.as_ref().zip(image.picture.as_ref()) {
            self.put(hash, Content::Image, picture)?;
            refer(connection, image.run, hash, Content::Image, picture.len() as u64)?;
        }
        let sql = "INSERT OR REPLACE INTO step_images (run, step_id, attempt, moment, hash) VALUES (?, ?, ?, ?, ?)";
        connection.prepare_cached(sql)?.execute(params![image.run.0, image.step_id, image.attempt, image.moment, hash])?;
        Ok(())
    }

    /// Puts the value into a file, and its stand-in in its place.
    fn put_value(&self, value: &mut Json) -> Result<Apart, Error> {
        let text = value.get().as_bytes();
        let apart = Apart { sha256: hash(text), bytes: text.len() as u64 };
        self.put(&apart.sha256, Content::Value, text)?;
        *value = serde_json::value::to_raw_value(&apart).map_err(|error| Error::Sqlite(error.to_string()))?;
        Ok(apart)
    }

    /// Writes a file, unless it is there. A value is on the disk afterwards; a picture may be lost in a power cut, but not in a crash.
    pub(super) fn put(&self, hash: &str, content: Content, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(hash, content);
        if std::fs::metadata(&path).is_ok_and(|known| known.is_file() && known.len() == bytes.len() as u64) {
            return Ok(());
        }
        let written = (|| {
            let folder = path.parent().unwrap_or(&self.folder);
            let durable = content == Content::Value;
            if !folder.is_dir() {
                std::fs::create_dir_all(folder)?;
                if durable {
                    File::open(&self.folder)?.sync_all()?;
                }
            }
            let unfinished = folder.join(format!("{UNFINISHED}{hash}"));
            let filled = (|| {
                let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&unfinished)?;
                file.write_all(bytes)?;
                if durable {
                    file.sync_all()?;
                }
                failpoint::here("blob.rename.before");
                std::fs::rename(&unfinished, &path)
            })();
            if filled.is_err() {
                // It would take the room that is lacking.
                drop(std::fs::remove_file(&unfinished));
            }
            filled?;
            failpoint::here("blob.sync.before");
            if durable { File::open(folder)?.sync_all() } else { Ok(()) }
        })();
        written.map_err(|error: std::io::Error| Error::Full(format!("{}: {error}", path.display())))
    }

    /// What is in a file of so many bytes. None where it is not there, or not whole.
    pub(super) fn get(&self, hash: &str, content: Content, bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        match std::fs::read(self.path(hash, content)) {
            Ok(read) => Ok(Some(read).filter(|read| read.len() as u64 == bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::Sqlite(format!("a file of a run cannot be read: {error}"))),
        }
    }

    /// The value that a stand-in stands for. None where its file is gone.
    pub(super) fn value(&self, apart: &Apart) -> Result<Option<Json>, Error> {
        let bytes = self.get(&apart.sha256, Content::Value, apart.bytes)?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text.and_then(|text| RawValue::from_string(text).ok()))
    }

    /// Where a file lies, for whoever copies it.
    pub(super) fn path(&self, hash: &str, content: Content) -> PathBuf {
        // Made of a checked hash, so that it leads nowhere else.
        let hash = if is_hash(hash) { hash } else { "none" };
        self.folder.join(hash.get(..2).unwrap_or("no")).join(format!("{hash}.{}", content.ending()))
    }

    /// Removes a file. One that is not there is gone already.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Error> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Sqlite(format!("a file of a run that is gone, {}, cannot be removed: {error}", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Both files that may hold what has this hash.
    pub(super) fn paths(&self, hash: &str) -> [PathBuf; 2] {
        [Content::Value, Content::Image].map(|content| self.path(hash, content))
    }

    /// Calls `each` with every file that is named like one of ours: its path, and its hash where it was finished.
    pub(super) fn each(&self, mut each: impl FnMut(PathBuf, Option<String>)) {
        let folders = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for file in folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten()) {
            let name = file.file_name().to_string_lossy().into_owned();
            let hash = name.split('.').next().filter(|hash| is_hash(hash)).map(str::to_owned);
            if hash.is_some() || name.strip_prefix(UNFINISHED).is_some_and(is_hash) {
                each(file.path(), hash);
            }
        }
    }
}

/// Notes that the run refers to a file.
pub(super) fn refer(connection: &Connection, run: RunKey, hash: &str, content: Content, bytes: u64) -> Result<(), Error> {
    let sql = "INSERT INTO run_files (run, hash, kind, bytes) VALUES (?, ?, ?, ?) ON CONFLICT (run, hash) DO NOTHING";
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute(params![run.0, hash, content.as_str(), bytes])?;
    Ok(())
}

fn belongs_apart(value: &RawValue) -> bool {
    value.get().len() > LARGEST_IN_ROW || value.get().starts_with(MARK)
}

/// Whether none of its values belongs into a file.
pub(super) fn fits_in_row(write: &Write) -> bool {
    let values = match write {
        Write::Run(row) => {
            let result = row.end.as_ref().and_then(|end| end.result.as_deref());
            [Some(&*row.parameters), Some(&*row.input), result]
        }
        Write::Step(row) => [row.input.as_deref(), row.end.as_ref().and_then(|end| end.output.as_deref()), None],
        Write::StepEnd { end, .. } => [end.output.as_deref(), None, None],
        Write::RunEnd { end, .. } => [end.result.as_deref(), None, None],
        _ => [None; 3],
    };
    !values.into_iter().flatten().any(belongs_apart)
}

/// The values in a row that may be large.
fn values_mut(write: &mut Write) -> Vec<&mut Json> {
    match write {
        Write::Run(row) => {
            let result = row.end.as_mut().and_then(|end| end.result.as_mut());
            [Some(&mut row.parameters), Some(&mut row.input), result].into_iter().flatten().collect()
        }
        Write::Step(row) => {
            let output = row.end.as_mut().and_then(|end| end.output.as_mut());
            [row.input.as_mut(), output].into_iter().flatten().collect()
        }
        Write::StepEnd { end, .. } => end.output.as_mut().into_iter().collect(),
        Write::RunEnd { end, .. } => end.result.as_mut().into_iter().collect(),
        _ => Vec::new(),
    }
}

fn run_of(write: &Write) -> Option<RunKey> {
    match write {
        Write::Run(row) => Some(row.key),
        Write::Step(row) => Some(row.run),
        Write::StepEnd { run, .. } | Write::RunEnd { run, .. } => Some(*run),
        _ => None,
    }
}
