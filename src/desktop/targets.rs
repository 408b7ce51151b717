//! The desktops of this server: the default one, and those that were asked for by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use serde::Serialize;
use utoipa::ToSchema;

use super::slot::Slot;
use super::{Desktop, Error, Kind, Settings, Streams, TargetSpec};
use crate::error::Failure;

/// The name of the desktop that is meant where none is named.
pub const DEFAULT: &str = "default";

/// Keeps what desktops there are beside the default one.
pub trait Book: Send + Sync {
    /// There is one more.
    fn keep(&self, spec: TargetSpec) -> BoxFuture<'_, Result<(), Failure>>;
    /// There is one less.
    fn forget(&self, name: String) -> BoxFuture<'_, Result<(), Failure>>;
}

/// The desktops of this server. Each is opened at its first use.
pub struct Desktops {
    settings: Settings,
    default: Arc<Slot>,
    named: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// Held by whoever changes what is in the book, so that it and the memory say the same.
    changing: tokio::sync::Mutex<()>,
    book: Option<Arc<dyn Book>>,
    streams: Streams,
}

/// A desktop, as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({ "name": "vm1", "kind": "virtual", "is_default": false, "alive": true, "display": ":101", "address": null, "error": null, "width": 1280, "height": 800, "viewers": 0, "holder": null, "waiting": [] }))]
pub struct TargetInfo {
    /// What it is called.
    pub name: String,
    /// What it is; null for a default one that has not been opened yet.
    pub kind: Option<Kind>,
    /// Whether it is meant where none is named.
    pub is_default: bool,
    /// Whether it is open and answers. One that is not is opened at its next use.
    pub alive: bool,
    /// What a program that is to appear on it needs as `DISPLAY`; null where there is no such thing.
    pub display: Option<String>,
    /// Where another machine's is.
    pub address: Option<String>,
    /// Why it does not answer, where it was open and does not.
    pub error: Option<String>,
    /// Width in pixels of all its monitors together; null where that is not known yet.
    pub width: Option<u32>,
    /// Height in pixels of all its monitors together.
    pub height: Option<u32>,
    /// How many watch it.
    pub viewers: usize,
    /// Who has its mouse and keyboard.
    pub holder: Option<String>,
    /// Who waits for them, the next one first.
    pub waiting: Vec<String>,
}

impl std::fmt::Debug for Desktops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desktops").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Desktops {
    /// The default one alone. Opens nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            default: Arc::new(Slot::default(DEFAULT, settings.clone())),
            settings,
            named: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            book: None,
            streams: Streams::default(),
        }
    }

    /// The same, with those of earlier times, and somebody who keeps what changes. One that the settings do not allow any more is left
    /// out and said.
    #[must_use]
    pub fn kept(mut self, book: Arc<dyn Book>, known: Vec<TargetSpec>) -> Self {
        for spec in known {
            let name = spec.name.clone();
            match spec.checked(&self.settings) {
                Ok(spec) => drop(self.lock().insert(name, Arc::new(Slot::named(spec, &self.settings)))),
                Err(error) => tracing::warn!("the desktop {name} that was asked for earlier is left out: {error}"),
            }
        }
        self.book = Some(book);
        self
    }

    /// The desktop that is meant: by its name, or the default one. Opens it if it is not open, which may take a moment; waits for
    /// another thread that does so already. Blocks.
    ///
    /// # Errors
    /// [`Error::Unknown`]; each other with what to do about it. Nothing is remembered of a failure: the next call tries again.
    pub fn get(&self, target: Option<&str>) -> Result<Arc<Desktop>, Error> {
        self.slot(target)?.get()
    }

    /// The desktop that is meant where none is named.
    ///
    /// # Errors
    /// As [`Desktops::get`].
    pub fn default(&self) -> Result<Arc<Desktop>, Error> {
        self.default.get()
    }

    /// The same for who must not block.
    ///
    /// # Errors
    /// As [`Desktops::get`].
    pub async fn ready(&self) -> Result<Arc<Desktop>, Error> {
        self.reach(None).await
    }

    /// The same as [`Desktops::get`], for who must not block.
    ///
    /// # Errors
    /// As [`Desktops::get`].
    pub async fn reach(&self, target: Option<&str>) -> Result<Arc<Desktop>, Error> {
        let slot = self.slot(target)?;
        if let Some(desktop) = slot.current() {
            return Ok(desktop);
        }
        tokio::task::spawn_blocking(move || slot.get()).await.map_err(|_| Error::Ended("opening the desktop"))?
    }

    /// The default desktop, if it is open now. Opens none, and does not wait for one that is just being opened.
    pub fn current(&self) -> Option<Arc<Desktop>> {
        self.default.current()
    }

    /// All that are open now.
    pub fn all_open(&self) -> Vec<Arc<Desktop>> {
        self.slots().iter().filter_map(|slot| slot.current()).collect()
    }

    /// Whether there is one of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn check(&self, target: Option<&str>) -> Result<(), Error> {
        self.slot(target).map(|_| ())
    }

    /// All desktops as they are now, the default one first. Opens none. Blocks.
    pub fn list(&self) -> Vec<TargetInfo> {
        self.slots().iter().map(|slot| info(slot)).collect()
    }

    /// One of them. Blocks.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn info(&self, name: &str) -> Result<TargetInfo, Error> {
        Ok(info(&*self.slot(Some(name))?))
    }

    /// Keeps a new one. It is opened at its first use, unless it cannot be.
    ///
    /// # Errors
    /// [`Error::Spec`], [`Error::Taken`], [`Error::TooMany`]; where it cannot be put on record. Nothing is kept then.
    pub async fn create(&self, spec: TargetSpec) -> Result<(), Failure> {
        let spec = spec.checked(&self.settings)?;
        let _alone = self.changing.lock().await;
        let (count, taken) = {
            let named = self.lock();
            (named.len(), named.contains_key(&spec.name))
        };
        if taken {
            return Err(Error::Taken(spec.name).into());
        }
        if count >= self.settings.max_targets {
            return Err(Error::TooMany(self.settings.max_targets).into());
        }
        if let Some(book) = &self.book {
            book.keep(spec.clone()).await?;
        }
        self.lock().insert(spec.name.clone(), Arc::new(Slot::named(spec, &self.settings)));
        Ok(())
    }

    /// Ends one, also for those who still hold it, and forgets it.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Stays`] for the default one; where that cannot be put on record. It stays then.
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        let _alone = self.changing.lock().await;
        let slot = self.slot(Some(name))?;
        if slot.spec().is_none() {
            return Err(Error::Stays.into());
        }
        if let Some(book) = &self.book {
            book.forget(name.to_owned()).await?;
        }
        self.lock().remove(name);
        tokio::task::spawn_blocking(move || slot.shut(true)).await.map_err(|_| Error::Ended("closing the desktop"))?;
        Ok(())
    }

    /// How the desktops are shown, and to how many.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Resolves when the display of the default desktop has ended by itself. Costs nothing meanwhile. That another one has ended is
    /// heard by those who use it alone.
    pub async fn crashed(&self) -> Error {
        self.default.crashed().await
    }

    /// Puts away a default desktop whose display has ended; says whether there was one.
    pub fn tidy(&self) -> bool {
        self.default.tidy()
    }

    /// Ends all desktops that are open, virtual ones with everything on them, also for those who still hold them; says whether the
    /// default one was open.
    pub fn shutdown(&self) -> bool {
        // All of them.
        let mut open = false;
        for slot in self.slots() {
            open |= slot.shut(false) && slot.spec().is_none();
        }
        open
    }

    /// The default one first.
    fn slots(&self) -> Vec<Arc<Slot>> {
        std::iter::once(&self.default).chain(self.lock().values()).map(Arc::clone).collect()
    }

    fn slot(&self, target: Option<&str>) -> Result<Arc<Slot>, Error> {
        let Some(name) = target.filter(|name| *name != DEFAULT) else { return Ok(Arc::clone(&self.default)) };
        let named = self.lock();
        named.get(name).map(Arc::clone).ok_or_else(|| Error::Unknown {
            // Whatever somebody sends, an answer of bounded length.
            name: name.chars().take(64).collect(),
            known: std::iter::once(DEFAULT.to_owned()).chain(named.keys().cloned()).collect(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn info(slot: &Slot) -> TargetInfo {
    let open = slot.current();
    let (bounds, error) = match open.as_ref().map(|desktop| desktop.screen().bounds()) {
        Some(Ok(bounds)) => (Some(bounds), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (None, None),
    };
    let size = bounds.map(|bounds| (bounds.width, bounds.height)).or_else(|| slot.spec()?.known_size());
    TargetInfo {
        name: slot.name().to_owned(),
        kind: open.as_ref().map(|desktop| desktop.kind()).or_else(|| slot.spec().map(TargetSpec::becomes)),
        is_default: slot.spec().is_none(),
        alive: bounds.is_some(),
        display: open.as_ref().and_then(|desktop| desktop.display().map(str::to_owned)),
        address: slot.spec().and_then(|spec| spec.address.clone()),
        error,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        viewers: open.as_ref().map_or(0, |desktop| desktop.viewers()),
        holder: slot.turn().holder(),
        waiting: slot.turn().waiting(),
    }
}

impl Drop for Desktops {
    fn drop(&mut self) {
        self.shutdown();
    }
}
