//! Pictures of the screen around what a step does with mouse and keyboard: before its first use of them, and after its last.
//!
//! The run waits for the capture alone. Writing the picture down is a thread's business ([`Encoder`]); it takes no more than a few at a
//! time, and a picture that finds it busy is left out, which is put on record in its place. A screen that did not change is written
//! down once.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use super::Journal;
use super::protocol::StepStarted;
use crate::desktop::Desktop;
use crate::screen::{Capture, Frame, ImageFormat};

/// Pictures that may wait to be written down: each holds its pixels.
const WAITING: usize = 8;
/// Bytes of pixels that may wait: of a very large screen fewer pictures do.
const WAITING_BYTES: u64 = 128 << 20;
/// So many that were written down are known again.
const KNOWN: usize = 8;
/// The last one is compared with the next pixel by pixel, if that comes so soon.
const REMEMBERED: Duration = Duration::from_secs(2);
/// Good enough to read a screen by.
const QUALITY: u32 = 75;

/// When a picture was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before a step first used mouse or keyboard.
    Before,
    /// After the step.
    After,
}

/// A picture of a step.
#[derive(Debug, Clone)]
pub struct StepPicture {
    /// The step.
    pub step_id: String,
    /// Which try of it.
    pub attempt: u32,
    /// When it was taken.
    pub moment: Moment,
    /// The picture as JPEG; none where there was no time for it.
    pub jpeg: Option<Arc<[u8]>>,
}

/// What waits to be written down.
struct Taken {
    frame: Frame,
    step_id: String,
    attempt: u32,
    moment: Moment,
    journal: Arc<dyn Journal>,
}

/// Writes pictures down, one after the other. Its thread starts with the first one, and ends with it.
pub(super) struct Encoder {
    thread: OnceLock<Option<SyncSender<Taken>>>,
    /// How many were taken on, and how many are done.
    taken: watch::Sender<u64>,
    done: Arc<watch::Sender<u64>>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { thread: OnceLock::new(), taken: watch::Sender::new(0), done: Arc::new(watch::Sender::new(0)) }
    }

    /// Takes a picture on; or puts on record that it was left out.
    fn take(&self, taken: Taken) {
        let sender = self.thread.get_or_init(|| {
            let (sender, receiver) = sync_channel(WAITING);
            let done = Arc::clone(&self.done);
            let started = std::thread::Builder::new().name("pictures".to_owned()).spawn(move || write_down(&receiver, &done));
            started.inspect_err(|error| tracing::warn!(%error, "steps have no pictures: no thread could be started")).ok().map(|_| sender)
        });
        let bytes = u64::from(taken.frame.width()) * u64::from(taken.frame.height()) * 4;
        let waiting = *self.taken.borrow() - *self.done.borrow();
        let too_much = waiting > 0 && (waiting + 1) * bytes > WAITING_BYTES;
        let refused = match sender {
            Some(sender) if !too_much => {
                self.taken.send_modify(|taken| *taken += 1);
                match sender.try_send(taken) {
                    Ok(()) => return,
                    Err(TrySendError::Full(taken) | TrySendError::Disconnected(taken)) => {
                        self.done.send_modify(|done| *done += 1);
                        taken
                    }
                }
            }
            _ => taken,
        };
        let Taken { step_id, attempt, moment, journal, .. } = refused;
        journal.picture(StepPicture { step_id, attempt, moment, jpeg: None });
    }

    /// Resolves once everything taken on so far is on its way to the record.
    pub(super) async fn settled(&self) {
        let taken = *self.taken.borrow();
        drop(self.done.subscribe().wait_for(|done| *done >= taken).await);
    }
}

/// Works until nobody takes pictures any more.
fn write_down(receiver: &Receiver<Taken>, done: &watch::Sender<u64>) {
    let mut known: Vec<(u64, Arc<[u8]>)> = Vec::new();
    let mut last: Option<(Frame, Arc<[u8]>)> = None;
    loop {
        let next = match &last {
            Some(_) => receiver.recv_timeout(REMEMBERED),
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let Taken { frame, step_id, attempt, moment, journal } = match next {
            Ok(taken) => taken,
            Err(RecvTimeoutError::Timeout) => {
                // Its pixels are as large as the screen.
                last = None;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let jpeg = match last.as_ref().filter(|(seen, _)| seen.rows().eq(frame.rows())) {
            Some((_, jpeg)) => Some(Arc::clone(jpeg)),
            None => encoded(&frame, &mut known),
        };
        last = jpeg.clone().map(|jpeg| (frame, jpeg));
        journal.picture(StepPicture { step_id, attempt, moment, jpeg });
        drop(journal);
        done.send_modify(|done| *done += 1);
    }
}

/// The picture as JPEG, unless it was written down a short while ago.
fn encoded(frame: &Frame, known: &mut Vec<(u64, Arc<[u8]>)>) -> Option<Arc<[u8]>> {
    let pixels = frame.fingerprint();
    if let Some((_, jpeg)) = known.iter().find(|(seen, _)| *seen == pixels) {
        return Some(Arc::clone(jpeg));
    }
    let encoded = frame.encode(ImageFormat::Jpeg, QUALITY);
    let jpeg: Arc<[u8]> = encoded.inspect_err(|error| tracing::warn!(%error, "a picture of a step could not be written down")).ok()?.into();
    if known.len() == KNOWN {
        known.remove(0);
    }
    known.push((pixels, Arc::clone(&jpeg)));
    Some(jpeg)
}

/// The pictures of one run.
pub(super) struct Pictures {
    encoder: Arc<Encoder>,
    journal: Arc<dyn Journal>,
    /// The steps that are under way.
    open: Vec<Open>,
}

/// A step that is under way.
struct Open {
    step_id: String,
    attempt: u32,
    /// Where it used mouse and keyboard, if it did.
    desktop: Option<Arc<Desktop>>,
}

impl Pictures {
    pub(super) fn new(encoder: Arc<Encoder>, journal: Arc<dyn Journal>) -> Self {
        Self { encoder, journal, open: Vec::new() }
    }

    pub(super) fn encoder(&self) -> &Arc<Encoder> {
        &self.encoder
    }

    pub(super) fn step_started(&mut self, step: &StepStarted) {
        self.open.push(Open { step_id: step.step_id.clone(), attempt: step.attempt, desktop: None });
    }

    /// Mouse or keyboard is about to be used, by the steps that are under way. Gives the picture, where one of them uses them first.
    pub(super) async fn before(&mut self, desktop: &Arc<Desktop>) -> Option<Frame> {
        if self.open.iter().all(|step| step.desktop.is_some()) {
            return None;
        }
        let frame = capture(desktop).await;
        for step in self.open.iter_mut().filter(|step| step.desktop.is_none()) {
            step.desktop = Some(Arc::clone(desktop));
            if let Some(frame) = &frame {
                let (step_id, journal) = (step.step_id.clone(), Arc::clone(&self.journal));
                self.encoder.take(Taken { frame: frame.clone(), step_id, attempt: step.attempt, moment: Moment::Before, journal });
            }
        }
        frame
    }

    pub(super) async fn step_finished(&mut self, step: &StepStarted) {
        let is_it = |open: &Open| open.attempt == step.attempt && open.step_id == step.step_id;
        let Some(place) = self.open.iter().rposition(is_it) else { return };
        let Open { step_id, attempt, desktop } = self.open.swap_remove(place);
        let Some(desktop) = desktop else { return };
        if let Some(frame) = capture(&desktop).await {
            self.encoder.take(Taken { frame, step_id, attempt, moment: Moment::After, journal: Arc::clone(&self.journal) });
        }
    }
}

/// The whole screen. None where it cannot be seen: a step goes on without its picture.
pub(super) async fn capture(desktop: &Arc<Desktop>) -> Option<Frame> {
    let desktop = Arc::clone(desktop);
    let taken = tokio::task::spawn_blocking(move || desktop.screen().capture(&Capture::default())).await.ok()?;
    taken.inspect_err(|error| tracing::debug!(%error, "a step has no picture")).ok()
}
