//! A stream in the format `binary`: which update is due when, and where the pointer is.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::pace::Pace;
use super::stream::{ALIVE, Due, Stream};
use super::wire;
use crate::desktop::{Canvas, Error, Seen, Update, View};
use crate::error::Failure;
use crate::screen::Pointer;

/// What a client has before it, and what is under way to it.
#[derive(Debug, Default)]
pub(super) struct Painting {
    /// Lent while an update is made.
    canvas: Option<Canvas>,
    /// Kept, so that a busy client does not make it begin again and again.
    making: Option<JoinHandle<Result<(Canvas, Update), Error>>>,
    pace: Pace,
    /// The next update is to stand for itself.
    renew: bool,
    /// The picture that was drawn last.
    drawn: Option<u64>,
    /// When the last message was sent.
    said: Option<Instant>,
    size: (u32, u32),
    exact: bool,
    /// The pointer's shape that the client has.
    shape: Option<u32>,
}

impl Painting {
    /// A client that has nothing before it.
    pub(super) fn new() -> Self {
        Self { renew: true, ..Self::default() }
    }

    pub(super) fn acknowledged(&mut self, sequence: u32) {
        self.pace.acknowledged(sequence);
    }

    pub(super) fn renew(&mut self) {
        self.renew = true;
    }

    /// What the client has before it counts no more; nor does what is just being made.
    pub(super) fn begin_anew(&mut self) {
        (self.canvas, self.making, self.drawn, self.shape, self.renew) = (None, None, None, None, true);
    }

    /// When something has to be sent at the latest.
    fn alive_at(&self) -> Option<Instant> {
        self.said.map(|said| said + ALIVE)
    }

    fn update(&mut self, update: &Update) -> Vec<u8> {
        let bytes = wire::update(self.pace.next(), update);
        self.pace.weigh(bytes.len());
        (self.size, self.exact, self.said) = (update.size, update.exact, Some(Instant::now()));
        bytes
    }

    /// A sign of life. `waits`: something has changed that cannot be sent yet.
    fn alive(&mut self, waits: bool) -> Vec<u8> {
        self.said = Some(Instant::now());
        wire::alive(self.pace.last(), self.exact && !waits, self.size)
    }

    /// `cursor`.
    fn cursor(&mut self, pointer: &Pointer, view: &View) -> String {
        let at = view.of_screen(pointer.x, pointer.y);
        let (x, y) = at.unwrap_or_default();
        let mut message = json!({ "type": "cursor", "x": x, "y": y, "visible": at.is_some() });
        let shape = &pointer.shape;
        if self.shape != Some(shape.id) {
            self.shape = Some(shape.id);
            // One without pixels is none.
            message["shape"] = shape.png().map_or_else(
                |_| json!(null),
                |png| {
                    json!({
                        "width": shape.size.0,
                        "height": shape.size.1,
                        "hotspot_x": shape.hotspot.0,
                        "hotspot_y": shape.hotspot.1,
                        "image_data": STANDARD.encode(png),
                    })
                },
            );
        }
        message.to_string()
    }
}

impl Stream {
    /// What is due next, in the format `binary`. May be dropped while it waits.
    pub(super) async fn due_update(&mut self) -> Result<Due, Failure> {
        loop {
            let Some(painting) = &mut self.painting else { return std::future::pending().await };
            if let Some(making) = &mut painting.making {
                let made = making.await;
                painting.making = None;
                let (canvas, update) = made.map_err(|_| Error::Ended("comparing pictures"))??;
                painting.canvas = Some(canvas);
                if !update.is_empty() {
                    return Ok(Due::Update(painting.update(&update)));
                }
                painting.exact = update.exact;
                continue;
            }
            let is_open = painting.pace.is_open();
            self.viewer.set_busy(!is_open);
            let now = Instant::now();
            let pace = Duration::from_secs(1) / self.showing.fps;
            let earliest = self.begun.map_or(now, |begun| begun + pace);
            let rests = painting.canvas.as_ref().and_then(Canvas::rests).map(Instant::from_std);
            let wanted = if self.fresh || painting.renew { Some(earliest) } else { rests.map(|rests| rests.max(earliest)) };
            let wanted = if is_open { wanted } else { wanted.and(painting.pace.at_last()) };
            let wanted = wanted.filter(|_| self.viewer.current().is_some());
            if let Some(shot) = self.viewer.current().filter(|_| wanted.is_some_and(|wanted| wanted <= now)) {
                // Counted from when it was due, so that being late once does not make it slower for good.
                self.begun = Some(if now < earliest + pace { earliest } else { now });
                self.fresh = false;
                let mut canvas = painting.canvas.take().unwrap_or_default();
                if std::mem::take(&mut painting.renew) {
                    canvas.forget();
                }
                painting.drawn = Some(shot.generation());
                let area = shot.frame().region();
                painting.making = Some(tokio::spawn(canvas.update(shot, self.showing.look())));
                if area != self.view.area {
                    self.view = View::new(area, self.showing.scale_factor);
                    return Ok(Due::Resized);
                }
                continue;
            }
            let alive_at = painting.alive_at();
            if alive_at.is_some_and(|alive_at| alive_at <= now) {
                // While no picture can be sent none is looked at either.
                return Ok(Due::Update(painting.alive(self.fresh || !is_open)));
            }
            let wake = [wanted, alive_at].into_iter().flatten().min();
            tokio::select! {
                biased;
                () = self.session.cancelled() => return Err(self.stopped()),
                seen = self.viewer.either() => match seen? {
                    Seen::Picture(shot) => self.fresh = painting.drawn != Some(shot.generation()),
                    Seen::Pointer(pointer) => return Ok(Due::Pointer(painting.cursor(&pointer, &self.view))),
                },
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
            }
        }
    }
}
