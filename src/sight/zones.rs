//! Parts of the screen with names: where they are is worked out anew at each use, as windows and what they show move.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::{Error, Inner, NamedZone, Sight, Zone};
use crate::desktop::Desktop;
use crate::error::{Failure, Kind};
use crate::ocr;
use crate::policy::is_device;
use crate::screen::Region;
use crate::vision::Needle;

/// Zones that can be kept.
const MOST: usize = 10_000;
/// Characters of a name.
const LONGEST_NAME: usize = 64;
/// Bytes of a zone's picture, in base64.
const LARGEST_PICTURE: usize = 1 << 20;

/// Keeps what zones there are.
pub trait Book: Send + Sync {
    /// There is one, in place of the one of its name.
    fn keep(&self, zone: NamedZone) -> BoxFuture<'_, Result<(), Failure>>;
    /// There is one less.
    fn forget(&self, name: String) -> BoxFuture<'_, Result<(), Failure>>;
}

/// All zones, by name.
#[derive(Default)]
pub(super) struct Zones {
    named: RwLock<BTreeMap<String, NamedZone>>,
    /// Held by whoever changes what is in the book, so that it and the memory say the same.
    changing: tokio::sync::Mutex<()>,
    book: Option<Arc<dyn Book>>,
}

impl Zones {
    pub(super) fn kept(book: Arc<dyn Book>, known: Vec<NamedZone>) -> Self {
        let named = known.into_iter().map(|zone| (zone.name.clone(), zone)).collect();
        Self { named: RwLock::new(named), changing: tokio::sync::Mutex::default(), book: Some(book) }
    }

    /// The one of this name.
    pub(super) fn get(&self, name: &str) -> Result<NamedZone, Error> {
        let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
        named.get(name).cloned().ok_or_else(|| Error::NoZone(name.chars().take(LONGEST_NAME).collect()))
    }
}

impl Sight {
    /// All zones, by name.
    pub fn zones(&self) -> Vec<NamedZone> {
        self.inner.zones.named.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The zone of this name.
    ///
    /// # Errors
    /// [`Error::NoZone`].
    pub fn zone(&self, name: &str) -> Result<NamedZone, Error> {
        self.inner.zones.get(name)
    }

    /// Keeps a zone, in place of the one that had its name; says whether it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong with it; where it cannot be put on record. Nothing is changed then.
    pub async fn keep_zone(&self, zone: NamedZone) -> Result<bool, Failure> {
        let zones = &self.inner.zones;
        check(&zone)?;
        self.inner.ocr.time(zone.timeout).map_err(|error| Error::invalid("/timeout", error.to_string()))?;
        // Who looks may want to read next.
        self.inner.ocr.warm();
        let _alone = zones.changing.lock().await;
        let (count, known) = {
            let named = zones.named.read().unwrap_or_else(PoisonError::into_inner);
            (named.len(), named.contains_key(&zone.name))
        };
        if count >= MOST && !known {
            return Err(Failure::new(Kind::Conflict, format!("there are {MOST} zones, and no more may be: delete one")));
        }
        if let Some(book) = &zones.book {
            book.keep(zone.clone()).await?;
        }
        zones.named.write().unwrap_or_else(PoisonError::into_inner).insert(zone.name.clone(), zone);
        Ok(!known)
    }

    /// Forgets a zone.
    ///
    /// # Errors
    /// [`Error::NoZone`]; where that cannot be put on record. It stays then.
    pub async fn delete_zone(&self, name: &str) -> Result<(), Failure> {
        let zones = &self.inner.zones;
        let _alone = zones.changing.lock().await;
        zones.get(name)?;
        if let Some(book) = &zones.book {
            book.forget(name.to_owned()).await?;
        }
        zones.named.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }

    /// Where a part of the screen is now.
    ///
    /// # Errors
    /// For what is not there: a zone, its window, what it stands beside.
    pub async fn where_is(&self, desktop: &Arc<Desktop>, zone: Zone, cancel: &CancellationToken) -> Result<Region, Error> {
        let place = Place::new(&zone, &self.inner.zones)?;
        match self.looking(desktop, cancel, move |inner: &Inner, desktop, patience| place.on(inner, desktop, patience)).await {
            Ok(region) => Ok(region),
            Err(error) => Err(self.explained(desktop, error, cancel).await),
        }
    }
}

/// What is wrong with a zone.
fn check(zone: &NamedZone) -> Result<(), Error> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if zone.name.is_empty() || zone.name.len() > LONGEST_NAME || is_device(&zone.name) || !zone.name.chars().all(is_name) {
        return Err(Error::invalid("/name", format!("a zone's name has 1 to {LONGEST_NAME} letters, digits, _ and -, and is no device's")));
    }
    if zone.description.as_ref().is_some_and(|text| text.chars().count() > 1000) {
        return Err(Error::invalid("/description", "give at most 1000 characters"));
    }
    if let Some(language) = &zone.language {
        ocr::check_language(language)?;
    }
    let part = zone.own_place().part()?;
    if part.is_some_and(|part| part.width == 0 || part.height == 0) {
        return Err(Error::invalid("/width", "a zone has at least one pixel"));
    }
    let anchored = zone.anchor_text.is_some() || zone.anchor_picture.is_some();
    if zone.anchor_text.is_some() && zone.anchor_picture.is_some() {
        return Err(Error::invalid("/anchor_picture", "give a text or a picture to stand beside, not both"));
    }
    if part.is_none() && (anchored || zone.window.is_none() && zone.monitor.is_none()) {
        return Err(Error::invalid("/x", "say where it is: x, y, width and height"));
    }
    if zone.anchor_picture.as_ref().is_some_and(|picture| picture.len() > LARGEST_PICTURE) {
        return Err(Error::invalid("/anchor_picture", format!("the picture is larger than {LARGEST_PICTURE} bytes")));
    }
    anchor(zone).map(drop)?;
    Place::unnamed(&zone.own_place()).map(drop)
}

/// What a zone stands beside.
pub(super) enum Anchor {
    /// A text.
    Text(String, ocr::Pattern),
    /// A picture.
    Picture(Box<Needle>),
}

/// What a zone stands beside, if it does.
pub(super) fn anchor(zone: &NamedZone) -> Result<Option<Anchor>, Error> {
    if let Some(text) = &zone.anchor_text {
        let pattern = ocr::Pattern::text(text, super::text::LIKE, false).map_err(super::text::wrong("/anchor_text"))?;
        return Ok(Some(Anchor::Text(text.clone(), pattern)));
    }
    let Some(picture) = &zone.anchor_picture else { return Ok(None) };
    let needle = Needle::of_url(picture).ok_or_else(|| Error::invalid("/anchor_picture", "write it as data:image/png;base64,…"))?;
    Ok(Some(Anchor::Picture(Box::new(needle?))))
}
