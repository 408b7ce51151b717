//! What a session is doing, told from what comes out of its terminal.

use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use super::marks::{Mark, Marks, Piece};
use super::screen::Screen;
use crate::shell::output::Kept;

/// What it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The shell comes up.
    Starting,
    /// It waits for a command.
    Idle,
    /// A numbered command was typed, and has not begun.
    Typed(u64),
    /// It runs.
    Running(u64),
    /// Something runs that a person typed.
    Person,
    /// The shell is gone, with this exit code.
    Ended(i32),
}

/// The phase, and what those who wait want to know beside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) phase: Phase,
    /// The last numbered command that is over, and its exit code.
    pub(super) finished: (u64, i32),
    /// How often it was ready for a command.
    pub(super) prompts: u64,
}

/// A command that a person typed and that is over.
pub(super) struct Typed {
    pub(super) command: String,
    pub(super) code: i32,
    pub(super) output: Kept,
    pub(super) at: SystemTime,
    pub(super) seconds: f64,
}

/// The state behind the session's lock.
pub(super) struct State {
    marks: Marks,
    pub(super) screen: Screen,
    progress: watch::Sender<Progress>,
    /// What comes is not for viewers: the line that starts a command, or a command of our own.
    quiet: bool,
    /// What viewers are shown instead of that line, and whether they see the command's output.
    shown: Option<String>,
    /// What the running command printed.
    pub(super) output: Kept,
    began: Instant,
    began_at: SystemTime,
    /// Somebody typed since the last prompt: there may be something on the line.
    pub(super) touched: bool,
    /// The last line of the shell's history, with its number.
    line: (u64, String),
    /// The prompt that follows the last numbered command is still to come.
    prompt_is_due: bool,
    /// A new line came with the last prompt.
    line_is_new: bool,
    /// The end of what nobody saw while the shell came up.
    unseen: Vec<u8>,
    pub(super) last_activity: SystemTime,
}

impl State {
    pub(super) fn new(nonce: &str) -> Self {
        let now = SystemTime::now();
        let progress = Progress { phase: Phase::Starting, finished: (0, 0), prompts: 0 };
        Self {
            marks: Marks::new(nonce),
            screen: Screen::default(),
            progress: watch::Sender::new(progress),
            quiet: true,
            shown: None,
            output: Kept::default(),
            began: Instant::now(),
            began_at: now,
            touched: false,
            line: (0, String::new()),
            line_is_new: false,
            prompt_is_due: false,
            unseen: Vec::new(),
            last_activity: now,
        }
    }

    pub(super) fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(super) fn phase(&self) -> Phase {
        self.progress.borrow().phase
    }

    /// A numbered command is about to be typed. `shown` is what viewers see instead; with nothing they do not see that it runs.
    pub(super) fn typed(&mut self, number: u64, shown: Option<String>) {
        (self.quiet, self.shown, self.output) = (true, shown, Kept::default());
        self.touched = false;
        self.last_activity = SystemTime::now();
        self.began = Instant::now();
        self.go(Phase::Typed(number));
    }

    /// Takes in what came out of the terminal. Gives the commands of people that ended with it.
    pub(super) fn take_in(&mut self, bytes: &[u8]) -> Vec<Typed> {
        let mut over = Vec::new();
        for piece in self.marks.feed(bytes) {
            match piece {
                Piece::Printed(bytes) => self.printed(&bytes),
                Piece::Said(mark) => over.extend(self.said(mark)),
            }
        }
        over
    }

    /// The shell is gone.
    pub(super) fn ended(&mut self, code: i32) {
        let rest = self.marks.rest();
        self.printed(&rest);
        self.go(Phase::Ended(code));
    }

    /// What it printed while it came up, for whoever wants to know why it did not.
    pub(super) fn unseen(&self) -> String {
        String::from_utf8_lossy(&self.unseen).into_owned()
    }

    fn printed(&mut self, bytes: &[u8]) {
        if matches!(self.phase(), Phase::Running(_) | Phase::Person) {
            self.output.add(bytes);
        }
        if !self.quiet {
            self.screen.push(bytes);
        } else if self.phase() == Phase::Starting && self.unseen.len() < 4096 {
            self.unseen.extend_from_slice(bytes);
        } else if let Phase::Typed(_) = self.phase() {
            // The end of the line's editing is for the viewer's terminal as well.
            const PASTE_OFF: &[u8] = b"\x1b[?2004l";
            if bytes.windows(PASTE_OFF.len()).any(|part| part == PASTE_OFF) {
                self.screen.push(PASTE_OFF);
            }
        }
    }

    fn said(&mut self, mark: Mark) -> Option<Typed> {
        match (mark, self.phase()) {
            (Mark::Begin(Some(number)), Phase::Typed(typed)) if number == typed => {
                if let Some(shown) = self.shown.take() {
                    self.screen.push(shown.as_bytes());
                    self.quiet = false;
                }
                self.output = Kept::default();
                self.go(Phase::Running(number));
            }
            (Mark::Begin(None), Phase::Idle) => {
                (self.began, self.began_at) = (Instant::now(), SystemTime::now());
                self.output = Kept::default();
                self.go(Phase::Person);
            }
            (Mark::Line(line), _) => {
                let line = line.trim();
                let (number, command) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                let number = number.parse().unwrap_or_default();
                self.line_is_new = number != self.line.0;
                self.line = (number, command.trim().to_owned());
            }
            (Mark::End(code, number), Phase::Running(running)) if number.is_none_or(|number| number == running) => {
                self.prompt_is_due = number.is_some();
                self.over((running, code));
            }
            // It belongs to the command before: the next one was typed before it came.
            (Mark::End(_, None), Phase::Typed(_)) if self.prompt_is_due => self.prompt_is_due = false,
            // The line was wiped or interrupted before it ran; those who wait for it type it again.
            (Mark::End(_, None), Phase::Typed(_)) => self.ready(Phase::Idle),
            (Mark::End(code, None), Phase::Person) => {
                self.ready(Phase::Idle);
                let output = std::mem::take(&mut self.output);
                let seconds = self.began.elapsed().as_secs_f64();
                return self.line_is_new.then(|| Typed { command: self.line.1.clone(), code, output, at: self.began_at, seconds });
            }
            (Mark::End(_, None), Phase::Starting) => {
                self.quiet = false;
                self.ready(Phase::Idle);
            }
            (Mark::End(_, None), Phase::Idle) => self.ready(Phase::Idle),
            (Mark::Begin(_) | Mark::End(..), _) => {}
        }
        None
    }

    /// A numbered command is over.
    fn over(&mut self, finished: (u64, i32)) {
        if self.quiet {
            // Nobody saw it run: the new prompt takes the place of the old one.
            self.screen.push(b"\r\x1b[K");
            self.quiet = false;
        }
        self.last_activity = SystemTime::now();
        self.progress.send_modify(|progress| {
            progress.phase = Phase::Idle;
            progress.finished = finished;
        });
    }

    fn ready(&mut self, phase: Phase) {
        (self.touched, self.prompt_is_due) = (false, false);
        self.progress.send_modify(|progress| {
            progress.phase = phase;
            progress.prompts += 1;
        });
    }

    fn go(&mut self, phase: Phase) {
        self.progress.send_modify(|progress| progress.phase = phase);
    }
}
