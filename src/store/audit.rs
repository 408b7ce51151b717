//! The rows of the audit log: a chain, each link with the hash of the one before it.
//!
//! The link is made by the one thread that writes, within the transaction, so that whoever writes beside it (`trae keys`) takes the next
//! place. What the rows mean, and who signs how far the chain has come, is the business of the room above.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Error, Store};

/// The hash before the first row.
pub const FIRST: [u8; 32] = [0; 32];

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// What was begun and what came of it have the same.
    pub id: i64,
    /// It is what came of something that was begun.
    pub is_end: bool,
    /// Microseconds since 1970.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// With which.
    pub target: Option<String>,
    /// Facts beside it, as JSON text.
    pub details: Option<String>,
    /// What came of it.
    pub result: String,
}

/// A row in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLink {
    /// Its number, from 1.
    pub seq: u64,
    /// What it says.
    pub row: AuditRow,
    /// The hash of the row before it.
    pub previous: [u8; 32],
    /// Its own.
    pub hash: [u8; 32],
}

/// Something that was done, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDeed {
    /// As it was begun, or noted at once.
    pub link: AuditLink,
    /// What came of it later: when, what, and facts beside it as JSON text.
    pub end: Option<(i64, String, Option<String>)>,
}

/// Which deeds.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only these; one that ends in `*` stands for all that begin so.
    pub action: Option<String>,
    /// Only at this moment or later: microseconds since 1970.
    pub since: Option<i64>,
    /// Only those before this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

impl AuditRow {
    /// The hash of this row behind a row with the hash `previous`.
    pub fn seal(&self, previous: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(previous);
        hash.update(self.id.to_le_bytes());
        hash.update([u8::from(self.is_end)]);
        hash.update(self.at.to_le_bytes());
        // Each with its length, so that nothing can be moved from one to the next; one that is not there differs from an empty one.
        let texts = [Some(&self.actor), Some(&self.action), self.target.as_ref(), self.details.as_ref(), Some(&self.result)];
        for text in texts {
            hash.update(text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
            hash.update(text.map_or("", String::as_str));
        }
        hash.finalize().into()
    }

    /// Says what came of it as well.
    pub(super) fn end_with(&mut self, end: Self) {
        self.result = end.result;
        let read = |text: &Option<String>| text.as_ref().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        self.details = match (read(&self.details), read(&end.details)) {
            (Some(mut all), Some(more)) => {
                all.extend(more);
                Some(Value::Object(all).to_string())
            }
            (None, Some(_)) => end.details,
            (_, None) => self.details.take(),
        };
    }

    /// About how much memory it holds.
    pub(super) fn bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.actor.len() + self.action.len() + optional(&self.target) + optional(&self.details)
    }
}

const COLUMNS: &str = "seq, id, is_end, at, actor, action, target, details, result, previous, hash";
const LAST: &str = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
const INSERT: &str = "INSERT INTO audit (seq, id, is_end, at, actor, action, target, details, result, previous, hash) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Adds a row to the chain.
pub(super) fn insert(connection: &Connection, row: &AuditRow) -> rusqlite::Result<()> {
    let (seq, previous) = last(connection)?.unwrap_or((0, FIRST));
    let hash = row.seal(&previous);
    connection.prepare_cached(INSERT)?.execute(params![
        seq + 1,
        row.id,
        row.is_end,
        row.at,
        row.actor,
        row.action,
        row.target,
        row.details,
        row.result,
        previous,
        hash
    ])?;
    Ok(())
}

fn last(connection: &Connection) -> rusqlite::Result<Option<(i64, [u8; 32])>> {
    connection.prepare_cached(LAST)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

impl AuditLink {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        // Whoever tampers with the table may put anything there: what is no hash is a wrong one.
        let hash = |at: usize| row.get::<_, Vec<u8>>(at).map(|bytes| bytes.try_into().unwrap_or([0xff; 32]));
        Ok(Self {
            seq: row.get::<_, i64>(0)?.unsigned_abs(),
            row: AuditRow {
                id: row.get(1)?,
                is_end: row.get(2)?,
                at: row.get(3)?,
                actor: row.get(4)?,
                action: row.get(5)?,
                target: row.get(6)?,
                details: row.get(7)?,
                result: row.get(8)?,
            },
            previous: hash(9)?,
            hash: hash(10)?,
        })
    }
}

impl Store {
    /// A new id: grows with time, also across restarts. Those of runs are of the same kind.
    pub fn audit_id(&self, now: i64) -> i64 {
        self.next_key(now).0
    }

    /// The number and the hash of the last row; none where there is none.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn audit_head(&self) -> Result<Option<(u64, [u8; 32])>, Error> {
        self.read(|connection| Ok(last(connection)?.map(|(seq, hash)| (seq.unsigned_abs(), hash)))).await
    }

    /// Rows in their order, behind the one with this number.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn audit_links(&self, behind: u64, limit: u32) -> Result<Vec<AuditLink>, Error> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?");
            let mut query = connection.prepare_cached(&sql)?;
            let behind = i64::try_from(behind).unwrap_or(i64::MAX);
            Ok(query.query_map(params![behind, limit], AuditLink::from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The number of the row with this hash, if there is one.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn audit_place(&self, hash: [u8; 32]) -> Result<Option<u64>, Error> {
        self.read(move |connection| {
            let found = connection.query_row("SELECT seq FROM audit WHERE hash = ?", [hash], |row| row.get::<_, i64>(0)).optional()?;
            Ok(found.map(i64::unsigned_abs))
        })
        .await
    }

    /// What was done, newest first, and how much of it there is in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn audit(&self, query: AuditQuery) -> Result<(Vec<AuditDeed>, u64), Error> {
        self.read(move |connection| {
            let (action, beginning) = match query.action.as_deref().map(|action| (action, action.strip_suffix('*'))) {
                None => (None, None),
                Some((_, Some(beginning))) => (None, Some(beginning)),
                Some((action, None)) => (Some(action), None),
            };
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            let fits = "is_end = 0 AND (?1 IS NULL OR actor = ?1) AND (?2 IS NULL OR action = ?2) \
                        AND (?3 IS NULL OR substr(action, 1, length(?3)) = ?3) AND (?4 IS NULL OR at >= ?4)";
            let sql = format!("SELECT {COLUMNS} FROM audit WHERE {fits} AND (?5 IS NULL OR seq < ?5) ORDER BY seq DESC LIMIT ?6");
            let values = params![query.actor, action, beginning, query.since, query.before.map(number), query.limit];
            let mut links = connection.prepare_cached(&sql)?;
            let links = links.query_map(values, AuditLink::from_row)?.collect::<Result<Vec<_>, _>>()?;
            let mut end = connection.prepare_cached("SELECT at, result, details FROM audit WHERE id = ? AND is_end = 1 LIMIT 1")?;
            let mut deeds = Vec::with_capacity(links.len());
            for link in links {
                let end = end.query_row([link.row.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
                deeds.push(AuditDeed { link, end });
            }
            let sql = format!("SELECT count(*) FROM audit WHERE {fits}");
            let count: i64 =
                connection.prepare_cached(&sql)?.query_row(params![query.actor, action, beginning, query.since], |row| row.get(0))?;
            Ok((deeds, count.unsigned_abs()))
        })
        .await
    }
}
