//! What was read and found where. As long as a part of the screen shows what it did, that is known.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::waiting::Patience;
use super::{Error, read_frame};
use crate::desktop::Desktop;
use crate::ocr::{Hits, Ocr, Pattern, Reading, Text};
use crate::screen::{Capture, Region};
use crate::vision::Matches;

/// Readings that are remembered, of all desktops together; the one unused for longest makes room.
const KEPT: usize = 64;
/// Searches that are remembered, for texts and for pictures, and places at which pictures were seen.
const SEARCHES: usize = 64;
const PLACES: usize = 256;
/// Parts of screens of which is remembered what they showed.
const PRINTS: usize = 256;

/// Where a picture was seen, and in which size.
pub(super) type Seen = (Region, f64);

/// What was looked for in which text, and what was found.
type KnownHits = (Pattern, Weak<Text>, Arc<Hits>);

#[derive(Default)]
pub(super) struct Memory {
    /// The one that was used last stands last.
    readings: Mutex<Vec<Kept>>,
    /// What was looked for, what the desktop's count was then, and what was found.
    searches: Mutex<Vec<(Searched, u64, Matches)>>,
    /// What was looked for in what was read, and what was found.
    hits: Mutex<Vec<KnownHits>>,
    /// What parts of desktops showed, by the desktop's count and by their pixels.
    prints: Mutex<Vec<(String, Region, u64, u64)>>,
    /// Where pictures were last seen and in which size, by desktop and picture.
    places: Mutex<Vec<(String, u64, Seen)>>,
}

/// A search for a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Searched {
    pub(super) desktop: String,
    pub(super) zone: Region,
    /// The picture's fingerprint.
    pub(super) picture: u64,
    /// Numbers by their bits, as they are to be the same.
    pub(super) least: u64,
    pub(super) scales: Vec<u64>,
    pub(super) whole: bool,
}

/// One part of a desktop, read in one way.
#[derive(Clone)]
struct Kept {
    desktop: String,
    region: Region,
    reading: Reading,
    /// What the part showed, by the desktop's own count.
    generation: Option<u64>,
    /// What it showed, by its pixels.
    print: u64,
    text: Arc<Text>,
}

impl Memory {
    /// The text of a part of the screen, and whether it was known.
    pub(super) fn read(
        &self,
        ocr: &Ocr,
        desktop: &Desktop,
        region: Region,
        reading: &Reading,
        patience: &Patience,
    ) -> Result<(Arc<Text>, bool), Error> {
        // However long it may take, it says the same.
        let (timed, reading) = (reading, &Reading { timeout: None, ..reading.clone() });
        // Asked first: what changes between this and the picture counts as changed once more.
        let generation = desktop.generation(region)?;
        let known = self.take(desktop.name(), region, reading);
        if let Some(known) = known.as_ref().filter(|known| generation.is_some() && known.generation == generation) {
            self.keep(known.clone());
            return Ok((Arc::clone(&known.text), true));
        }
        let frame = desktop.screen().capture(&Capture { monitor: None, region: Some(region) })?;
        let print = frame.fingerprint();
        if let Some(known) = known.filter(|known| known.print == print) {
            let text = Arc::clone(&known.text);
            self.keep(Kept { generation, ..known });
            return Ok((text, true));
        }
        let text = Arc::new(read_frame(ocr, &frame, (frame.x(), frame.y()), timed, patience)?);
        let (desktop, reading) = (desktop.name().to_owned(), reading.clone());
        self.keep(Kept { desktop, region, reading, generation, print, text: Arc::clone(&text) });
        Ok((text, false))
    }

    /// Looks for a text in what was read: whoever waits for one on a screen of a thousand words goes through them once.
    pub(super) fn find(&self, pattern: &Pattern, text: &Arc<Text>) -> Arc<Hits> {
        let lock = || self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(sought, of, _): &&KnownHits| std::ptr::eq(of.as_ptr(), Arc::as_ptr(text)) && sought == pattern;
        let known = lock().iter().find(is_it).map(|(_, _, hits)| Arc::clone(hits));
        if let Some(known) = known {
            return known;
        }
        let found = Arc::new(pattern.find(&text.words));
        let mut hits = lock();
        // Of texts that nobody knows any more nothing is asked.
        hits.retain(|(_, of, _)| of.strong_count() > 0);
        hits.push((pattern.clone(), Arc::downgrade(text), Arc::clone(&found)));
        if hits.len() > SEARCHES {
            hits.remove(0);
        }
        found
    }

    /// A number for what a part of a desktop shows. Where nothing has changed no picture is taken for it.
    pub(super) fn print(&self, desktop: &Desktop, region: Region) -> Result<u64, Error> {
        let generation = desktop.generation(region)?;
        let mut prints = self.prints.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(of, part, _, _): &&(String, Region, u64, u64)| of == desktop.name() && *part == region;
        let known = prints.iter().find(is_it).filter(|(_, _, at, _)| Some(*at) == generation).map(|(_, _, _, print)| *print);
        if let Some(print) = known {
            return Ok(print);
        }
        let print = desktop.screen().capture(&Capture { monitor: None, region: Some(region) })?.fingerprint();
        prints.retain(|(of, part, ..)| of != desktop.name() || *part != region);
        prints.extend(generation.map(|generation| (desktop.name().to_owned(), region, generation, print)));
        if prints.len() > PRINTS {
            prints.remove(0);
        }
        Ok(print)
    }

    /// What a search found, where nothing has changed since.
    pub(super) fn known(&self, searched: &Searched, generation: Option<u64>) -> Option<Matches> {
        let searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(known, at, _): &&(Searched, u64, Matches)| known == searched && Some(*at) == generation;
        searches.iter().find(is_it).map(|(_, _, matches)| matches.clone())
    }

    /// Notes what a search found.
    pub(super) fn searched(&self, searched: &Searched, generation: Option<u64>, matches: Matches) {
        let Some(generation) = generation else { return };
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        searches.retain(|(known, ..)| known != searched);
        searches.push((searched.clone(), generation, matches));
        if searches.len() > SEARCHES {
            searches.remove(0);
        }
    }

    /// Where a picture was last seen, and in which size.
    pub(super) fn last_place(&self, desktop: &str, picture: u64) -> Option<Seen> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().find(|(of, known, _)| of == desktop && *known == picture).map(|(_, _, place)| *place)
    }

    /// Notes where a picture was seen; one that was not seen keeps its last place.
    pub(super) fn remember_place(&self, searched: &Searched, place: Option<Seen>) {
        let Some(place) = place else { return };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|(of, known, _)| *of != searched.desktop || *known != searched.picture);
        places.push((searched.desktop.clone(), searched.picture, place));
        if places.len() > PLACES {
            places.remove(0);
        }
    }

    /// Takes out what is known of it, if anything is.
    fn take(&self, desktop: &str, region: Region, reading: &Reading) -> Option<Kept> {
        let mut readings = self.lock();
        let is_it = |kept: &Kept| kept.desktop == desktop && kept.region == region && kept.reading == *reading;
        let place = readings.iter().rposition(is_it)?;
        Some(readings.remove(place))
    }

    fn keep(&self, kept: Kept) {
        let mut readings = self.lock();
        readings.push(kept);
        if readings.len() > KEPT {
            readings.remove(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
