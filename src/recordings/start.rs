//! How a recording begins.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::camera::{self, Camera, Cue};
use super::gestures::Gestures;
use super::listener::{Recorder, Word};
use super::row::new_row;
use super::scene::Eyes;
use super::{Error, InputBody, Live, Recording, RecordingKind, RecordingRequest, Recordings, VideoBody};
use crate::policy::Grant;

/// Seconds of the longest pause that is kept, where nobody says otherwise.
const LONGEST_PAUSE: f64 = 3.0;
/// Films that may be made at a time.
const FILMS: usize = 4;

impl Recordings {
    /// Begins to record, until somebody stops it or `session` is over.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`; `VALIDATION_ERROR`; `CONFLICT` where what is done is being recorded already; `SERVICE_UNAVAILABLE` where the
    /// display has no way to listen; `STORAGE_FULL` where there is no room for a film.
    pub async fn start(&self, grant: &Grant, session: CancellationToken, request: RecordingRequest) -> Result<Recording, Error> {
        grant.screen()?;
        let of_film = [
            ("/monitor", request.monitor.is_some()),
            ("/fps", request.fps.is_some()),
            ("/quality", request.quality.is_some()),
            ("/max_seconds", request.max_seconds.is_some()),
        ];
        let id = uuid::Uuid::now_v7().to_string();
        match request.kind {
            RecordingKind::Input => {
                grant.input()?;
                if let Some((path, _)) = of_film.into_iter().find(|(_, given)| *given) {
                    return Err(Error::Invalid(path, "goes with the kind `video`".to_owned()));
                }
                self.listen(&id, session, request).await?;
            }
            RecordingKind::Video if request.longest_pause.is_some() => {
                return Err(Error::Invalid("/longest_pause", "goes with the kind `input`".to_owned()));
            }
            RecordingKind::Video => self.film(&id, session, request).await?,
        }
        self.get(&id).await
    }

    /// Begins a film of a run that is about to start, at the desktop that it means. Gives its id.
    ///
    /// # Errors
    /// As [`Recordings::start`].
    pub async fn begin_film(&self, grant: &Grant, session: CancellationToken, target: Option<String>) -> Result<String, Error> {
        grant.screen()?;
        let id = uuid::Uuid::now_v7().to_string();
        self.film(&id, session, RecordingRequest::film("Run".to_owned(), target)).await?;
        Ok(id)
    }

    /// Says which run that film is of. It stops when `over` resolves.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn film_of_run(&self, id: &str, run_id: &str, over: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        self.inner.store.set_recorded_run(id, run_id, &format!("Run {run_id}")).await?;
        let (this, own) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            over.await;
            match this.stop(&own).await {
                // Somebody else has stopped it, or it came to its limit.
                Ok(_) | Err(Error::Over(_) | Error::NotFound { .. }) => {}
                Err(error) => tracing::warn!(%error, recording = own, "the film of a run could not be stopped"),
            }
        });
        Ok(())
    }

    /// Stops a film and removes it: its run did not start.
    ///
    /// # Errors
    /// As [`Recordings::delete`].
    pub async fn discard(&self, id: &str) -> Result<(), Error> {
        self.stop(id).await?;
        self.delete(id).await
    }

    async fn listen(&self, id: &str, session: CancellationToken, request: RecordingRequest) -> Result<(), Error> {
        let longest_pause = request.longest_pause.unwrap_or(LONGEST_PAUSE);
        if !(0.0..=60.0).contains(&longest_pause) {
            return Err(Error::Invalid("/longest_pause", "give seconds from 0 to 60".to_owned()));
        }
        let (words, heard) = mpsc::channel();
        {
            // One at a time: two would hear the same.
            let mut live = self.live();
            if let Some((other, _)) = live.iter().find(|(_, live)| matches!(live, Live::Input(_))) {
                return Err(Error::Busy(other.clone()));
            }
            live.insert(id.to_owned(), Live::Input(words.clone()));
        }
        let begun = self.begin_listening(id, longest_pause, request, session, words, heard).await;
        begun.inspect_err(|_| drop(self.live().remove(id)))
    }

    async fn begin_listening(
        &self,
        id: &str,
        longest_pause: f64,
        request: RecordingRequest,
        session: CancellationToken,
        words: Sender<Word>,
        heard: mpsc::Receiver<Word>,
    ) -> Result<(), Error> {
        let desktop = self.inner.desktops.reach(request.target.as_deref()).await?;
        let eyes = Eyes::open(Arc::clone(&desktop)).await?;
        let mut recorder = Recorder {
            id: id.to_owned(),
            store: self.inner.store.clone(),
            desktop,
            eyes,
            session,
            runtime: Handle::current(),
            started: SystemTime::now(),
            words,
            gestures: Gestures::new(),
            listening: None,
            times: 0,
            steps: 0,
            secret: None,
        };
        let body = serde_json::to_string(&InputBody { longest_pause, target: request.target }).map_err(|_| Error::Ended)?;
        let listening = tokio::task::spawn_blocking(move || recorder.listen().map(|()| recorder));
        let recorder = listening.await.map_err(|_| Error::Ended)??;
        self.inner.store.create_recording(new_row(id, RecordingKind::Input, request.name, body)).await?;
        self.spawn(id, move || recorder.run(&heard)).await
    }

    async fn film(&self, id: &str, session: CancellationToken, request: RecordingRequest) -> Result<(), Error> {
        let within = |path, value: u64, most: u64| {
            let fits = (1..=most).contains(&value);
            if fits { Ok(value) } else { Err(Error::Invalid(path, format!("give a whole number from 1 to {most}"))) }
        };
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let body = VideoBody {
            target: request.target,
            monitor: request.monitor.unwrap_or(0),
            fps: small(within("/fps", request.fps.unwrap_or(10).into(), 30)?),
            quality: small(within("/quality", request.quality.unwrap_or(70).into(), 100)?),
            max_seconds: within("/max_seconds", request.max_seconds.unwrap_or(3_600), 86_400)?,
            width: 0,
            height: 0,
            frames: 0,
            duration: None,
        };
        let (cues, said) = unbounded_channel();
        {
            let mut live = self.live();
            let films = live.values().filter(|live| matches!(live, Live::Film(_))).count();
            if films >= FILMS {
                return Err(Error::TooMany(films));
            }
            live.insert(id.to_owned(), Live::Film(cues));
        }
        let begun = self.begin_filming(id, body, request.name, session, said).await;
        begun.inspect_err(|_| drop(self.live().remove(id)))
    }

    async fn begin_filming(
        &self,
        id: &str,
        body: VideoBody,
        name: Option<String>,
        session: CancellationToken,
        said: UnboundedReceiver<Cue>,
    ) -> Result<(), Error> {
        let path = self.path(id);
        std::fs::create_dir_all(&self.inner.settings.folder).map_err(|error| Error::file(&path, &error))?;
        if camera::room(&path) < camera::ROOM {
            return Err(Error::file(&path, &std::io::Error::other("the disk is nearly full")));
        }
        let desktop = self.inner.desktops.reach(body.target.as_deref()).await?;
        let count = desktop.screen().monitors()?.len();
        if body.monitor >= count {
            return Err(crate::screen::Error::NoMonitor { asked: body.monitor, count }.into());
        }
        let kept = serde_json::to_string(&body).map_err(|_| Error::Ended)?;
        let camera = Camera {
            id: id.to_owned(),
            store: self.inner.store.clone(),
            viewer: desktop.watch(body.monitor, body.fps)?,
            path,
            body,
            most: self.inner.settings.max_bytes,
            session,
            runtime: Handle::current(),
        };
        self.inner.store.create_recording(new_row(id, RecordingKind::Video, name, kept)).await?;
        self.spawn(id, move || camera.run(said)).await
    }

    /// Does the work of a recording on a thread of its own.
    async fn spawn(&self, id: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let (this, own, runtime) = (self.clone(), id.to_owned(), Handle::current());
        let thread = std::thread::Builder::new().name("recording".to_owned()).spawn(move || {
            work();
            this.live().remove(&own);
            if let Err(error) = runtime.block_on(this.keep_to_limits()) {
                tracing::warn!(%error, "old films could not be removed");
            }
        });
        if thread.is_err() {
            self.inner.store.delete_recording(id).await?;
            return Err(Error::Ended);
        }
        Ok(())
    }
}
