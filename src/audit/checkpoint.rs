//! Checkpoints: signed statements of how far the chain has come, in a file beside the database.
//!
//! The chain alone shows a change in its middle; whoever may write the table could still make a new chain, or cut its end off. Each line
//! of the file says which hash had which number at what time, signed with Ed25519. The key is in a file that only its owner can read;
//! the public half stands in each line, and `trae audit key` shows it, to be kept elsewhere.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{Error, hex};

/// The key's file in the data folder.
const KEY: &str = "audit.key";
/// The checkpoints' file in the data folder.
const FILE: &str = "audit.checkpoints";
/// Bytes at the end of the file in which the last line is looked for.
const TAIL: u64 = 4096;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    /// So many rows there were.
    pub(super) seq: u64,
    /// The hash of the last one, in hex.
    pub(super) hash: String,
    /// Microseconds since 1970.
    pub(super) at: i64,
    /// The public key that it is signed with, in hex.
    pub(super) key: String,
    /// Of all that, in base64.
    signature: String,
}

impl Checkpoint {
    fn signed(seq: u64, hash: &str, at: i64, key: &str) -> String {
        format!("trae audit checkpoint\n{seq}\n{hash}\n{at}\n{key}\n")
    }

    /// Whether it was signed with the key that it names.
    pub(super) fn is_genuine(&self) -> bool {
        let (Some(key), Ok(signature)) = (super::unhex(&self.key), STANDARD.decode(&self.signature)) else { return false };
        let text = Self::signed(self.seq, &self.hash, self.at, &self.key);
        UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &signature).is_ok()
    }
}

/// Signs checkpoints.
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    file: PathBuf,
}

impl Signer {
    /// With the key in the folder `data`; one is made where there is none.
    pub(super) fn open(data: &Path) -> Result<Self, Error> {
        let path = data.join(KEY);
        let failed = |reason: String| Error::File { path: path.clone(), reason };
        let document = match std::fs::read(&path) {
            Ok(document) => document,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
                let made = made.map_err(|_| failed("cannot be made: the system gives no random numbers".to_owned()))?;
                match create(&path, made.as_ref()) {
                    Ok(()) => made.as_ref().to_vec(),
                    // Another process was faster: its key counts.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                        std::fs::read(&path).map_err(|error| failed(format!("cannot be read: {error}")))?
                    }
                    Err(error) => return Err(failed(format!("cannot be written: {error}"))),
                }
            }
            Err(error) => return Err(failed(format!("cannot be read: {error}"))),
        };
        let pair = Ed25519KeyPair::from_pkcs8(&document)
            .map_err(|error| failed(format!("holds no key ({error}): bring the old one back, or move it away to begin with a new one")))?;
        Ok(Self { pair, file: data.join(FILE) })
    }

    /// The public key, in hex.
    pub(super) fn public(&self) -> String {
        hex(self.pair.public_key().as_ref())
    }

    /// Signs that the chain has come so far.
    pub(super) fn sign(&self, seq: u64, hash: &[u8; 32], at: i64) -> Result<(), Error> {
        let (hash, key) = (hex(hash), self.public());
        let signature = STANDARD.encode(self.pair.sign(Checkpoint::signed(seq, &hash, at, &key).as_bytes()));
        let line = serde_json::to_string(&Checkpoint { seq, hash, at, key, signature }).unwrap_or_default();
        let failed = |error: std::io::Error| Error::File { path: self.file.clone(), reason: format!("cannot be written: {error}") };
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // In one piece, since another process may do so as well.
        options.open(&self.file).and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())).map_err(failed)
    }

    /// The last one there is.
    pub(super) fn last(&self) -> Option<Checkpoint> {
        let mut file = std::fs::File::open(&self.file).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).ok()?;
        let tail = String::from_utf8_lossy(&tail).into_owned();
        tail.lines().rev().find_map(|line| serde_json::from_str(line).ok())
    }
}

/// Every line in the folder `data`: what it says, or nothing where it says nothing.
pub(super) fn all(data: &Path) -> Result<Vec<Option<Checkpoint>>, Error> {
    let path = data.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::File { path, reason: format!("cannot be read: {error}") }),
    }
}

fn create(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
