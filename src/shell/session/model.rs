//! What a session's terminal looks like: a model of it that reads what was printed, for those who come later and for scripts.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alacritty_terminal::event::{Event, EventListener};
use alacritty_terminal::grid::{Dimensions, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::{Config, Term, TermMode};
use alacritty_terminal::vte::ansi::{Handler, NamedPrivateMode, Processor, Timeout};

/// Lines that are kept above the screen.
pub(super) const SCROLLBACK: usize = 1000;
/// Text without a control character that is as long as this may be longer than anybody will ever see.
const LONG: usize = 16 * 1024;

/// The model.
pub(super) struct Model {
    pub(super) term: Term<Answers>,
    parser: Processor<Unpaced>,
    answers: Answers,
}

/// What the terminal answers to programs that ask it something.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<Vec<u8>>>);

impl EventListener for Answers {
    fn send_event(&self, event: Event) {
        // Titles and clipboards are the business of whoever looks, not of the server.
        if let Event::PtyWrite(text) = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(text.as_bytes());
        }
    }
}

/// Updates that a program declares to belong together are taken in at once: nobody sees the model in between.
#[derive(Default)]
struct Unpaced;

impl Timeout for Unpaced {
    fn set_timeout(&mut self, _: Duration) {}
    fn clear_timeout(&mut self) {}
    fn pending_timeout(&self) -> bool {
        false
    }
}

/// A size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) cols: u16,
    pub(super) rows: u16,
}

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        self.screen_lines()
    }

    fn screen_lines(&self) -> usize {
        usize::from(self.rows)
    }

    fn columns(&self) -> usize {
        usize::from(self.cols)
    }
}

impl Model {
    pub(super) fn new(size: Size) -> Self {
        let answers = Answers::default();
        let config = Config { scrolling_history: SCROLLBACK, kitty_keyboard: true, ..Config::default() };
        Self { term: Term::new(config, &size, answers.clone()), parser: Processor::new(), answers }
    }

    /// Reads what was printed. Of a flood of plain lines only those are read that will still be there at its end.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let (mut from, mut run) = (0, 0);
        for at in (0..bytes.len()).filter(|at| is_control(bytes[*at])).chain([bytes.len()]) {
            // The first line may be the rest of a control sequence, which decides what the others do.
            if at - run >= LONG
                && let Some(end) = memchr::memmem::find(&bytes[run..at], b"\r\n")
            {
                let begin = run + end + 2;
                self.parser.advance(&mut self.term, &bytes[from..begin]);
                from = begin + self.unseen(&bytes[begin..at]);
            }
            run = at + 1;
        }
        self.parser.advance(&mut self.term, &bytes[from..]);
    }

    /// How many bytes of lines that begin where the cursor is are gone when the last of them is printed.
    fn unseen(&mut self, text: &[u8]) -> usize {
        // Below a part of the screen that scrolls by itself, lines are written over each other, and all of them count.
        if self.region() != (0..self.term.screen_lines()) {
            return 0;
        }
        let wanted = SCROLLBACK + self.term.screen_lines() + 1;
        let (mut rows, mut end) = (0, None);
        for at in memchr::memmem::rfind_iter(text, b"\r\n") {
            rows += end.map_or(0, |end| self.rows(&text[at + 2..end]));
            if rows >= wanted {
                return at + 2;
            }
            end = Some(at);
        }
        0
    }

    /// How many rows a line takes, at least.
    fn rows(&self, line: &[u8]) -> usize {
        let wraps = self.term.mode().contains(TermMode::LINE_WRAP) && !self.term.mode().contains(TermMode::INSERT);
        // Other characters may be as wide as two or none, and a carriage return may be among the line's.
        let wraps = wraps && line.iter().all(|byte| (b' '..=b'~').contains(byte));
        if wraps { line.len().div_ceil(self.term.columns()).max(1) } else { 1 }
    }

    /// The rows that scroll.
    pub(super) fn region(&mut self) -> Range<usize> {
        // The model tells it to nobody; in this mode the cursor cannot leave them.
        let (cursor, was) = (self.term.grid().cursor.clone(), self.term.mode().contains(TermMode::ORIGIN));
        self.term.set_private_mode(NamedPrivateMode::Origin.into());
        self.term.goto(0, 0);
        let first = self.term.grid().cursor.point.line.0;
        self.term.goto(i32::from(i16::MAX), 0);
        let last = self.term.grid().cursor.point.line.0;
        if !was {
            self.term.unset_private_mode(NamedPrivateMode::Origin.into());
        }
        self.term.grid_mut().cursor = cursor;
        usize::try_from(first).unwrap_or_default()..usize::try_from(last).unwrap_or_default() + 1
    }

    /// The columns at which tabulators stop.
    pub(super) fn tabs(&mut self) -> Vec<usize> {
        let cursor = self.term.grid().cursor.clone();
        let last = self.term.columns() - 1;
        let mut stops = Vec::new();
        self.term.grid_mut().cursor.point.column = Column(0);
        loop {
            let before = self.term.grid().cursor.point.column.0;
            self.term.move_forward_tabs(1);
            let stop = self.term.grid().cursor.point.column.0;
            if stop == before || stop >= last {
                break;
            }
            stops.push(stop);
        }
        self.term.grid_mut().cursor = cursor;
        stops
    }

    /// Does something with the primary screen, also while a program shows another one.
    pub(super) fn with_primary<T>(&mut self, look: impl FnOnce(&Grid<Cell>) -> T) -> T {
        if !self.is_alternate() {
            return look(self.term.grid());
        }
        let alternate = self.term.grid().clone();
        self.term.swap_alt();
        let seen = look(self.term.grid());
        self.term.swap_alt();
        *self.term.grid_mut() = alternate;
        seen
    }

    /// Whether a program that fills the screen shows a screen of its own.
    pub(super) fn is_alternate(&self) -> bool {
        self.term.mode().contains(TermMode::ALT_SCREEN)
    }

    /// How large it is.
    pub(super) fn size(&self) -> Size {
        let side = |cells: usize| u16::try_from(cells).unwrap_or(u16::MAX);
        Size { cols: side(self.term.columns()), rows: side(self.term.screen_lines()) }
    }

    pub(super) fn resize(&mut self, size: Size) {
        self.term.resize(size);
    }

    /// Column and row of the cursor, from 0, and whether it is shown.
    pub(super) fn cursor(&self) -> (u16, u16, bool) {
        let point = self.term.grid().cursor.point;
        let shown = self.term.mode().contains(TermMode::SHOW_CURSOR);
        (u16::try_from(point.column.0).unwrap_or_default(), u16::try_from(point.line.0).unwrap_or_default(), shown)
    }

    /// What is on the screen as text, without blanks at the ends of lines and empty lines at the end; with `scrollback` also what went out
    /// at its top.
    pub(super) fn text(&self, scrollback: bool) -> String {
        let grid = self.term.grid();
        let first = if scrollback { -i32::try_from(grid.history_size()).unwrap_or_default() } else { 0 };
        let last = i32::try_from(grid.screen_lines()).unwrap_or_default();
        let mut text = String::new();
        for line in first..last {
            let row = &grid[Line(line)];
            let begin = text.len();
            for column in (0..grid.columns()).map(Column) {
                let cell = &row[column];
                if !cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
                    text.push(if cell.c == '\t' { ' ' } else { cell.c });
                    text.extend(cell.zerowidth().into_iter().flatten());
                }
            }
            // A line that was too long for the screen is one line.
            if !row[Column(grid.columns() - 1)].flags.contains(Flags::WRAPLINE) {
                text.truncate(begin + text[begin..].trim_end().len());
                text.push('\n');
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// What it has to answer to programs, once.
    pub(super) fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.answers.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a byte may do anything but print or end a line.
fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\r' | b'\n' | b'\t')
}
