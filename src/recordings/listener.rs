//! Recording what is done at a desktop: a thread that hears it, sees what there was to see, and writes each step down as soon as it is
//! over, so that a crash loses no more than what was just being done.
//!
//! While it is paused nobody listens at all: what is typed meanwhile cannot be kept.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::gestures::{Done, Gestures, Target};
use super::row::{ended, keep_status};
use super::scene::{Eyes, Scene};
use super::words::{Action, RecordedStep, RecordingStatus};
use crate::desktop::Desktop;
use crate::input::{Deed, Heard, Listening};
use crate::store::Store;

/// How often is looked whether something is over because nothing more came.
const TICK: Duration = Duration::from_millis(100);
/// How long what is on its way is waited for when it is enough.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// Steps of the longest recording.
const STEPS: u32 = 5_000;
/// And how long that is.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// What is said to a recorder.
pub(super) enum Word {
    /// Something was heard, by who listened that many times.
    Heard(u64, Heard),
    /// Keep nothing for a while; what is typed meanwhile is this parameter.
    Pause(Option<String>, oneshot::Sender<Result<(), Error>>),
    /// Go on.
    Resume(oneshot::Sender<Result<(), Error>>),
    /// It is enough.
    Stop(oneshot::Sender<Result<(), Error>>),
}

/// Records what is done at one desktop.
pub(super) struct Recorder {
    pub(super) id: String,
    pub(super) store: Store,
    pub(super) desktop: Arc<Desktop>,
    pub(super) eyes: Eyes,
    /// Cancelled when the desktop's service stops.
    pub(super) session: CancellationToken,
    pub(super) runtime: Handle,
    pub(super) started: SystemTime,
    pub(super) words: Sender<Word>,
    pub(super) gestures: Gestures<Scene>,
    pub(super) listening: Option<Listening>,
    pub(super) times: u64,
    pub(super) steps: u32,
    /// Since when, what is typed meanwhile, and what there was to see.
    pub(super) secret: Option<(SystemTime, String, Scene)>,
}

/// How it came to its end.
type End = (RecordingStatus, Option<String>);

impl Recorder {
    /// Begins to listen.
    pub(super) fn listen(&mut self) -> Result<(), Error> {
        self.times += 1;
        let (times, words) = (self.times, self.words.clone());
        let ear = Box::new(move |heard| drop(words.send(Word::Heard(times, heard))));
        self.listening = Some(self.desktop.input().listen(ear)?);
        Ok(())
    }

    /// Works until it is enough, and writes down how it ended.
    pub(super) fn run(mut self, words: &Receiver<Word>) {
        let (end, reply) = self.work(words);
        let done = self.keep_end(end);
        if let Some(reply) = reply {
            drop(reply.send(done));
        } else if let Err(error) = done {
            tracing::warn!(%error, recording = self.id, "the end of a recording could not be written down");
        }
    }

    fn work(&mut self, words: &Receiver<Word>) -> (End, Option<oneshot::Sender<Result<(), Error>>>) {
        let begun = Instant::now();
        loop {
            if self.session.is_cancelled() {
                return (interrupted("the desktop's service was stopped"), None);
            }
            if begun.elapsed() > LONGEST || self.steps >= STEPS {
                let reason = format!("a recording has at most {STEPS} steps and {} hours", LONGEST.as_secs() / 3600);
                return ((RecordingStatus::Finished, Some(reason)), None);
            }
            let done = match words.recv_timeout(TICK) {
                Ok(Word::Heard(times, heard)) if times == self.times => match heard.deed {
                    Deed::End(reason) if self.listening.is_some() => {
                        let reason = reason.unwrap_or_else(|| "nothing more was heard".to_owned());
                        return (interrupted(&format!("the display has gone: {reason}")), None);
                    }
                    _ => self.hear(&heard),
                },
                Ok(Word::Heard(..)) => Ok(()),
                Ok(Word::Pause(parameter, reply)) => {
                    let done = self.pause(words, parameter);
                    drop(reply.send(done));
                    Ok(())
                }
                Ok(Word::Resume(reply)) => {
                    let done = self.resume();
                    drop(reply.send(done));
                    Ok(())
                }
                Ok(Word::Stop(reply)) => {
                    let done = self.hush(words).and_then(|()| self.reveal());
                    let end = done.map_or_else(|error| interrupted(&error.to_string()), |()| (RecordingStatus::Finished, None));
                    return (end, Some(reply));
                }
                Err(RecvTimeoutError::Timeout) => match self.gestures.idle(SystemTime::now()) {
                    Some(done) => self.keep(done),
                    None => Ok(()),
                },
                // It holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => return (interrupted("nobody listens any more"), None),
            };
            if let Err(error) = done {
                return (interrupted(&error.to_string()), None);
            }
        }
    }

    fn hear(&mut self, heard: &Heard) -> Result<(), Error> {
        if let Some(done) = self.gestures.idle(heard.at) {
            self.keep(done)?;
        }
        let eyes = &mut self.eyes;
        for done in self.gestures.hear(heard, &mut |target| eyes.look(target, heard.at)) {
            self.keep(done)?;
        }
        Ok(())
    }

    /// Stops listening, and takes in what is on its way.
    fn hush(&mut self, words: &Receiver<Word>) -> Result<(), Error> {
        if self.listening.take().is_some() {
            let end = Instant::now() + ON_ITS_WAY;
            while let Ok(word) = words.recv_timeout(end.saturating_duration_since(Instant::now())) {
                match word {
                    Word::Heard(times, heard) if times == self.times => match heard.deed {
                        Deed::End(_) => break,
                        _ => self.hear(&heard)?,
                    },
                    Word::Heard(..) => {}
                    // Whoever says more at the same moment says it too early.
                    Word::Pause(_, reply) | Word::Resume(reply) | Word::Stop(reply) => drop(reply.send(Err(Error::Over(self.id.clone())))),
                }
            }
            // What comes later is not heard.
            self.times += 1;
        }
        match self.gestures.finish() {
            Some(done) => self.keep(done),
            None => Ok(()),
        }
    }

    fn pause(&mut self, words: &Receiver<Word>, parameter: Option<String>) -> Result<(), Error> {
        self.hush(words)?;
        if let Some(name) = parameter {
            self.reveal()?;
            let now = SystemTime::now();
            self.secret = Some((now, name, self.eyes.look(Target::Focus, now)));
        }
        self.keep_status(RecordingStatus::Paused)
    }

    fn resume(&mut self) -> Result<(), Error> {
        if self.listening.is_some() {
            return Ok(());
        }
        self.reveal()?;
        self.listen()?;
        self.keep_status(RecordingStatus::Recording)
    }

    /// Puts a parameter where something secret was typed.
    fn reveal(&mut self) -> Result<(), Error> {
        let Some((begun, name, scene)) = self.secret.take() else { return Ok(()) };
        self.keep(Done { begun, ended: SystemTime::now(), action: Action::Parameter { name }, scene })
    }

    fn keep(&mut self, done: Done<Scene>) -> Result<(), Error> {
        let seconds = |from: SystemTime, to: SystemTime| (to.duration_since(from).unwrap_or_default().as_secs_f64() * 1e3).round() / 1e3;
        let Done { begun, ended, action, scene: Scene { window, change, picture }, .. } = done;
        self.steps += 1;
        let (place, jpeg) = picture.unzip();
        let (at, duration) = (seconds(self.started, begun), seconds(begun, ended));
        let step = RecordedStep { number: self.steps, at, duration, action, window, change, picture: place };
        let body = serde_json::to_string(&step).map_err(|_| Error::Ended)?;
        self.runtime.block_on(self.store.add_recording_step(&self.id, self.steps, body, jpeg))?;
        Ok(())
    }

    fn keep_status(&self, status: RecordingStatus) -> Result<(), Error> {
        self.runtime.block_on(keep_status(&self.store, &self.id, status))
    }

    fn keep_end(&mut self, (status, reason): End) -> Result<(), Error> {
        self.listening = None;
        if let Some(done) = self.gestures.finish() {
            drop(self.keep(done));
        }
        self.runtime.block_on(ended(&self.store, &self.id, status, reason, None))
    }
}

fn interrupted(reason: &str) -> End {
    (RecordingStatus::Interrupted, Some(reason.to_owned()))
}
