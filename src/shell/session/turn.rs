//! One command in a session: it waits its turn, is typed, followed to its end, and interrupted where nobody wants it any more.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::dialect::COMMAND;
use super::state::{Phase, Progress};
use super::{Session, seconds};
use crate::shell::output::Kept;
use crate::shell::{CommandOutput, Error, TIMED_OUT, kin};

/// How long a line that somebody is typing may take to become a command.
const MOMENT: Duration = Duration::from_millis(250);
/// How often processes are looked at that are being ended.
const ROUND: Duration = Duration::from_millis(100);
/// How long the shell may take to begin with what was typed.
const BEGIN: Duration = Duration::from_secs(10);
/// How long a command may take to end after Ctrl-C.
const INTERRUPT: Duration = Duration::from_millis(300);
/// How often its processes are ended before the session is given up.
const ROUNDS: u32 = 15;
/// How long a command of our own may wait for what runs.
const OWN: Duration = Duration::from_secs(10);

/// How a command ended.
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) output: Kept,
    pub(super) timed_out: bool,
    /// Why nothing of it ran, or why it ended early.
    pub(super) reason: Option<String>,
    /// When it began, if it did.
    pub(super) began: Option<SystemTime>,
    pub(super) took: f64,
}

/// What is to be done in one turn.
struct Work {
    /// A command of our own that goes before; the turn ends where it fails.
    before: Option<String>,
    text: String,
    /// What viewers see of it; nothing for a command of our own.
    shown: Option<String>,
    deadline: Instant,
    /// The time it was given in all, for what is said about it.
    limit: Duration,
}

impl Session {
    /// Runs a command that was sent, as if it had been typed; viewers see it. With `before` the session first goes to a folder.
    pub(super) async fn run_text(
        self: &Arc<Self>,
        before: Option<String>,
        text: String,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<CommandOutput, Error> {
        let shown = Some(format!("{}\r\n", visible(&text)));
        let ran = self.turn(Work { before, text, shown, deadline: Instant::now() + limit, limit }, cancel).await?;
        let truncated = ran.output.truncated();
        Ok(CommandOutput {
            exit_code: ran.code,
            output: ran.output.into_text().replace("\r\n", "\n"),
            error: ran.reason.unwrap_or_default(),
            execution_time: ran.took,
            timed_out: ran.timed_out,
            truncated,
        })
    }

    /// Runs a command of our own, which nobody sees. Gives its exit code and what it printed.
    pub(super) async fn run_quietly(self: &Arc<Self>, text: String) -> Result<(i32, String), Error> {
        let work = Work { before: None, text, shown: None, deadline: Instant::now() + OWN, limit: OWN };
        let ran = self.turn(work, &CancellationToken::new()).await?;
        if ran.timed_out {
            return Err(Error::Busy(self.id.clone()));
        }
        Ok((ran.code, ran.output.into_text().replace("\r\n", "\n")))
    }

    /// Waits for its turn and runs. Whoever waits for it may go away: then it is interrupted, and the next one's turn comes when it
    /// is over.
    async fn turn(self: &Arc<Self>, work: Work, cancel: &CancellationToken) -> Result<Ran, Error> {
        let turn = tokio::select! {
            turn = timeout_at(work.deadline, Arc::clone(&self.turns).lock_owned()) => turn,
            () = cancel.cancelled() => return Err(Error::Cancelled),
        };
        let Ok(turn) = turn else { return Ok(no_turn(work.limit)) };
        let stop = cancel.child_token();
        let _gone = stop.clone().drop_guard();
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            let ran = this.work(&work, &stop).await;
            drop(turn);
            match ran {
                Ok(_) if stop.is_cancelled() => Err(Error::Cancelled),
                other => other,
            }
        });
        task.await.unwrap_or_else(|error| Err(Error::Wait(std::io::Error::other(error))))
    }

    /// Does what the turn is for, and puts it on record.
    async fn work(self: &Arc<Self>, work: &Work, stop: &CancellationToken) -> Result<Ran, Error> {
        if let Some(before) = &work.before {
            let ran = self.drive(before, None, work.deadline, work.limit, stop).await?;
            if ran.timed_out {
                return Ok(ran);
            }
            if ran.code != 0 {
                let said = ran.output.into_text();
                return Err(Error::invalid("/working_directory", format!("the session cannot go there: {}", said.trim())));
            }
        }
        let directory = self.directory();
        let ran = self.drive(&work.text, work.shown.clone(), work.deadline, work.limit, stop).await?;
        if let (true, Some(began)) = (work.shown.is_some(), ran.began) {
            self.keep(&work.text, ran.code, &ran.output, began, ran.took, Some(directory)).await;
        }
        Ok(ran)
    }

    async fn drive(
        self: &Arc<Self>,
        text: &str,
        shown: Option<String>,
        deadline: Instant,
        limit: Duration,
        stop: &CancellationToken,
    ) -> Result<Ran, Error> {
        let mut progress = self.state().follow();
        if !self.clear_line(&mut progress, deadline, stop).await? {
            return Ok(no_turn(limit));
        }
        let file = self.folder.join(self.shell_type.file(COMMAND));
        let written = std::fs::write(&file, self.shell_type.written(text));
        written.map_err(|source| Error::Start { name: self.shell_type.as_str().to_owned(), source })?;
        let (began, start) = (SystemTime::now(), std::time::Instant::now());
        let mut number = self.type_line(shown.clone());
        loop {
            let begun = Instant::now() + BEGIN;
            let now = *progress.borrow_and_update();
            let done = |code, reason| {
                let (output, took) = (std::mem::take(&mut self.state().output), start.elapsed().as_secs_f64());
                let timed_out = reason == Some(Why::Time);
                let reason = match reason {
                    Some(Why::Time) => Some(format!("timed out after {} s", seconds(limit))),
                    Some(Why::Gone) => Some("the shell did not stop the command, and its session was ended".to_owned()),
                    None => self.ending(),
                };
                Ok(Ran { code, output, timed_out, reason, began: Some(began), took })
            };
            match now.phase {
                Phase::Ended(code) => return done(code, None),
                _ if now.finished.0 == number => return done(now.finished.1, None),
                // Somebody's Ctrl-C wiped the line before it ran.
                Phase::Idle => number = self.type_line(shown.clone()),
                _ => {}
            }
            tokio::select! {
                _ = progress.changed() => {}
                () = tokio::time::sleep_until(begun), if matches!(now.phase, Phase::Typed(_)) => self.keys(b"\x03"),
                () = tokio::time::sleep_until(deadline) => {
                    let survived = self.interrupt(&mut progress, number).await;
                    let timed_out = done(TIMED_OUT, Some(Why::Time));
                    return if survived { timed_out } else { done(TIMED_OUT, Some(Why::Gone)).map(|ran| Ran { timed_out: true, ..ran }) };
                }
                () = stop.cancelled() => {
                    self.interrupt(&mut progress, number).await;
                    return done(TIMED_OUT, Some(Why::Time));
                }
            }
        }
    }

    /// Waits until the shell has an empty line. False where that took too long: a person runs something.
    async fn clear_line(
        &self,
        progress: &mut watch::Receiver<Progress>,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<bool, Error> {
        loop {
            let now = *progress.borrow_and_update();
            match now.phase {
                Phase::Ended(_) => return Err(Error::SessionEnded(self.id.clone())),
                Phase::Idle if !self.state().touched => return Ok(true),
                // Something stands on the line, or is about to run.
                Phase::Idle => {
                    if tokio::time::timeout(MOMENT, progress.changed()).await.is_err() {
                        self.keys(self.shell_type.wipe());
                        let fresh = progress.wait_for(|new| new.prompts > now.prompts || new.phase != Phase::Idle);
                        if !matches!(tokio::time::timeout(BEGIN, fresh).await, Ok(Ok(_))) {
                            // It takes no notice of Ctrl-C at its prompt. The line is wiped before each command anyway.
                            self.state().touched = false;
                        }
                    }
                    continue;
                }
                Phase::Starting | Phase::Typed(_) | Phase::Running(_) | Phase::Person => {}
            }
            tokio::select! {
                _ = progress.changed() => {}
                () = tokio::time::sleep_until(deadline) => return Ok(false),
                () = stop.cancelled() => return Err(Error::Cancelled),
            }
        }
    }

    /// Types the line that runs the command file, and gives its number.
    fn type_line(&self, shown: Option<String>) -> u64 {
        let mut state = self.state();
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        state.typed(number, shown);
        // Under the lock, so that nothing that a person types comes between.
        self.pty.input(self.shell_type.line(number, &self.folder).as_bytes());
        number
    }

    /// Ends what runs in the foreground: Ctrl-C, then harder. False where the session had to be given up.
    async fn interrupt(&self, progress: &mut watch::Receiver<Progress>, number: u64) -> bool {
        let over = |progress: &Progress| progress.finished.0 == number || matches!(progress.phase, Phase::Ended(_) | Phase::Idle);
        self.keys(b"\x03");
        let mut patience = INTERRUPT;
        for _ in 0..ROUNDS {
            if matches!(tokio::time::timeout(patience, progress.wait_for(over)).await, Ok(Ok(_))) {
                return !matches!(progress.borrow().phase, Phase::Ended(_));
            }
            patience = ROUND;
            self.end_foreground();
        }
        self.end("a command in it could not be stopped").await;
        false
    }

    /// Kills the group in the foreground; the shell itself is only told to stop.
    fn end_foreground(&self) {
        #[cfg(unix)]
        {
            use rustix::process::Signal;
            if let Some(group) = self.pty.foreground().filter(|group| *group != self.pty.pid) {
                kin::signal(&kin::of_group(group), Signal::KILL);
            }
            kin::signal(&[self.pty.pid], Signal::INT);
        }
    }

    /// Resolves once the shell is ready for its first command.
    pub(super) async fn ready(&self, patience: Duration) -> Result<(), Error> {
        let mut progress = self.state().follow();
        let up = progress.wait_for(|progress| progress.phase != Phase::Starting);
        let up = tokio::time::timeout(patience, up).await.is_ok_and(|up| up.is_ok_and(|up| !matches!(up.phase, Phase::Ended(_))));
        if up { Ok(()) } else { Err(Error::NoPrompt(self.state().unseen())) }
    }

    /// Resolves once the shell is gone, or some time has passed.
    pub(super) async fn gone(&self, patience: Duration) -> bool {
        let mut progress = self.state().follow();
        let gone = progress.wait_for(|progress| matches!(progress.phase, Phase::Ended(_)));
        tokio::select! {
            gone = gone => gone.is_ok(),
            () = sleep(patience) => false,
        }
    }
}

/// Why a command ended before its end.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Why {
    Time,
    Gone,
}

/// Its turn did not come in time; nothing of it ran.
fn no_turn(limit: Duration) -> Ran {
    let reason = format!("timed out after {} s: something else ran in the session all the while, and this was not started", seconds(limit));
    Ran { code: TIMED_OUT, output: Kept::default(), timed_out: true, reason: Some(reason), began: None, took: limit.as_secs_f64() }
}

/// A command as viewers see it typed: further lines with the sign that people know, control characters as text.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.trim_end_matches('\n').chars() {
        match c {
            '\n' => shown.push_str("\r\n> "),
            '\t' => shown.push('\t'),
            '\u{80}'..='\u{9f}' => shown.push('\u{fffd}'),
            c if c.is_control() => {
                shown.push('^');
                shown.push(char::from_u32(u32::from(c) ^ 0x40).unwrap_or('?'));
            }
            c => shown.push(c),
        }
    }
    shown
}
