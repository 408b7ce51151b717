//! A session written down as it was seen, in the format asciicast v2, which asciinema and its players read: a line of JSON that says how
//! large the terminal is, and one for each piece of what was printed, with the seconds since the beginning.
//!
//! What was typed is not in it, so that passwords are not. Titles, clipboards and whatever else control strings carry is left out: it
//! would act on the terminal of whoever plays it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::model::Size;
use super::{Session, replay, screen};
use crate::shell::Error;

/// Bytes of a recording; it ends where more would come.
pub(super) const LARGEST: u64 = 16 << 20;
/// Recordings that are kept; the oldest ones make room.
const KEPT: usize = 100;

/// Writes down what is seen from now on.
pub(super) struct Recorder {
    file: File,
    began: Instant,
    written: u64,
    /// A character or control sequence that is not whole yet.
    held: Vec<u8>,
    full: bool,
}

impl Session {
    /// Begins to record it, from what its terminal shows now.
    ///
    /// # Errors
    /// [`Error::Recording`] where it is recorded already.
    pub fn record(&self) -> Result<(), Error> {
        let mut state = self.state();
        if state.recorder.is_some() {
            return Err(Error::Recording("the session is being recorded already: DELETE its recording to stop that"));
        }
        let (shown, size) = (replay::of(state.screen.model()), state.screen.size());
        let recorder = Recorder::begin(&self.recordings, &self.id, &self.name, size, shown.as_bytes());
        state.recorder = Some(recorder.map_err(Error::NotRecorded)?);
        Ok(())
    }

    /// Stops recording it; what was recorded stays.
    ///
    /// # Errors
    /// [`Error::Recording`] where it is not recorded.
    pub fn stop_recording(&self) -> Result<(), Error> {
        let stopped = self.state().recorder.take();
        stopped.map(drop).ok_or(Error::Recording("the session is not being recorded: POST to its recording begins that"))
    }
}

/// Where the recording of a session lies.
pub(in crate::shell) fn path(folder: &Path, session: &str) -> PathBuf {
    folder.join(format!("{session}.cast"))
}

impl Recorder {
    /// Begins a recording with what the terminal shows now. One that there was before is written over.
    pub(super) fn begin(folder: &Path, session: &str, title: &str, size: Size, shown: &[u8]) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        tidy(folder);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = options.open(path(folder, session))?;
        let mut recorder = Self { file, began: Instant::now(), written: 0, held: Vec::new(), full: false };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let header = json!({
            "version": 2, "width": size.cols, "height": size.rows, "timestamp": now, "title": title, "env": { "TERM": "xterm-256color" }
        });
        recorder.line(&header.to_string())?;
        recorder.printed(shown);
        Ok(recorder)
    }

    /// Notes what was printed.
    pub(super) fn printed(&mut self, bytes: &[u8]) {
        if self.full {
            return;
        }
        self.held.extend_from_slice(bytes);
        let whole = match screen::whole(&self.held) {
            whole if self.held.len() - whole > screen::LONGEST => self.held.len(),
            whole => whole,
        };
        let bytes: Vec<u8> = self.held.drain(..whole).collect();
        let text = without_strings(&String::from_utf8_lossy(&bytes));
        if !text.is_empty() {
            self.event("o", &text);
        }
    }

    /// Notes a new size of the terminal.
    pub(super) fn resized(&mut self, size: Size) {
        self.event("r", &format!("{}x{}", size.cols, size.rows));
    }

    fn event(&mut self, code: &str, data: &str) {
        if self.full {
            return;
        }
        let seconds = (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e6;
        let line = json!([seconds, code, data]).to_string();
        self.full = self.written + line.len() as u64 + 256 > LARGEST;
        let line = if self.full { json!([seconds, "m", "the recording is as long as it may be, and ends here"]).to_string() } else { line };
        if let Err(error) = self.line(&line) {
            tracing::warn!(%error, "a shell session is no longer recorded");
            self.full = true;
        }
    }

    fn line(&mut self, line: &str) -> std::io::Result<()> {
        self.written += line.len() as u64 + 1;
        self.file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Removes the oldest recordings where there are too many.
fn tidy(folder: &Path) {
    let recordings = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut recordings: Vec<(SystemTime, PathBuf)> = recordings
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "cast"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    recordings.sort();
    let over = (recordings.len() + 1).saturating_sub(KEPT);
    for (_, path) in recordings.into_iter().take(over) {
        let _ = std::fs::remove_file(path);
    }
}

/// The text without the control strings in it (OSC, DCS, SOS, PM, APC), each up to its end.
fn without_strings(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        let (before, sequence) = rest.split_at(at);
        kept.push_str(before);
        let mut kinds = sequence.chars().skip(1);
        let bell = match kinds.next() {
            Some(']') => true,
            Some('P' | 'X' | '^' | '_') => false,
            _ => {
                kept.push('\x1b');
                rest = &sequence[1..];
                continue;
            }
        };
        let end = sequence[1..].find(|c| c == '\x1b' || c == '\x18' || c == '\x1a' || bell && c == '\x07');
        rest = match end {
            Some(end) => match &sequence[1 + end..] {
                // ESC \ ends it; another escape begins something of its own.
                after if after.starts_with("\x1b\\") => &after[2..],
                after if after.starts_with('\x1b') => after,
                after => &after[1..],
            },
            None => "",
        };
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_strings_are_left_out_and_colours_stay() {
        for (printed, kept) in [
            ("a\x1b]52;c;aGk=\x07b", "ab"),
            ("a\x1b]0;title\x1b\\b", "ab"),
            ("\x1bP+q544e\x1b\\x\x1b[31mred\x1b[m", "x\x1b[31mred\x1b[m"),
            ("\x1b]8;;http://x\x1b[1mbold", "\x1b[1mbold"),
            ("\x1b(0lq\x1b(B", "\x1b(0lq\x1b(B"),
            ("open\x1b]2;never ends", "open"),
        ] {
            assert_eq!(without_strings(printed), kept, "{printed:?}");
        }
    }
}
