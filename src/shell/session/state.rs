//! What a session is doing, told from what comes out of its terminal.

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use super::marks::{Mark, Marks, Piece};
use super::model::Size;
use super::pty;
use super::recorder::Recorder;
use super::screen::Screen;
use super::typing::Typing;
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
    pub(super) directory: Option<PathBuf>,
}

/// The state behind the session's lock.
pub(super) struct State {
    marks: Marks,
    pub(super) screen: Screen,
    /// Writes down what viewers see.
    pub(super) recorder: Option<Recorder>,
    /// The shell's process.
    pid: i32,
    /// Where the shell was when it was last ready: the next command begins there.
    pub(super) directory: Option<PathBuf>,
    /// The lines that people type, for a shell that does not tell them.
    typing: Option<Typing>,
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
    /// The shell waits for the rest of what a person types.
    goes_on: bool,
    /// A line that was typed, and what the terminal showed since: it shows the line first.
    echo: Option<(String, Vec<u8>)>,
    /// The end of what nobody saw while the shell came up.
    unseen: Vec<u8>,
    pub(super) last_activity: SystemTime,
}

impl State {
    /// `tells`: the shell says itself what was typed.
    pub(super) fn new(nonce: &str, size: Size, pid: i32, tells: bool) -> Self {
        let now = SystemTime::now();
        let progress = Progress { phase: Phase::Starting, finished: (0, 0), prompts: 0 };
        Self {
            marks: Marks::new(nonce),
            screen: Screen::new(size),
            recorder: None,
            pid,
            directory: None,
            typing: (!tells).then(Typing::default),
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
            goes_on: false,
            echo: None,
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
        let mut marks = std::mem::take(&mut self.marks);
        marks.feed(bytes, |piece| match piece {
            Piece::Printed(bytes) => self.printed(&bytes),
            Piece::Said(mark) => over.extend(self.said(mark)),
        });
        self.marks = marks;
        over
    }

    /// Takes in what a person types. A shell that does not say when it begins with a line begins with it at once.
    pub(super) fn keys(&mut self, bytes: &[u8]) {
        self.touched = true;
        self.last_activity = SystemTime::now();
        let Some(typing) = &mut self.typing else { return };
        for line in typing.keys(bytes) {
            let begins = match self.progress.borrow().phase {
                Phase::Idle => !self.goes_on,
                _ => continue,
            };
            self.goes_on = false;
            self.output = Kept::default();
            self.echo = Some((line.clone(), Vec::new()));
            if begins {
                (self.began, self.began_at) = (Instant::now(), SystemTime::now());
                self.line_is_new = !line.trim().is_empty();
                self.line = (self.line.0 + 1, line);
            } else {
                self.line.1.push('\n');
                self.line.1.push_str(&line);
            }
            self.progress.send_modify(|progress| progress.phase = Phase::Person);
        }
    }

    /// Takes in what was held, as nothing more will come.
    pub(super) fn rest(&mut self) {
        let rest = self.marks.rest();
        self.printed(&rest);
    }

    /// The shell is gone.
    pub(super) fn ended(&mut self, code: i32) {
        self.go(Phase::Ended(code));
    }

    /// What it printed while it came up, for whoever wants to know why it did not.
    pub(super) fn unseen(&self) -> String {
        String::from_utf8_lossy(&self.unseen).into_owned()
    }

    /// Shows something to viewers.
    fn show(&mut self, bytes: &[u8]) {
        self.screen.push(bytes);
        if let Some(recorder) = &mut self.recorder {
            recorder.printed(bytes);
        }
    }

    fn printed(&mut self, bytes: &[u8]) {
        if matches!(self.phase(), Phase::Running(_) | Phase::Person) {
            let begin = self.echoed(bytes);
            self.output.add(&bytes[begin..]);
        }
        if !self.quiet {
            self.show(bytes);
        } else if self.phase() == Phase::Starting && self.unseen.len() < 4096 {
            self.unseen.extend_from_slice(bytes);
        } else if let Phase::Typed(_) = self.phase() {
            // The end of the line's editing is for the viewer's terminal as well.
            const PASTE_OFF: &[u8] = b"\x1b[?2004l";
            if bytes.windows(PASTE_OFF.len()).any(|part| part == PASTE_OFF) {
                self.show(PASTE_OFF);
            }
        }
    }

    /// How much of `bytes` is only the terminal that shows what was typed.
    fn echoed(&mut self, bytes: &[u8]) -> usize {
        let Some((line, mut seen)) = self.echo.take() else { return 0 };
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            seen.extend_from_slice(bytes);
            // What is much longer than the line is no echo of it.
            if seen.len() <= 2 * line.len() + 64 {
                self.echo = Some((line, seen));
                return bytes.len();
            }
            self.output.add(&seen);
            return bytes.len();
        };
        seen.extend_from_slice(&bytes[..=end]);
        let text = String::from_utf8_lossy(&seen).trim_end().to_owned();
        if !line.ends_with(&text) && !text.ends_with(&line) {
            self.output.add(&seen);
        }
        end + 1
    }

    fn said(&mut self, mark: Mark) -> Option<Typed> {
        match (mark, self.phase()) {
            (Mark::Begin(Some(number)), Phase::Typed(typed)) if number == typed => {
                if let Some(shown) = self.shown.take() {
                    self.show(shown.as_bytes());
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
            // Nothing runs: the line is still being edited, and may be wiped.
            (Mark::More, Phase::Person) => {
                (self.goes_on, self.touched) = (true, true);
                self.go(Phase::Idle);
            }
            (Mark::End(code, None), Phase::Person) => {
                let began_in = self.directory.take();
                self.ready(Phase::Idle);
                let output = std::mem::take(&mut self.output);
                let seconds = self.began.elapsed().as_secs_f64();
                let directory = began_in;
                let is_new = std::mem::take(&mut self.line_is_new);
                return is_new.then(|| Typed { command: self.line.1.clone(), code, output, at: self.began_at, seconds, directory });
            }
            (Mark::End(_, None), Phase::Starting) => {
                self.quiet = false;
                self.ready(Phase::Idle);
            }
            (Mark::End(_, None), Phase::Idle) => self.ready(Phase::Idle),
            (Mark::Begin(_) | Mark::End(..) | Mark::More, _) => {}
        }
        None
    }

    /// A numbered command is over.
    fn over(&mut self, finished: (u64, i32)) {
        if self.quiet {
            // Nobody saw it run: the new prompt takes the place of the old one.
            self.show(b"\r\x1b[K");
            self.quiet = false;
        }
        self.last_activity = SystemTime::now();
        self.progress.send_modify(|progress| {
            progress.phase = Phase::Idle;
            progress.finished = finished;
        });
    }

    fn ready(&mut self, phase: Phase) {
        (self.touched, self.prompt_is_due, self.goes_on, self.echo) = (false, false, false, None);
        self.directory = pty::directory_of(self.pid);
        self.progress.send_modify(|progress| {
            progress.phase = phase;
            progress.prompts += 1;
        });
    }

    fn go(&mut self, phase: Phase) {
        self.progress.send_modify(|progress| progress.phase = phase);
    }
}
