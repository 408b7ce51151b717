//! Looking for a picture on a desktop, once or until it is there; and saying what comes closest instead.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::error::{Missed, Nearest};
use super::memory::Searched;
use super::place::Place;
use super::waiting::{self, Ended, Patience};
use super::words::{FoundPicture, PictureSearch, PictureSought};
use super::{Error, Inner, Sight, described};
use crate::desktop::Desktop;
use crate::error::Kind;
use crate::screen::{Capture, Frame, Region};
use crate::vision::{self, Match, Matches, Needle, Scene};

/// How much a place must be like a picture, where nobody says.
const LIKE: f64 = 0.9;
/// Sizes in which a picture is looked for, at most, and how they may differ from its own.
const MOST_SCALES: usize = 16;
const SCALES: std::ops::RangeInclusive<f64> = 0.1..=10.0;
/// Pixels by which a picture may have moved since it was last seen, to be found at once.
const MOVED: u32 = 8;

/// What a look came to.
struct Look {
    matches: Vec<FoundPicture>,
    nearest: Option<FoundPicture>,
    zone: Region,
    known: bool,
}

impl Sight {
    /// Looks for a picture. With a `timeout` it looks until it is there, or with `gone` until it is not; else once, and whether it is there
    /// stands in the answer. Where it was last seen is looked at first.
    ///
    /// # Errors
    /// [`Error::Missed`] where a time-out is over: what comes closest, as a sentence, details and a picture. For a search that makes no
    /// sense, and a place that is not on the screen.
    pub async fn find_picture(
        &self,
        desktop: &Arc<Desktop>,
        needle: Needle,
        search: PictureSearch,
        cancel: &CancellationToken,
    ) -> Result<PictureSought, Error> {
        let started = Instant::now();
        check(&search)?;
        let place = Place::new(&search.zone(), &self.inner.zones)?;
        let wait = waiting::time(search.timeout)?;
        let (wanted, size) = (search.clone(), needle.size());
        let look = move |inner: &Inner, desktop: &Desktop, patience: &Patience| -> Result<(bool, Option<Look>), Error> {
            let zone = match place.on(inner, desktop, patience) {
                Ok(zone) => zone,
                // With its window it has gone as well.
                Err(error) if wanted.gone && error.may_pass() => return Ok((true, None)),
                Err(error) => return Err(error),
            };
            let look = look(inner, desktop, zone, &needle, &wanted)?;
            Ok((look.wanted(&wanted).is_some() != wanted.gone, Some(look)))
        };
        match self.look_until(desktop, wait, waiting::IDLE, cancel, Arc::new(look)).await? {
            Ended::Done(look) => Ok(look.map(|look| look.sought(&search, started)).unwrap_or_default()),
            Ended::Late(None) => Ok(PictureSought::default()),
            Ended::Late(Some(look)) => Err(self.missed_picture(desktop, look, search, size, cancel).await),
        }
    }

    /// Looks for a picture in another one; places count from that one's corner.
    ///
    /// # Errors
    /// For a search that makes no sense, also one that would wait.
    pub async fn find_picture_in(&self, frame: Frame, needle: Needle, search: PictureSearch) -> Result<PictureSought, Error> {
        let started = Instant::now();
        check(&search)?;
        if search.timeout.is_some() || search.gone {
            return Err(Error::invalid("/timeout", "a picture does not change: leave out timeout and gone"));
        }
        let whole = Region { x: 0, y: 0, width: frame.width(), height: frame.height() };
        let zone = search.zone().part_of_picture()?.unwrap_or(whole);
        let part = frame.crop(zone)?;
        let wanted = search.clone();
        let matches = tokio::task::spawn_blocking(move || found_in(&part, &needle, &wanted)).await.map_err(|_| Error::Ended)?;
        Ok(Look::of(matches, zone, (zone.x, zone.y), false).sought(&search, started))
    }

    /// Why it is not there: what comes closest, and how that looks.
    async fn missed_picture(
        &self,
        desktop: &Arc<Desktop>,
        look: Look,
        search: PictureSearch,
        (width, height): (u32, u32),
        cancel: &CancellationToken,
    ) -> Error {
        let part = look.nearest.or(look.matches.first().copied()).map_or(look.zone, |found| region_of(&found));
        let image = self.shown(desktop, part, cancel).await;
        let seconds = search.timeout.unwrap_or_default();
        // A picture in base64 is no name for it.
        let name = search.picture.as_deref().filter(|name| !name.starts_with("data:")).map(|name| format!(" {name:?}")).unwrap_or_default();
        let mut message = match search.gone {
            true => format!("the picture{name} was still there after {seconds} s, {}", described(part)),
            false => {
                format!("the picture{name} of {width}×{height} did not appear within {seconds} s in the zone {}", described(look.zone))
            }
        };
        match (&look.nearest, look.matches.first()) {
            (Some(nearest), _) => message.push_str(&format!(
                "; what comes closest is at ({}, {}), with a score of {:.2} where {:.2} is asked for",
                nearest.x,
                nearest.y,
                nearest.score,
                search.min_score.unwrap_or(LIKE)
            )),
            (None, Some(first)) if !search.gone => {
                message.push_str(&format!("; there are only {}, the first at ({}, {})", look.matches.len(), first.x, first.y));
            }
            (None, None) if !search.gone => message.push_str("; nothing there is like it"),
            (None, _) => {}
        }
        let details = json!({
            "picture": { "width": width, "height": height },
            "zone": look.zone,
            "nearest": look.nearest,
            "matches": look.matches.iter().take(20).collect::<Vec<_>>(),
            "image": image,
        });
        Error::Missed(Box::new(Missed { kind: Kind::Timeout, message, details }))
    }
}

/// Whether a search makes sense.
fn check(search: &PictureSearch) -> Result<(), Error> {
    if search.min_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        return Err(Error::invalid("/min_score", "give a number from 0 to 1"));
    }
    if search.scales.len() > MOST_SCALES || search.scales.iter().any(|scale| !SCALES.contains(scale)) {
        return Err(Error::invalid("/scales", format!("give at most {MOST_SCALES} sizes, each from 0.1 to 10 times its own")));
    }
    if search.occurrence == Some(0) {
        return Err(Error::invalid("/occurrence", "the first one is 1"));
    }
    Ok(())
}

/// Looks once: where it was last seen, and then in all of the zone.
fn look(inner: &Inner, desktop: &Desktop, zone: Region, needle: &Needle, search: &PictureSearch) -> Result<Look, Error> {
    // Which of several it is shows only among all of them.
    let whole = search.all || search.occurrence.is_some();
    let wanted = Searched {
        desktop: desktop.name().to_owned(),
        zone,
        picture: needle.fingerprint(),
        least: search.min_score.unwrap_or(LIKE).to_bits(),
        scales: search.scales.iter().map(|scale| scale.to_bits()).collect(),
        whole,
    };
    let generation = desktop.generation(zone)?;
    if let Some(known) = inner.memory.known(&wanted, generation) {
        return Ok(Look::of(known, zone, (zone.x, zone.y), true));
    }
    let capture = |region| desktop.screen().capture(&Capture { monitor: None, region: Some(region) });
    let scales = scales(search);
    let last = inner.memory.last_place(&wanted.desktop, wanted.picture);
    if let Some((last, scale)) = last.filter(|(last, scale)| zone.encloses(last) && scales.contains(scale) && !whole) {
        let around = Region {
            x: last.x.saturating_sub_unsigned(MOVED),
            y: last.y.saturating_sub_unsigned(MOVED),
            width: last.width + 2 * MOVED,
            height: last.height + 2 * MOVED,
        };
        let around = around.overlap(zone).unwrap_or(last);
        let frame = capture(around)?;
        let place = (last.x.abs_diff(around.x), last.y.abs_diff(around.y));
        let colour = |x, y| frame.pixel(x, y).unwrap_or_default();
        let scene = Scene { gray: frame.to_gray(), colour: &colour };
        if let Some(found) = vision::find_near(&scene, needle, (place, scale), MOVED, search.min_score.unwrap_or(LIKE)) {
            let matches = Matches { found: vec![found], nearest: None };
            let look = Look::of(matches, zone, (around.x, around.y), false);
            inner.memory.remember_place(&wanted, look.matches.first().map(sized));
            return Ok(look);
        }
    }
    let matches = found_in(&capture(zone)?, needle, search);
    inner.memory.searched(&wanted, generation, matches.clone());
    let look = Look::of(matches, zone, (zone.x, zone.y), false);
    inner.memory.remember_place(&wanted, look.matches.first().map(sized));
    Ok(look)
}

/// Where a picture is in a part of a desktop, or what comes closest to it.
pub(super) fn place_of(inner: &Inner, desktop: &Desktop, part: Region, needle: &Needle) -> Result<Result<Region, Option<Nearest>>, Error> {
    let look = look(inner, desktop, part, needle, &PictureSearch::default())?;
    let nearest = look.nearest.map(|nearest| Nearest { text: None, score: nearest.score, place: region_of(&nearest) });
    Ok(look.matches.first().map(region_of).ok_or(nearest))
}

fn found_in(frame: &Frame, needle: &Needle, search: &PictureSearch) -> Matches {
    let colour = |x, y| frame.pixel(x, y).unwrap_or_default();
    let scene = Scene { gray: frame.to_gray(), colour: &colour };
    vision::find(&scene, needle, search.min_score.unwrap_or(LIKE), scales(search))
}

/// The sizes in which it is looked for.
fn scales(search: &PictureSearch) -> &[f64] {
    if search.scales.is_empty() { &[1.0] } else { &search.scales }
}

fn sized(found: &FoundPicture) -> (Region, f64) {
    (region_of(found), found.scale)
}

impl Look {
    /// Of what was found in a picture whose corner is at a point.
    fn of(matches: Matches, zone: Region, corner: (i32, i32), known: bool) -> Self {
        let placed = |found: &Match| {
            let at = |corner: i32, offset: u32| corner.saturating_add_unsigned(offset);
            let (x, y) = (at(corner.0, found.x), at(corner.1, found.y));
            let Match { width, height, score, scale, .. } = *found;
            FoundPicture { score, scale, x, y, width, height, center_x: at(x, width / 2), center_y: at(y, height / 2) }
        };
        Self { matches: matches.found.iter().map(placed).collect(), nearest: matches.nearest.as_ref().map(placed), zone, known }
    }

    /// The one that is asked for.
    fn wanted(&self, search: &PictureSearch) -> Option<&FoundPicture> {
        let number = usize::try_from(search.occurrence.unwrap_or(1)).unwrap_or(usize::MAX);
        self.matches.get(number.checked_sub(1)?)
    }

    fn sought(self, search: &PictureSearch, started: Instant) -> PictureSought {
        PictureSought {
            found: self.wanted(search).copied(),
            nearest: self.nearest,
            zone: Some(self.zone),
            image: None,
            known: self.known,
            execution_time: started.elapsed().as_secs_f64(),
            matches: self.matches,
        }
    }
}

fn region_of(found: &FoundPicture) -> Region {
    Region { x: found.x, y: found.y, width: found.width, height: found.height }
}
