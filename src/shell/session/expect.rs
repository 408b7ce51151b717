//! A session as scripts use it: keys that are sent, text that is waited for, the screen as text.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Session;
use super::screen::Plain;
use super::state::Phase;
use crate::policy::AllowedCommand;
use crate::shell::{Error, Found, ScreenText, TerminalSize, WaitFor};

/// The longest pattern, in bytes.
const LONGEST: usize = 4096;
/// Text from this length on is not searched for each few bytes that come.
const LONG: usize = 64 * 1024;
/// How long it is gathered.
const GATHER: Duration = Duration::from_millis(20);
/// Lines of the screen that an error shows.
const SHOWN: usize = 24;

impl Session {
    /// What a script types. Gives the place in what is printed at which it began.
    pub fn send(&self, allowed: &AllowedCommand, text: &str) -> Result<(), Error> {
        if self.keys_of(allowed, text.as_bytes())? {
            return Ok(());
        }
        Err(Error::NotRead(self.id.clone()))
    }

    /// The place after everything that was printed so far.
    pub fn place(&self) -> u64 {
        self.state().screen.end()
    }

    /// What the terminal shows.
    pub fn screen(&self, scrollback: bool) -> ScreenText {
        let mut state = self.state();
        let model = state.screen.model();
        let (size, (column, row, visible)) = (model.size(), model.cursor());
        ScreenText {
            text: model.text(scrollback),
            size: TerminalSize { cols: size.cols, rows: size.rows },
            column,
            row,
            cursor_visible: visible,
            alternate: model.is_alternate(),
        }
    }

    /// Waits until what was printed after a place matches: in a program that fills the screen, until the screen does.
    ///
    /// # Errors
    /// [`Error::NotShown`] where it did not come in time, or the session ended before, with what the screen showed.
    pub async fn wait_for(
        self: &Arc<Self>,
        allowed: &AllowedCommand,
        wait: &WaitFor,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Found, Error> {
        self.is_its(allowed)?;
        let pattern = pattern(&wait.pattern)?;
        let deadline = Instant::now() + limit;
        let (mut printed, mut progress) = (self.printed.subscribe(), self.state().follow());
        let mut read = Read { from: wait.after, to: wait.after, text: Plain::default() };
        loop {
            printed.borrow_and_update();
            let ended = matches!(progress.borrow_and_update().phase, Phase::Ended(_));
            if let Some(found) = self.look(&pattern, &mut read) {
                return Ok(found);
            }
            if ended {
                return Err(self.not_shown(wait, self.end_reason()));
            }
            if read.text.len() > LONG {
                tokio::time::sleep(GATHER.min(deadline.saturating_duration_since(Instant::now()))).await;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(self.not_shown(wait, format!("it did not come within {} s", super::seconds(limit))));
                }
                _ = printed.changed() => {}
                _ = progress.changed() => {}
            }
        }
    }

    /// Looks once.
    fn look(&self, pattern: &Regex, read: &mut Read) -> Option<Found> {
        let mut state = self.state();
        if state.screen.model().is_alternate() {
            let shown = state.screen.model().text(false);
            let end = state.screen.end();
            return pattern.captures(&shown).map(|found| of(&found, &shown, end));
        }
        let (from, more) = state.screen.since(read.to);
        if from != read.to {
            // What came after that which was read is no longer kept.
            *read = Read { from, to: from, text: Plain::default() };
        }
        read.text.feed(more);
        read.to += more.len() as u64;
        let shown = read.text.text();
        let found = pattern.captures(&shown)?;
        let end = read.text.bytes_of(found.get(0).map_or(0, |whole| whole.end()));
        let place = match state.screen.since(read.from) {
            // The bytes that made this text: read again, one by one, up to the end of the match.
            (from, bytes) if from == read.from => {
                let mut again = Plain::default();
                let made = |byte: &&u8| {
                    let short = again.len() < end;
                    again.feed(std::slice::from_ref(*byte));
                    short
                };
                from + bytes.iter().take_while(made).count() as u64
            }
            _ => read.to,
        };
        Some(of(&found, &shown, place))
    }

    fn not_shown(&self, wait: &WaitFor, why: String) -> Error {
        let screen = self.screen(false).text;
        let lines: Vec<&str> = screen.lines().collect();
        let shown = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        Error::NotShown { pattern: wait.pattern.clone(), why, ended: self.has_ended(), screen: shown }
    }
}

/// What was read of what was printed.
struct Read {
    from: u64,
    to: u64,
    text: Plain,
}

fn pattern(text: &str) -> Result<Regex, Error> {
    if text.len() > LONGEST {
        return Err(Error::invalid("/pattern", format!("a pattern may have {LONGEST} bytes")));
    }
    regex::RegexBuilder::new(text)
        .multi_line(true)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| Error::invalid("/pattern", format!("this is no regular expression: {error}")))
}

fn of(found: &regex::Captures<'_>, text: &str, place: u64) -> Found {
    let whole = found.get(0);
    Found {
        text: whole.map_or_else(String::new, |whole| whole.as_str().to_owned()),
        groups: found.iter().skip(1).map(|group| group.map(|group| group.as_str().to_owned())).collect(),
        before: whole.map_or_else(String::new, |whole| text[..whole.start()].to_owned()),
        place,
    }
}
