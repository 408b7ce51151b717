//! Recordings of a desktop: what is done with mouse and keyboard, as steps that can be drawn as a workflow ([`Recordings::workflow`]);
//! and what is on a monitor, as a film ([`Recordings::video`]).
//!
//! Of what is done `input` hears, [`gestures`] says what that amounts to, [`scene`] what there was to see, [`listener`] keeps it, and
//! [`drawing`] makes nodes of it. What is drawn is stored and run by other rooms. Of what is seen [`camera`] takes the pictures that the
//! desktop has for whoever watches, `screen` writes them down, and [`film`] makes a file of them.

mod camera;
mod drawing;
mod error;
mod film;
mod gestures;
mod listener;
mod row;
mod scene;
mod start;
mod words;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::desktop::Desktops;
use crate::store::Store;
use crate::store::recordings::{RecordingFilter, RecordingRow, RecordingStepRow};
use crate::workflow::Graph;

pub use error::Error;
pub use words::*;

use camera::Cue;
use listener::Word;
use row::{VIDEO, kind_word, now, recording};

/// Why a recording ended that a dead server left.
const DIED: &str = "the server ended";

/// Where films lie, how large they may be, and how long they stay.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Their folder.
    pub folder: PathBuf,
    /// Bytes of the longest one.
    pub max_bytes: u64,
    /// Older ones go; none stay for ever.
    pub max_age: Option<Duration>,
    /// Bytes of all films together; the oldest go first, the newest never.
    pub max_total: Option<u64>,
}

/// All recordings. Clones share them.
#[derive(Clone)]
pub struct Recordings {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    desktops: Arc<Desktops>,
    settings: Settings,
    live: Mutex<HashMap<String, Live>>,
}

/// One that goes on.
#[derive(Clone)]
enum Live {
    Input(Sender<Word>),
    Film(UnboundedSender<Cue>),
}

/// What only a recording of input has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputBody {
    longest_pause: f64,
    /// The desktop, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

impl Recordings {
    /// Recordings of what is on `desktops`.
    pub fn new(store: Store, desktops: Arc<Desktops>, settings: Settings) -> Self {
        Self { inner: Arc::new(Inner { store, desktops, settings, live: Mutex::default() }) }
    }

    /// Says of those that a dead server left that they are over, and removes films that are too old or too many.
    ///
    /// # Errors
    /// Where the database cannot be read or written.
    pub async fn recover(&self) -> Result<(), Error> {
        for row in self.inner.store.interrupt_recordings(DIED, now()).await? {
            if row.kind == VIDEO {
                // What was written until then can be played.
                let size_bytes = film::mend(&self.path(&row.id)).unwrap_or_else(|error| {
                    // There is none where it died before the first picture.
                    if error.kind() != std::io::ErrorKind::NotFound {
                        tracing::warn!(%error, recording = row.id, "the film of a server that died cannot be looked through");
                    }
                    0
                });
                self.inner.store.update_recording(RecordingRow { size_bytes, ..row }).await?;
            }
        }
        self.keep_to_limits().await
    }

    /// Stops all that go on.
    pub async fn shutdown(&self) {
        let live: Vec<String> = self.live().keys().cloned().collect();
        for id in live {
            if let Err(error) = self.stop(&id).await {
                tracing::warn!(%error, recording = id, "a recording could not be stopped");
            }
        }
    }

    /// Keeps nothing until it goes on.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` where it is over; `VALIDATION_ERROR` for what cannot be a parameter's name.
    pub async fn pause(&self, id: &str, request: PauseRequest) -> Result<Recording, Error> {
        if let Some(name) = &request.parameter
            && !is_name(name)
        {
            let message = "a parameter's name has 1 to 64 letters, digits and underscores, and begins with no digit".to_owned();
            return Err(Error::Invalid("/parameter", message));
        }
        if request.parameter.is_some() && matches!(self.live().get(id), Some(Live::Film(_))) {
            return Err(Error::Invalid("/parameter", "goes with a recording of input: nothing is typed in a film".to_owned()));
        }
        self.say(id, |reply| Word::Pause(request.parameter, reply), Cue::Pause).await
    }

    /// Goes on after a pause.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` where it is over; `SERVICE_UNAVAILABLE` where the display has gone.
    pub async fn resume(&self, id: &str) -> Result<Recording, Error> {
        self.say(id, Word::Resume, Cue::Resume).await
    }

    /// Ends it.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` where it is over.
    pub async fn stop(&self, id: &str) -> Result<Recording, Error> {
        let stopped = self.say(id, Word::Stop, Cue::Stop).await?;
        // Its thread does so too, a moment later.
        self.live().remove(id);
        Ok(stopped)
    }

    async fn say(
        &self,
        id: &str,
        word: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Word,
        cue: impl FnOnce(oneshot::Sender<()>) -> Cue,
    ) -> Result<Recording, Error> {
        let over = || Error::Over(id.to_owned());
        let live = self.live().get(id).cloned();
        match live {
            Some(Live::Input(words)) => {
                let (reply, done) = oneshot::channel();
                words.send(word(reply)).map_err(|_| over())?;
                done.await.map_err(|_| over())??;
            }
            Some(Live::Film(cues)) => {
                let (reply, done) = oneshot::channel();
                cues.send(cue(reply)).map_err(|_| over())?;
                done.await.map_err(|_| over())?;
            }
            None => {
                let known = self.row(id).await?;
                return Err(Error::Over(known.id));
            }
        }
        self.get(id).await
    }

    /// Recordings, newest first; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn list(&self, kind: Option<RecordingKind>, limit: u32, offset: u32) -> Result<(Vec<Recording>, u64), Error> {
        let filter = RecordingFilter { kind: kind.map(kind_word), run_id: None };
        let (rows, count) = self.inner.store.recordings(filter, limit, offset).await?;
        Ok((rows.into_iter().map(recording).collect(), count))
    }

    /// A recording; what was done with its steps.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, id: &str) -> Result<Recording, Error> {
        let row = self.row(id).await?;
        if row.kind == VIDEO {
            let mut film = recording(row);
            if film.finished_at.is_none() {
                film.size_bytes = self.open(id).await.map_or(0, |(_, length)| length);
            }
            return Ok(film);
        }
        let steps = self.steps(id).await?;
        Ok(Recording { steps: Some(steps), ..recording(row) })
    }

    /// The file of a film, an MP4, and how many bytes of it are written: what lies behind them is not whole yet.
    ///
    /// # Errors
    /// `NOT_FOUND`, also where it is gone from the data folder or holds no picture yet; `CONFLICT` for what was done.
    pub async fn video(&self, id: &str) -> Result<(std::fs::File, u64), Error> {
        let row = self.row(id).await?;
        if row.kind != VIDEO {
            return Err(Error::Other { id: row.id, wanted: "the screen" });
        }
        self.open(&row.id).await
    }

    async fn open(&self, id: &str) -> Result<(std::fs::File, u64), Error> {
        let path = self.path(id);
        let opened = tokio::task::spawn_blocking(move || film::open(&path)).await.map_err(|_| Error::Ended)?;
        opened.ok().filter(|(_, whole)| *whole > 0).ok_or_else(|| not_found("video", id))
    }

    /// Removes a recording with its film or its pictures.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` while it goes on.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        let row = self.row(id).await?;
        if self.live().contains_key(&row.id) {
            return Err(Error::GoesOn(row.id));
        }
        self.remove(row).await
    }

    async fn remove(&self, row: RecordingRow) -> Result<(), Error> {
        if row.kind == VIDEO {
            let path = self.path(&row.id);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::file(&path, &error)),
                _ => {}
            }
        }
        self.inner.store.delete_recording(&row.id).await?;
        Ok(())
    }

    /// Removes films that are too old or too many.
    async fn keep_to_limits(&self) -> Result<(), Error> {
        let Settings { max_age, max_total, .. } = self.inner.settings;
        let age = max_age.and_then(|age| i64::try_from(age.as_micros()).ok());
        let before = age.map(|age| now().saturating_sub(age));
        if before.is_none() && max_total.is_none() {
            return Ok(());
        }
        for row in self.inner.store.outdated_films(before, max_total).await? {
            tracing::info!(recording = row.id, "a film past the limits of age or size was removed");
            self.remove(row).await?;
        }
        Ok(())
    }

    /// Where a film lies.
    fn path(&self, id: &str) -> PathBuf {
        // An id of our own, found in the database: it leads nowhere else.
        self.inner.settings.folder.join(format!("{id}.mp4"))
    }

    /// The picture of a step, as JPEG.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn image(&self, id: &str, sha256: &str) -> Result<Vec<u8>, Error> {
        let row = self.row(id).await?;
        let image = self.inner.store.recording_image(&row.id, sha256).await?;
        image.ok_or_else(|| not_found("image", sha256))
    }

    /// What was done, drawn as a workflow; also while it goes on.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` for a film.
    pub async fn workflow(&self, id: &str) -> Result<Graph, Error> {
        let row = self.row(id).await?;
        let Ok(body) = serde_json::from_str::<InputBody>(&row.body) else {
            return Err(Error::Other { id: row.id, wanted: "what was done" });
        };
        let steps = self.steps(id).await?;
        Ok(drawing::draw(&row.id, &row.name, &steps, &body))
    }

    async fn steps(&self, id: &str) -> Result<Vec<RecordedStep>, Error> {
        let rows = self.inner.store.recording_steps(id).await?;
        let step = |row: RecordingStepRow| {
            let mut step: RecordedStep = serde_json::from_str(&row.body).ok()?;
            step.picture = step.picture.zip(row.hash).map(|(picture, sha256)| Picture { sha256, ..picture });
            Some(step)
        };
        Ok(rows.into_iter().filter_map(step).collect())
    }

    async fn row(&self, id: &str) -> Result<RecordingRow, Error> {
        self.inner.store.recording(id).await?.ok_or_else(|| not_found("recording", id))
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(kind: &'static str, id: &str) -> Error {
    Error::NotFound { kind, id: id.chars().take(128).collect() }
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
