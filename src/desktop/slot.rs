//! The place of one desktop: opened at its first use, and again when it has gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::spec::{Own, Plan};
use super::turn::Turn;
use super::{Desktop, Error, Kind, Mode, Settings, TargetSpec, control};

/// One desktop's place. Its turn outlives what is open in it.
pub(super) struct Slot {
    name: String,
    what: What,
    place: Mutex<Place>,
    /// The desktop that is open, by its display's name and what is cancelled when that has ended.
    opened: watch::Sender<Option<(String, CancellationToken)>>,
    turn: Arc<Turn>,
}

/// What is opened in it.
enum What {
    /// What the settings say.
    Default(Settings),
    /// What somebody asked for.
    Named(TargetSpec, (u32, u32)),
}

#[derive(Default)]
struct Place {
    desktop: Option<Arc<Desktop>>,
    /// It was the session's: when that has gone, it is waited for, and no virtual one takes its place.
    of_session: bool,
    /// Nothing is opened in it any more.
    closed: bool,
}

impl Slot {
    pub(super) fn default(name: &str, settings: Settings) -> Self {
        let control = settings.control.clone();
        Self::of(name, What::Default(settings), control)
    }

    /// One that was asked for, as far as the settings allow.
    pub(super) fn named(spec: TargetSpec, settings: &Settings) -> Self {
        Self::of(&spec.name.clone(), What::Named(spec, settings.max_size), settings.control.clone())
    }

    fn of(name: &str, what: What, control: control::Settings) -> Self {
        let turn = Arc::new(Turn::new(control));
        Self { name: name.to_owned(), what, place: Mutex::default(), opened: watch::channel(None).0, turn }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// As it was asked for, where somebody did.
    pub(super) fn spec(&self) -> Option<&TargetSpec> {
        match &self.what {
            What::Named(spec, _) => Some(spec),
            What::Default(_) => None,
        }
    }

    pub(super) fn turn(&self) -> &Arc<Turn> {
        &self.turn
    }

    /// The desktop. Opens it if it is not open; waits for another thread that does so already.
    pub(super) fn get(&self) -> Result<Arc<Desktop>, Error> {
        let mut place = self.lock();
        if let Some(desktop) = place.desktop.as_ref().filter(|desktop| desktop.is_alive()) {
            return Ok(Arc::clone(desktop));
        }
        if place.closed {
            return Err(Error::Deleted(self.name.clone()));
        }
        // Ended before another starts.
        place.desktop = None;
        let desktop = Arc::new(self.open(place.of_session)?);
        place.of_session = desktop.kind() == Kind::Local;
        place.desktop = Some(Arc::clone(&desktop));
        let display = desktop.display().unwrap_or(desktop.kind().as_str()).to_owned();
        self.opened.send_replace(Some((display, desktop.gone.clone())));
        Ok(desktop)
    }

    /// The desktop that is open now, if one is. Opens none, and does not wait for one that is just being opened.
    pub(super) fn current(&self) -> Option<Arc<Desktop>> {
        let place = match self.place.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        place.desktop.as_ref().filter(|desktop| desktop.is_alive()).map(Arc::clone)
    }

    /// Resolves when the display of the open desktop has ended by itself. Costs nothing meanwhile.
    pub(super) async fn crashed(&self) -> Error {
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
    pub(super) fn tidy(&self) -> bool {
        let mut place = self.lock();
        let gone = place.desktop.take_if(|desktop| !desktop.is_alive()).is_some();
        if gone {
            self.opened.send_replace(None);
        }
        gone
    }

    /// Ends the desktop, also for those who still hold it; says whether one was open. The next use opens another, unless it is for good.
    pub(super) fn shut(&self, for_good: bool) -> bool {
        let mut place = self.lock();
        let desktop = std::mem::take(&mut *place).desktop;
        place.closed = for_good;
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
        let (name, turn) = (self.name.as_str(), &self.turn);
        let settings = match &self.what {
            What::Named(spec, max_size) => {
                return match spec.plan(*max_size)? {
                    Plan::Virtual(own) => Desktop::virtual_of(name, &own, turn),
                    Plan::Vnc(settings) => Desktop::vnc_of(name, settings, turn),
                };
            }
            What::Default(settings) => settings,
        };
        let own = Own::of(settings);
        match settings.mode {
            Mode::None => Err(Error::Off),
            Mode::Local => Desktop::local(name, turn),
            Mode::Virtual => Desktop::virtual_of(name, &own, turn),
            Mode::Auto if cfg!(not(target_os = "linux")) || of_session => Desktop::local(name, turn),
            Mode::Auto => {
                if let Some(session) = session_display() {
                    match Desktop::local(name, turn) {
                        Ok(desktop) => return Ok(desktop),
                        Err(error) => tracing::warn!("DISPLAY is {session}, but: {error}; a virtual desktop takes its place"),
                    }
                }
                Desktop::virtual_of(name, &own, turn)
            }
        }
    }
}

/// The display of the session, if there is one.
pub(super) fn session_display() -> Option<String> {
    std::env::var("DISPLAY").ok().filter(|name| !name.is_empty())
}
