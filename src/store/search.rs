//! Finding runs by the words in them.
//!
//! A run's words (of its error, parameters, result and log, of its script's path, workflow and trigger) are put into a full-text index
//! once it is over: not by whoever ends it, but by and by, or at the latest when somebody searches. Ending a run costs one number in a
//! small table.

use rusqlite::{Connection, OptionalExtension, params};

use super::runs::Write;
use super::{Error, Store};

/// Bytes of each text of a run that are put into the index.
const EACH: usize = 4 << 10;
/// Bytes of a run's log that are.
const OF_LOG: usize = 16 << 10;
/// Words of a search; more are left out.
const WORDS: usize = 16;

/// A run that ends is one whose words are still to be read.
pub(super) fn note_end(connection: &Connection, write: &Write) -> Result<(), Error> {
    let run = match write {
        Write::Run(row) if row.end.is_some() => row.key,
        Write::RunEnd { run, .. } => *run,
        _ => return Ok(()),
    };
    connection.prepare_cached("INSERT OR IGNORE INTO runs_unread (run) VALUES (?)")?.execute([run.0])?;
    Ok(())
}

/// What to ask the index for: all these words, each as it stands, or as the beginning of one where a `*` follows it. None where there
/// is no word in it.
pub(super) fn question(text: &str) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(from) = rest.find(char::is_alphanumeric) {
        let word = &rest[from..];
        let end = word.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(word.len());
        rest = &word[end..];
        let star = if rest.starts_with('*') { "*" } else { "" };
        words.push(format!("\"{}\"{star}", &word[..end]));
        if words.len() == WORDS {
            break;
        }
    }
    (!words.is_empty()).then(|| words.join(" AND "))
}

impl Store {
    /// Puts the words of at most so many finished runs into the index; gives how many there were. Less than asked for: none is left.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn read_words(&self, limit: u32) -> Result<usize, Error> {
        self.transact(move |connection| read_words(connection, limit)).await
    }

    /// Whether finished runs wait for their words to be read.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn has_unread(&self) -> Result<bool, Error> {
        self.read(|connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM runs_unread)";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

fn read_words(connection: &Connection, limit: u32) -> Result<usize, Error> {
    let sql = "SELECT run FROM runs_unread ORDER BY run LIMIT ?";
    let runs: Vec<i64> = connection.prepare_cached(sql)?.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for run in &runs {
        // A run may end a second time, where the disk was full the first time.
        connection.prepare_cached("DELETE FROM runs_text WHERE rowid = ?")?.execute([run])?;
        if let Some(text) = words(connection, *run)? {
            connection.prepare_cached("INSERT INTO runs_text (rowid, text) VALUES (?, ?)")?.execute(params![run, text])?;
        }
        connection.prepare_cached("DELETE FROM runs_unread WHERE run = ?")?.execute([run])?;
    }
    Ok(runs.len())
}

/// The text of a run. None where it is gone.
fn words(connection: &Connection, run: i64) -> Result<Option<String>, Error> {
    let sql = "SELECT run_id, script, workflow_id, trigger, error, parameters, result FROM runs WHERE key = ?";
    let columns = connection
        .prepare_cached(sql)?
        .query_row([run], |row| (0..7).map(|index| row.get::<_, Option<String>>(index)).collect::<Result<Vec<_>, _>>())
        .optional()?;
    let Some(columns) = columns else { return Ok(None) };
    let mut text = String::new();
    for column in columns.iter().flatten() {
        add(&mut text, column, EACH);
    }
    let mut lines = connection.prepare_cached("SELECT message FROM logs WHERE run = ? ORDER BY event_id")?;
    let mut lines = lines.query([run])?;
    let mut left = OF_LOG;
    while let Some(line) = lines.next()? {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(add(&mut text, line.get_ref(0)?.as_str().unwrap_or_default(), left));
    }
    Ok(Some(text))
}

/// Adds the beginning of a text; gives how many bytes that were.
fn add(text: &mut String, more: &str, limit: usize) -> usize {
    let mut end = more.len().min(limit);
    while !more.is_char_boundary(end) {
        end -= 1;
    }
    // In JSON, a line break is written as `\n`: its letter is none of the next word's.
    let more = &more[..end];
    if more.contains('\\') {
        text.push_str(&more.replace("\\n", " ").replace("\\t", " ").replace("\\r", " "));
    } else {
        text.push_str(more);
    }
    text.push('\n');
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_searched_for_is_a_question() {
        assert_eq!(question("order 42-b*"), Some("\"order\" AND \"42\" AND \"b\"*".to_owned()));
        assert_eq!(question("\"a\" OR *"), Some("\"a\" AND \"OR\"".to_owned()));
        assert_eq!(question("Größe*!"), Some("\"Größe\"*".to_owned()));
        assert_eq!(question(" \"*-' "), None);
        assert_eq!(question(&"x ".repeat(100)).unwrap().matches('x').count(), WORDS);
    }

    #[test]
    fn texts_are_cut_between_letters() {
        let mut text = String::new();
        assert_eq!(add(&mut text, "aäö", 4), 3);
        assert_eq!(text, "aä\n");
        add(&mut text, r#""one\ntwo""#, 100);
        assert!(text.ends_with("\"one two\"\n"));
    }
}
