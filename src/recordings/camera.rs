//! Recording what is on a monitor: a thread that takes each new picture there is, at most so many a second, and adds it to the film. An
//! unchanged screen costs nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::film::Film;
use super::row::{self, keep_status};
use super::words::RecordingStatus;
use super::{Error, VideoBody};
use crate::desktop::{Shot, Viewer};
use crate::error::Failure;
use crate::screen::VideoEncoder;
use crate::store::Store;

/// A fragment is so long at least: what a sudden end loses at most.
const FRAGMENT: Duration = Duration::from_secs(1);
/// Of a screen at rest the picture is written after this, and then after ever longer.
const AT_REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// From a picture like this on, a film can be looked at from its middle.
const WHOLE: Duration = Duration::from_secs(10);
/// Bytes that others are to find on the disk.
pub(super) const ROOM: u64 = 256 << 20;

/// What is said to a camera.
pub(super) enum Cue {
    /// Take no pictures for a while.
    Pause(oneshot::Sender<()>),
    /// Go on.
    Resume(oneshot::Sender<()>),
    /// It is enough.
    Stop(oneshot::Sender<()>),
}

/// Films one monitor.
pub(super) struct Camera {
    pub(super) id: String,
    pub(super) store: Store,
    pub(super) viewer: Viewer,
    pub(super) path: PathBuf,
    pub(super) body: VideoBody,
    /// Bytes of the longest film.
    pub(super) most: u64,
    /// Cancelled when the desktop's service stops.
    pub(super) session: CancellationToken,
    pub(super) runtime: Handle,
}

/// How it came to its end, and who is told.
struct End {
    status: RecordingStatus,
    reason: Option<String>,
    told: Option<oneshot::Sender<()>>,
}

fn ended(status: RecordingStatus, reason: impl Into<String>) -> End {
    End { status, reason: Some(reason.into()), told: None }
}

/// What comes next.
enum Next {
    Picture(Result<std::sync::Arc<Shot>, Failure>),
    Cue(Option<Cue>),
    Rest,
    Over,
    Stopped,
}

impl Camera {
    /// Works until it is enough, and writes down how it ended.
    pub(super) fn run(mut self, mut cues: mpsc::UnboundedReceiver<Cue>) {
        let mut reel = None;
        let begun = Instant::now();
        let End { status, reason, told } = self.film(&mut cues, &mut reel, begun);
        let (mut status, mut reason) = (status, reason);
        if let Some(reel) = reel {
            self.body.frames = reel.film.frames();
            if let Err(error) = reel.film.finish(begun.elapsed()) {
                (status, reason) = (RecordingStatus::Interrupted, Some(error.to_string()));
            }
        }
        self.body.duration = Some((begun.elapsed().as_secs_f64() * 1e3).round() / 1e3);
        let size = std::fs::metadata(&self.path).map_or(0, |data| data.len());
        let body = serde_json::to_string(&self.body).unwrap_or_default();
        let kept = self.runtime.block_on(row::ended(&self.store, &self.id, status, reason, Some((body, size))));
        if let Err(error) = kept {
            tracing::warn!(%error, recording = self.id, "the end of a recording could not be written down");
        }
        if let Some(told) = told {
            let _ = told.send(());
        }
    }

    fn film(&mut self, cues: &mut mpsc::UnboundedReceiver<Cue>, reel: &mut Option<Reel>, begun: Instant) -> End {
        let limit = begun + Duration::from_secs(self.body.max_seconds);
        let zero = SystemTime::now().checked_sub(begun.elapsed()).unwrap_or(UNIX_EPOCH);
        let mut paused = false;
        loop {
            let rest = reel.as_ref().map_or(limit, |reel| reel.rests_at);
            let next = {
                let (viewer, session) = (&mut self.viewer, &self.session);
                self.runtime.block_on(async {
                    tokio::select! {
                        biased;
                        cue = cues.recv() => Next::Cue(cue),
                        () = session.cancelled() => Next::Stopped,
                        () = tokio::time::sleep_until(limit.into()) => Next::Over,
                        picture = viewer.next() => Next::Picture(picture),
                        () = tokio::time::sleep_until(rest.into()) => Next::Rest,
                    }
                })
            };
            let done = match next {
                Next::Cue(Some(Cue::Pause(told))) => {
                    paused = true;
                    let kept = self.keep_status(RecordingStatus::Paused);
                    let _ = told.send(());
                    kept
                }
                Next::Cue(Some(Cue::Resume(told))) => {
                    paused = false;
                    let kept = self.keep_status(RecordingStatus::Recording);
                    let _ = told.send(());
                    match self.viewer.current() {
                        Some(shot) => kept.and_then(|()| self.take(&shot, reel, begun.elapsed())),
                        None => kept,
                    }
                }
                Next::Cue(Some(Cue::Stop(told))) => {
                    if reel.is_none() && !paused {
                        drop(self.first(reel));
                    }
                    return End { status: RecordingStatus::Finished, reason: None, told: Some(told) };
                }
                Next::Cue(None) => return ended(RecordingStatus::Interrupted, "nobody can stop it any more"),
                Next::Stopped => return ended(RecordingStatus::Interrupted, "the desktop's service was stopped"),
                Next::Over => {
                    return ended(RecordingStatus::Finished, format!("it has its full length, {} s", self.body.max_seconds));
                }
                Next::Picture(Err(failure)) => return ended(RecordingStatus::Interrupted, failure.message),
                Next::Picture(Ok(_)) if paused => Ok(()),
                Next::Picture(Ok(shot)) => self.take(&shot, reel, shot.taken().duration_since(zero).unwrap_or_default()),
                Next::Rest => reel.as_mut().map_or(Ok(()), |reel| reel.rest(begun)),
            };
            if let Err(error) = done {
                return ended(RecordingStatus::Interrupted, error.to_string());
            }
            let bytes = reel.as_ref().map_or(0, |reel| reel.film.bytes());
            if bytes > self.most {
                return ended(RecordingStatus::Finished, format!("it has its full size, {} bytes (RECORDING_MAX_BYTES)", self.most));
            }
            if reel.as_ref().is_some_and(|reel| reel.just_wrote) && room(&self.path) < ROOM {
                return ended(RecordingStatus::Finished, "the disk is nearly full");
            }
        }
    }

    /// A film that ends at once shows what was there all the same.
    fn first(&mut self, reel: &mut Option<Reel>) -> Result<(), Error> {
        let viewer = &mut self.viewer;
        let shot = self.runtime.block_on(async { tokio::time::timeout(FRAGMENT, viewer.next()).await });
        match shot {
            Ok(Ok(shot)) => self.take(&shot, reel, Duration::ZERO),
            _ => Ok(()),
        }
    }

    /// Adds a picture that is shown from that moment on.
    fn take(&mut self, shot: &Shot, reel: &mut Option<Reel>, at: Duration) -> Result<(), Error> {
        let reel = match reel {
            Some(reel) => reel,
            None => {
                let encoder = VideoEncoder::new(shot.frame(), self.body.fps, self.body.quality)?;
                (self.body.width, self.body.height) = encoder.size();
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let film = Film::create(&self.path, encoder.size(), now).map_err(|error| Error::file(&self.path, &error))?;
                let rests_at = Instant::now() + AT_REST.0;
                reel.insert(Reel {
                    film,
                    encoder,
                    path: self.path.clone(),
                    last: Duration::ZERO,
                    written_at: Duration::ZERO,
                    whole_at: Duration::ZERO,
                    rests_at,
                    rest: AT_REST.0,
                    just_wrote: false,
                })
            }
        };
        reel.take(shot, at)
    }

    fn keep_status(&self, status: RecordingStatus) -> Result<(), Error> {
        self.runtime.block_on(keep_status(&self.store, &self.id, status))
    }
}

/// A film that has begun.
struct Reel {
    film: Film,
    encoder: VideoEncoder,
    path: PathBuf,
    /// When the last picture came.
    last: Duration,
    /// When the last fragment, and the last picture that stands by itself, began.
    written_at: Duration,
    whole_at: Duration,
    /// When the screen is taken to be at rest, and how long that was waited for.
    rests_at: Instant,
    rest: Duration,
    just_wrote: bool,
}

impl Reel {
    fn take(&mut self, shot: &Shot, at: Duration) -> Result<(), Error> {
        // The first picture is there from the beginning.
        let at = if self.film.frames() == 0 { Duration::ZERO } else { self.after(at) };
        let whole = at >= self.whole_at + WHOLE;
        let frame = self.encoder.encode(shot.frame(), millis(at), whole)?;
        if frame.is_key {
            self.whole_at = at;
        }
        self.film.add(frame, at);
        self.rest = AT_REST.0;
        self.rests_at = Instant::now() + self.rest;
        // One that stands by itself begins a fragment, so that it can be found.
        self.just_wrote = whole || at >= self.written_at + FRAGMENT;
        if self.just_wrote {
            self.written_at = at;
            self.film.flush().map_err(|error| Error::file(&self.path, &error))?;
        }
        Ok(())
    }

    /// That moment, or one after the last picture.
    fn after(&mut self, at: Duration) -> Duration {
        self.last = at.max(self.last + Duration::from_millis(1));
        self.last
    }

    /// Writes what there is while nothing happens.
    fn rest(&mut self, begun: Instant) -> Result<(), Error> {
        let at = self.after(begun.elapsed());
        let frame = self.encoder.again(millis(at), false)?;
        self.film.add(frame, at);
        self.film.flush().map_err(|error| Error::file(&self.path, &error))?;
        self.written_at = at;
        self.just_wrote = true;
        self.rest = (self.rest * 2).min(AT_REST.1);
        self.rests_at = Instant::now() + self.rest;
        Ok(())
    }
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes that are free where a file lies; as many as there can be where nobody can say.
pub(super) fn room(path: &Path) -> u64 {
    let folder = path.parent().unwrap_or(path);
    #[cfg(unix)]
    return rustix::fs::statvfs(folder).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    {
        let _ = folder;
        u64::MAX
    }
}
