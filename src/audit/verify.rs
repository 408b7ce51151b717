//! Whether the chain is what was recorded, and what was done to it where it is not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::checkpoint::{self, Checkpoint};
use super::{Audit, Error, hex};
use crate::store::audit::{AuditLink, FIRST};

/// So many rows are read at a time.
const AT_ONCE: u32 = 2000;
/// So many findings are told.
const MOST: usize = 100;

/// Something that was done to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// An entry says something else than it did.
    Changed {
        /// Its number.
        seq: u64,
    },
    /// Entries are gone.
    Removed {
        /// The number of the first.
        from: u64,
        /// The number of the last.
        to: u64,
    },
    /// An entry stands in another place than it did.
    Reordered {
        /// Where it stands.
        seq: u64,
    },
    /// Entries are gone from the end: the last checkpoint signed more.
    Truncated {
        /// The number of the first.
        from: u64,
        /// The number of the last that was signed.
        to: u64,
    },
    /// The chain fits together, and is another one than was signed: it was made anew, from this entry or an earlier one.
    Rewritten {
        /// The number that was signed.
        seq: u64,
    },
    /// A checkpoint that is not signed, or signed with another key.
    Forged {
        /// Its line in the file.
        line: u64,
    },
    /// There are entries, and no checkpoint.
    Unsigned,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed { seq } => write!(f, "entry {seq} was changed, or replaced"),
            Self::Removed { from, to } if from == to => write!(f, "entry {from} was removed"),
            Self::Removed { from, to } => write!(f, "entries {from} to {to} were removed"),
            Self::Reordered { seq } => write!(f, "the entry at {seq} stood in another place"),
            Self::Truncated { from, to } => write!(f, "entries {from} to {to} were cut off from the end: a checkpoint signed them"),
            Self::Rewritten { seq } => {
                write!(f, "entry {seq} is not the one that a checkpoint signed: it or one before it was replaced, and the chain made anew")
            }
            Self::Forged { line } => write!(f, "line {line} of the checkpoints is not signed with the key of this log"),
            Self::Unsigned => write!(f, "nothing of it is signed: the file of the checkpoints is gone"),
        }
    }
}

/// What a look at all of it came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Nothing was found.
    pub intact: bool,
    /// So many entries there are.
    pub entries: u64,
    /// The hash of the last one.
    pub hash: String,
    /// So many of them are signed: what came after could be cut off unseen.
    pub signed: u64,
    /// The public key they are signed with.
    pub key: String,
    /// What was done to it, as far as it was seen: at most 100.
    pub findings: Vec<Finding>,
}

/// Goes along the chain.
struct Walk {
    /// Where it has come: a number and a hash.
    at: (u64, [u8; 32]),
    /// What was signed, by number.
    signed: BTreeMap<u64, Checkpoint>,
    findings: Vec<Finding>,
    /// Links that do not follow the one before: their number, and the hash of the one they followed.
    loose: Vec<(u64, [u8; 32])>,
}

impl Walk {
    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MOST {
            self.findings.push(finding);
        }
    }

    fn step(&mut self, link: &AuditLink) {
        let (seq, hash) = self.at;
        if link.row.seal(&link.previous) != link.hash {
            self.find(Finding::Changed { seq: link.seq });
        } else if link.seq > seq + 1 {
            self.find(Finding::Removed { from: seq + 1, to: link.seq - 1 });
        } else if link.previous != hash {
            self.loose.push((link.seq, link.previous));
        }
        if let Some(signed) = self.signed.get(&link.seq)
            && signed.hash != hex(&link.hash)
        {
            self.find(Finding::Rewritten { seq: link.seq });
        }
        self.at = (link.seq, link.hash);
    }
}

impl Audit {
    /// Goes through all of it. `key` is the public key that it must be signed with, where one was kept elsewhere; else it is the one in the
    /// data folder.
    ///
    /// # Errors
    /// Where the database or the checkpoints cannot be read.
    pub async fn verify(&self, key: Option<&str>) -> Result<Report, Error> {
        let key = key.map_or_else(|| self.public_key(), str::to_owned);
        let mut walk = Walk { at: (0, FIRST), signed: BTreeMap::new(), findings: Vec::new(), loose: Vec::new() };
        let mut last = 0;
        for (line, checkpoint) in (1..).zip(checkpoint::all(&self.data)?) {
            match checkpoint.filter(|checkpoint| checkpoint.key == key && checkpoint.is_genuine()) {
                Some(checkpoint) => {
                    last = last.max(checkpoint.seq);
                    walk.signed.insert(checkpoint.seq, checkpoint);
                }
                None => walk.find(Finding::Forged { line }),
            }
        }
        loop {
            let links = self.store.audit_links(walk.at.0, AT_ONCE).await?;
            if links.is_empty() {
                break;
            }
            links.iter().for_each(|link| walk.step(link));
        }
        for (seq, previous) in std::mem::take(&mut walk.loose).into_iter().take(MOST) {
            // What it followed is elsewhere: it stood there. What it followed is nowhere: that was replaced.
            let stood_elsewhere = previous == FIRST || self.store.audit_place(previous).await?.is_some();
            let finding = if stood_elsewhere { Finding::Reordered { seq } } else { Finding::Changed { seq: seq.saturating_sub(1).max(1) } };
            if !walk.findings.contains(&finding) {
                walk.find(finding);
            }
        }
        let (entries, hash) = walk.at;
        if last > entries {
            walk.find(Finding::Truncated { from: entries + 1, to: last });
        }
        if walk.signed.is_empty() && entries > 0 && walk.findings.is_empty() {
            walk.find(Finding::Unsigned);
        }
        let findings = walk.findings;
        Ok(Report { intact: findings.is_empty(), entries, hash: hex(&hash), signed: last.min(entries), key, findings })
    }
}
