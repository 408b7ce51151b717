//! Waiting until a part of a desktop stands still, or until it changes; the colour of a pixel; and in what two pictures differ.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::error::Missed;
use super::place::Place;
use super::waiting::{self, Ended, Patience};
use super::words::{PictureDifference, StillSearch, Stillness};
use super::{Error, Inner, Sight, described};
use crate::desktop::Desktop;
use crate::error::Kind;
use crate::screen::{Capture, Frame, Region};
use crate::vision;

/// Seconds that are waited where nobody says.
const PATIENCE: f64 = 10.0;
/// Seconds for which nothing may have changed, where nobody says.
const STILL: f64 = 1.0;
/// The longest that can be asked for.
const LONGEST: f64 = 3600.0;

/// What a part of the screen showed when it was last looked at.
struct Seen {
    zone: Region,
    generation: Option<u64>,
    print: u64,
    since: Instant,
    changes: u32,
}

impl Sight {
    /// Waits until a part of a desktop has not changed for a while.
    ///
    /// # Errors
    /// [`Error::Missed`] where it goes on changing; for a place that is not on the screen.
    pub async fn wait_until_still(
        &self,
        desktop: &Arc<Desktop>,
        mut search: StillSearch,
        cancel: &CancellationToken,
    ) -> Result<Stillness, Error> {
        // Who looks may want to read next.
        self.inner.ocr.warm();
        let seconds = *search.seconds.get_or_insert(STILL);
        let still = Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds <= LONGEST);
        let still = still.ok_or_else(|| Error::invalid("/seconds", format!("give 0 to {LONGEST} seconds")))?;
        self.watched(desktop, search, None, cancel, "did not stand still", move |seen| seen.since.elapsed() >= still).await
    }

    /// Waits until a part of a desktop changes; or with a picture of it from before, until it shows something else than that.
    ///
    /// # Errors
    /// [`Error::Missed`] where it does not; for a place that is not on the screen.
    pub async fn wait_for_change(
        &self,
        desktop: &Arc<Desktop>,
        mut search: StillSearch,
        before: Option<Frame>,
        cancel: &CancellationToken,
    ) -> Result<Stillness, Error> {
        // Who looks may want to read next.
        self.inner.ocr.warm();
        if search.seconds.is_some() {
            return Err(Error::invalid("/seconds", "it is for who waits until nothing changes: leave it out"));
        }
        let before = match before {
            None => None,
            Some(frame) => {
                if search.zone() != super::Zone::default() {
                    return Err(Error::invalid("/x", "the picture says where to look: leave out x, y, width, height, monitor and window"));
                }
                let Region { x, y, width, height } = frame.region();
                (search.x, search.y, search.width, search.height) = (Some(x), Some(y), Some(width), Some(height));
                Some(frame.fingerprint())
            }
        };
        self.watched(desktop, search, before, cancel, "did not change", |seen| seen.changes > 0).await
    }

    /// Looks until what is seen is as it is to be.
    async fn watched(
        &self,
        desktop: &Arc<Desktop>,
        search: StillSearch,
        before: Option<u64>,
        cancel: &CancellationToken,
        missed: &str,
        is_it: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    ) -> Result<Stillness, Error> {
        let started = Instant::now();
        let place = Place::new(&search.zone(), &self.inner.zones)?;
        let timeout = search.timeout.unwrap_or(PATIENCE);
        let wait = waiting::time(Some(timeout))?;
        // Nothing is heard of what stands still: who waits for that looks.
        let idle = if search.seconds.is_some() { waiting::PACE } else { waiting::IDLE };
        let last: Mutex<Option<Seen>> = Mutex::new(None);
        let look = move |inner: &Inner, desktop: &Desktop, patience: &Patience| -> Result<(bool, Stillness), Error> {
            let zone = place.on(inner, desktop, patience)?;
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = seen(desktop, zone, last.take(), before)?;
            let told = (is_it(&seen), Stillness { zone, changes: seen.changes, execution_time: started.elapsed().as_secs_f64() });
            *last = Some(seen);
            Ok(told)
        };
        match self.look_until(desktop, wait, idle, cancel, Arc::new(look)).await? {
            Ended::Done(stillness) => Ok(stillness),
            Ended::Late(Stillness { zone, changes, .. }) => {
                let image = self.shown(desktop, zone, cancel).await;
                let message = format!("the zone {} {missed} within {timeout} s; it changed {changes} times", described(zone));
                let details = json!({ "zone": zone, "changes": changes, "image": image });
                Err(Error::Missed(Box::new(Missed { kind: Kind::Timeout, message, details })))
            }
        }
    }

    /// Where a part of a desktop is now, and a number for what it shows: the same as long as it shows the same.
    ///
    /// # Errors
    /// For a place that is not on the screen.
    pub async fn look_at(&self, desktop: &Arc<Desktop>, zone: super::Zone, cancel: &CancellationToken) -> Result<(Region, u64), Error> {
        let place = Place::new(&zone, &self.inner.zones)?;
        let look = move |inner: &Inner, desktop: &Desktop, patience: &Patience| -> Result<(Region, u64), Error> {
            let region = place.on(inner, desktop, patience)?;
            Ok((region, inner.memory.print(desktop, region)?))
        };
        self.looking(desktop, cancel, look).await
    }

    /// Red, green and blue of a pixel of the virtual screen.
    ///
    /// # Errors
    /// For a point that is on no screen.
    pub async fn pixel(&self, desktop: &Arc<Desktop>, x: i32, y: i32, cancel: &CancellationToken) -> Result<[u8; 3], Error> {
        let pixel = Region { x, y, width: 1, height: 1 };
        let look = move |_: &Inner, desktop: &Desktop, _: &Patience| -> Result<[u8; 3], Error> {
            let frame = desktop.screen().capture(&Capture { monitor: None, region: Some(pixel) })?;
            Ok(frame.pixel(0, 0).unwrap_or_default())
        };
        self.looking(desktop, cancel, look).await
    }
}

/// What a part of the screen shows now, beside what it showed before.
fn seen(desktop: &Desktop, zone: Region, last: Option<Seen>, before: Option<u64>) -> Result<Seen, Error> {
    let generation = desktop.generation(zone)?;
    if let Some(last) = last {
        // A window that has moved shows something else where it was.
        let same = last.zone == zone;
        if same && generation.is_some() && last.generation == generation {
            return Ok(last);
        }
        let print = print_of(desktop, zone)?;
        if same && last.print == print {
            return Ok(Seen { generation, ..last });
        }
        return Ok(Seen { zone, generation, print, since: Instant::now(), changes: last.changes + 1 });
    }
    let print = print_of(desktop, zone)?;
    let changes = u32::from(before.is_some_and(|before| before != print));
    Ok(Seen { zone, generation, print, since: Instant::now(), changes })
}

fn print_of(desktop: &Desktop, zone: Region) -> Result<u64, Error> {
    Ok(desktop.screen().capture(&Capture { monitor: None, region: Some(zone) })?.fingerprint())
}

/// In what two pictures differ: a pixel does where red, green or blue is off by more than `tolerance`.
///
/// # Errors
/// For pictures of different sizes.
pub fn difference(first: &Frame, second: &Frame, tolerance: u8) -> Result<PictureDifference, Error> {
    let size = |frame: &Frame| (frame.width(), frame.height());
    let told = vision::difference((first.rows(), size(first)), (second.rows(), size(second)), tolerance)?;
    let region = |part: vision::Rectangle| Region {
        x: i32::try_from(part.x).unwrap_or(i32::MAX),
        y: i32::try_from(part.y).unwrap_or(i32::MAX),
        width: part.width,
        height: part.height,
    };
    let regions = told.regions.into_iter().map(region).collect();
    Ok(PictureDifference { same: told.pixels == 0, pixels: told.pixels, part: told.part, regions })
}
