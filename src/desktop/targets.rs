//! The desktops of this server: opened at the first use, and again when one has gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::turn::Turn;
use super::{Desktop, Error, Mode, Settings, Streams};

/// The desktops of this server. Opened at the first use.
pub struct Desktops {
    settings: Settings,
    place: Mutex<Place>,
    /// The desktop that is open, by its display's name and what is cancelled when that has ended.
    opened: watch::Sender<Option<(String, CancellationToken)>>,
    turn: Arc<Turn>,
    streams: Streams,
}

#[derive(Default)]
struct Place {
    desktop: Option<Arc<Desktop>>,
    /// It was the session's: when that has gone, it is waited for, and no virtual one takes its place.
    of_session: bool,
}

impl std::fmt::Debug for Desktops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desktops").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Desktops {
    /// Opens nothing yet.
    pub fn new(settings: Settings) -> Self {
        let turn = Arc::new(Turn::new(settings.control.clone()));
        Self { settings, place: Mutex::default(), opened: watch::channel(None).0, turn, streams: Streams::default() }
    }

    /// The desktop that is meant where none is named. Opens it if it is not open, which for a virtual one takes a moment; waits for
    /// another thread that does so already.
    ///
    /// # Errors
    /// Each with what to do about it. Nothing is remembered of a failure: the next call tries again.
    pub fn default(&self) -> Result<Arc<Desktop>, Error> {
        let mut place = self.lock();
        if let Some(desktop) = place.desktop.as_ref().filter(|desktop| desktop.is_alive()) {
            return Ok(Arc::clone(desktop));
        }
        // Ended before another starts.
        place.desktop = None;
        let desktop = Arc::new(self.open(place.of_session)?);
        place.of_session = desktop.name() == "local";
        place.desktop = Some(Arc::clone(&desktop));
        let display = desktop.display().unwrap_or(desktop.name()).to_owned();
        self.opened.send_replace(Some((display, desktop.gone.clone())));
        Ok(desktop)
    }

    /// The same for who must not block.
    ///
    /// # Errors
    /// As [`Desktops::default`].
    pub async fn ready(self: &Arc<Self>) -> Result<Arc<Desktop>, Error> {
        if let Some(desktop) = self.current() {
            return Ok(desktop);
        }
        let desktops = Arc::clone(self);
        tokio::task::spawn_blocking(move || desktops.default()).await.map_err(|_| Error::Ended("opening the desktop"))?
    }

    /// The desktop that is open now, if one is. Opens none, and does not wait for one that is just being opened.
    pub fn current(&self) -> Option<Arc<Desktop>> {
        let place = match self.place.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        place.desktop.as_ref().filter(|desktop| desktop.is_alive()).map(Arc::clone)
    }

    /// How the desktops are shown, and to how many.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Resolves when the display of the open desktop has ended by itself. Costs nothing meanwhile.
    pub async fn crashed(&self) -> Error {
        let mut opened = self.opened.subscribe();
        loop {
            let now = opened.borrow_and_update().clone();
            let gone = async {
                match now {
                    Some((display, gone)) => {
                        gone.cancelled().await;
                        display
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // First: one that was put away on purpose has not crashed.
                changed = opened.changed() => if changed.is_err() { std::future::pending::<()>().await },
                display = gone => return Error::Gone(display),
            }
        }
    }

    /// Puts away a desktop whose display has ended; says whether there was one.
    pub fn tidy(&self) -> bool {
        let mut place = self.lock();
        let gone = place.desktop.take_if(|desktop| !desktop.is_alive()).is_some();
        if gone {
            self.opened.send_replace(None);
        }
        gone
    }

    /// Ends a virtual desktop and everything on it, also for those who still hold it; says whether one was open.
    pub fn shutdown(&self) -> bool {
        let mut place = self.lock();
        let desktop = std::mem::take(&mut *place).desktop;
        self.opened.send_replace(None);
        drop(place);
        let open = desktop.is_some();
        if let Some(desktop) = desktop {
            // Not a crash, although its display ends.
            desktop.retire();
        }
        open
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, of_session: bool) -> Result<Desktop, Error> {
        let turn = &self.turn;
        match self.settings.mode {
            Mode::None => Err(Error::Off),
            Mode::Local => Desktop::local(turn),
            Mode::Virtual => Desktop::virtual_of(&self.settings, turn),
            Mode::Auto if cfg!(not(target_os = "linux")) || of_session => Desktop::local(turn),
            Mode::Auto => {
                if let Some(name) = session_display() {
                    match Desktop::local(turn) {
                        Ok(desktop) => return Ok(desktop),
                        Err(error) => tracing::warn!("DISPLAY is {name}, but: {error}; a virtual desktop takes its place"),
                    }
                }
                Desktop::virtual_of(&self.settings, turn)
            }
        }
    }
}

impl Drop for Desktops {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The display of the session, if there is one.
pub(super) fn session_display() -> Option<String> {
    std::env::var("DISPLAY").ok().filter(|name| !name.is_empty())
}
