//! Which part of a desktop is looked at.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::zones::{Anchor, Zones, anchor};
use super::{Error, Inner, WindowChoice, Zone, picture};
use crate::desktop::Desktop;
use crate::ocr::{Preprocess, Reading};
use crate::screen::{Capture, Region};
use crate::windows::{Filter, Window};

/// Titles that an error shows at most.
const TITLES: usize = 20;

/// A part of a desktop: of the virtual screen, of a monitor, of a window, or of a zone that has a name.
#[derive(Clone)]
pub(super) struct Place {
    of: Of,
    part: Option<Region>,
}

#[derive(Clone)]
enum Of {
    Screen,
    Monitor(usize),
    Window(WindowChoice),
    Zone(Arc<Named>),
}

/// A zone that has a name, understood.
struct Named {
    name: String,
    /// What its anchor is looked for in, or what it is a part of.
    base: Place,
    part: Option<Region>,
    anchor: Option<Anchor>,
    /// How it is read.
    reading: Reading,
}

impl Place {
    /// What a zone means.
    pub(super) fn new(zone: &Zone, zones: &Zones) -> Result<Self, Error> {
        let Some(name) = &zone.zone else { return Self::unnamed(zone) };
        if zone.monitor.is_some() || zone.window.is_some() {
            return Err(Error::invalid("/zone", "a zone says itself where it is: leave out monitor and window"));
        }
        let known = zones.get(name)?;
        let own = known.own_place();
        let named = Named {
            name: name.clone(),
            base: Self { part: None, ..Self::unnamed(&own)? },
            part: own.part()?,
            anchor: anchor(&known)?,
            reading: Reading {
                language: known.language,
                page_segmentation: known.page_segmentation,
                whitelist: known.whitelist,
                preprocess: known.preprocess,
                engine: known.engine,
                confidence_threshold: None,
            },
        };
        Ok(Self { of: Of::Zone(Arc::new(named)), part: zone.part()? })
    }

    /// The same for one that names no other.
    pub(super) fn unnamed(zone: &Zone) -> Result<Self, Error> {
        let of = match (zone.monitor, &zone.window) {
            (Some(_), Some(_)) => return Err(Error::invalid("/window", "give a monitor or a window, not both")),
            (Some(monitor), None) => Of::Monitor(monitor),
            (None, Some(window)) => Of::Window(window.clone()),
            (None, None) => Of::Screen,
        };
        Ok(Self { of, part: zone.part()? })
    }

    /// How what is there is read: as was asked for, and else as its zone says.
    pub(super) fn reading(&self, asked: Reading) -> Reading {
        let Of::Zone(named) = &self.of else { return asked };
        let own = &named.reading;
        Reading {
            language: asked.language.or_else(|| own.language.clone()),
            page_segmentation: asked.page_segmentation.or(own.page_segmentation),
            whitelist: asked.whitelist.or_else(|| own.whitelist.clone()),
            preprocess: if asked.preprocess == Preprocess::default() { own.preprocess.clone() } else { asked.preprocess },
            engine: asked.engine.or(own.engine),
            confidence_threshold: asked.confidence_threshold,
        }
    }

    /// Where that is on the virtual screen now.
    pub(super) fn on(&self, inner: &Inner, desktop: &Desktop, cancel: &CancellationToken) -> Result<Region, Error> {
        let whole = match &self.of {
            Of::Screen => return Ok(desktop.screen().region(&Capture { monitor: None, region: self.part })?),
            Of::Monitor(monitor) => return Ok(desktop.screen().region(&Capture { monitor: Some(*monitor), region: self.part })?),
            Of::Window(choice) => {
                let window = window(desktop, choice)?;
                let whole = Region { x: window.x, y: window.y, width: window.width, height: window.height };
                let unseen = || Error::Unseen { id: window.id, title: window.title.clone() };
                return part_of(desktop, whole, self.part, true)?.filter(|_| window.is_visible).ok_or_else(unseen);
            }
            Of::Zone(named) => named.on(inner, desktop, cancel)?,
        };
        part_of(desktop, whole, self.part, true)?.ok_or(Error::Outside(whole))
    }
}

impl Named {
    fn on(&self, inner: &Inner, desktop: &Desktop, cancel: &CancellationToken) -> Result<Region, Error> {
        let base = self.base.on(inner, desktop, cancel)?;
        let beside = match &self.anchor {
            None => base,
            Some(Anchor::Text(text, pattern)) => {
                let (read, _) = inner.memory.read(&inner.ocr, desktop, base, &self.reading_of_anchor(), cancel)?;
                let found = pattern.find(&read.words).found.into_iter().next();
                let hit = found.ok_or_else(|| Error::NoAnchor { zone: self.name.clone(), anchor: format!("the text {text:?}") })?;
                Region { x: hit.x, y: hit.y, width: hit.width, height: hit.height }
            }
            Some(Anchor::Picture(needle)) => {
                let found = picture::place_of(inner, desktop, base, needle)?;
                found.ok_or_else(|| Error::NoAnchor { zone: self.name.clone(), anchor: "its picture".to_owned() })?
            }
        };
        // Beside its anchor it may be anywhere on the screen.
        part_of(desktop, beside, self.part, self.anchor.is_none())?.ok_or(Error::Outside(beside))
    }

    /// What is read to find the text beside which it stands is more than the zone.
    fn reading_of_anchor(&self) -> Reading {
        let Reading { language, preprocess, engine, .. } = self.reading.clone();
        Reading { language, preprocess, engine, ..Reading::default() }
    }
}

/// A part that counts from the corner of another, as far as it is on the screen, and `inside` of that one. None where nothing of it is.
fn part_of(desktop: &Desktop, whole: Region, part: Option<Region>, inside: bool) -> Result<Option<Region>, Error> {
    let wanted = match part {
        None => whole,
        Some(part) if part.width == 0 || part.height == 0 => return Err(crate::screen::Error::EmptyRegion.into()),
        Some(part) => Region { x: whole.x.saturating_add(part.x), y: whole.y.saturating_add(part.y), ..part },
    };
    let kept = if inside { wanted.overlap(whole) } else { Some(wanted) };
    let bounds = desktop.screen().bounds()?;
    Ok(kept.and_then(|kept| kept.overlap(bounds)))
}

impl Zone {
    /// The part that is meant, of whatever it is a part of.
    ///
    /// # Errors
    /// [`Error::Invalid`] where only some of its four numbers are given.
    pub fn part(&self) -> Result<Option<Region>, Error> {
        match (self.x, self.y, self.width, self.height) {
            (None, None, None, None) => Ok(None),
            (Some(x), Some(y), Some(width), Some(height)) => Ok(Some(Region { x, y, width, height })),
            _ => Err(Error::invalid("/x", "a part needs x, y, width and height together")),
        }
    }
}

/// The window that is meant: the top-most of those that fit.
fn window(desktop: &Desktop, choice: &WindowChoice) -> Result<Window, Error> {
    let filter = match choice {
        WindowChoice::Id(id) => return Ok(desktop.windows().get(*id)?),
        WindowChoice::Title(title) => Filter { title: Some(title.clone()), ..Filter::default() },
        WindowChoice::Fits(filter) => filter.clone(),
    };
    let found = desktop.windows().list(&filter)?.into_iter().next();
    found.ok_or_else(|| {
        let there = desktop.windows().list(&Filter::default()).unwrap_or_default();
        let titles = there.into_iter().map(|window| window.title).take(TITLES).collect();
        Error::NoWindow { wanted: serde_json::to_string(&filter).unwrap_or_default(), titles }
    })
}
