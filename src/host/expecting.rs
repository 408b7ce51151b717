//! Whether what is expected of a step is so once it has done its work: met, unmet, or unknown where it cannot be seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::broker::{Broker, blocking, json as answer};
use super::protocol::{Before, Expectation, ImageRef, Json, Met, PixelColour, Verdict};
use crate::desktop::Desktop;
use crate::error::{Classify, Failure, Kind};
use crate::files;
use crate::policy::Access;
use crate::screen::{Capture, Region};
use crate::sight::{self, LONGEST_WAIT, PictureSearch, StillSearch, TextSearch, WindowChoice, Zone};
use crate::windows::Filter;

/// Seconds in which it becomes so, where nobody says.
const WITHIN: f64 = 5.0;
/// Between two looks.
const PACE: Duration = Duration::from_millis(100);

/// What an expectation comes to, before it is known whether that fails the step.
enum Told {
    Met(String),
    Unmet(String, serde_json::Value),
}

impl Broker {
    /// Takes the picture with which the screen is compared afterwards.
    ///
    /// An expectation that makes no sense, and one that the run may not look at, is an error.
    pub(super) async fn before(&self, expectation: Expectation) -> Result<Json, Failure> {
        let before = match self.seen_before(&expectation).await {
            Ok(before) => before,
            Err(failure) if is_refused(&failure) => return Err(failure),
            Err(failure) => Before::Unseen(failure.message),
        };
        answer(&before)
    }

    async fn seen_before(&self, expectation: &Expectation) -> Result<Before, Failure> {
        self.grant().screen()?;
        self.check_zone(expectation)?;
        let desktop = self.desktop_named(None).await?;
        let region = match self.capabilities.sight.where_is(&desktop, expectation.zone(), self.cancel()).await {
            Ok(region) => region,
            Err(error) if error.may_pass() => return Ok(Before::Nothing),
            Err(error) => return Err(error.into()),
        };
        let capture = Capture { monitor: None, region: Some(region) };
        let frame = blocking(move || Ok::<_, Failure>(desktop.screen().capture(&capture)?)).await?;
        let kept: ImageRef = serde_json::from_str(self.keep(frame)?.get()).map_err(|error| invalid(error.to_string()))?;
        Ok(Before::Picture(kept.image))
    }

    /// A zone that does not exist is a mistake, and not something that could not be seen.
    fn check_zone(&self, expectation: &Expectation) -> Result<(), Failure> {
        let Some(name) = &expectation.zone else { return Ok(()) };
        self.capabilities.sight.zone(name).map(drop).map_err(|error| invalid(error.to_string()))
    }

    /// Looks until what is expected is so, or its time is over.
    ///
    /// An expectation that makes no sense, and one that the run may not look at, is an error; one that cannot be looked at is unknown.
    pub(super) async fn expect(&self, expectation: Expectation, before: Option<Before>) -> Result<Json, Failure> {
        let within = expectation.within.unwrap_or(WITHIN);
        let limit = Duration::try_from_secs_f64(within).ok().filter(|_| within <= LONGEST_WAIT);
        let limit = limit.ok_or_else(|| invalid(format!("within is {within}: give 0 to {LONGEST_WAIT} seconds")))?;
        let told = self.meets(&expectation, before, within, limit).await;
        let verdict = match told {
            Ok(Told::Met(message)) => Verdict { result: Met::Met, message, details: None },
            Ok(Told::Unmet(message, details)) => Verdict { result: Met::Unmet, message, details: Some(details) },
            Err(failure) if is_refused(&failure) => return Err(failure),
            Err(failure) => Verdict { result: Met::Unknown, message: failure.message, details: failure.details },
        };
        answer(&verdict)
    }

    async fn meets(&self, expectation: &Expectation, before: Option<Before>, within: f64, limit: Duration) -> Result<Told, Failure> {
        let Expectation { text, regex, image, pixel, window, file, change, gone, min_score, .. } = expectation;
        if let Some(path) = file {
            return self.file_is(path, *gone, within, limit).await;
        }
        self.grant().screen()?;
        self.check_zone(expectation)?;
        let desktop = self.desktop_named(None).await?;
        let (sight, cancel) = (&self.capabilities.sight, self.cancel());
        let Zone { x, y, width, height, monitor, window: within_window, zone } = expectation.zone();
        if let Some(wanted) = pixel {
            return self.pixel_is(&desktop, wanted, *gone, within, limit).await;
        }
        if let Some(title) = window {
            return self.window_is(&desktop, title, *gone, within, limit).await;
        }
        if *change {
            let unseen =
                |why: &str| Failure::new(Kind::ServiceUnavailable, format!("what was there before the step could not be seen: {why}"));
            let before = match before {
                Some(Before::Picture(image)) => self.image(image)?,
                Some(Before::Nothing) => return self.is_there(&desktop, expectation.zone(), within, limit).await,
                Some(Before::Unseen(why)) => return Err(unseen(&why)),
                None => return Err(unseen("nobody looked")),
            };
            // The picture says where to look.
            let search = StillSearch { timeout: Some(within), ..StillSearch::default() };
            let seen = sight.wait_for_change(&desktop, search, Some(before), cancel).await;
            return told(seen.map(|seen| format!("the screen changed after {:.1} s", seen.execution_time)));
        }
        if let Some(image) = image {
            let needle = self.needle(None, Some(image)).await?;
            let search = PictureSearch {
                picture: Some(image.clone()),
                min_score: *min_score,
                scales: expectation.scales.clone(),
                occurrence: expectation.occurrence,
                timeout: Some(within),
                gone: *gone,
                x,
                y,
                width,
                height,
                monitor,
                window: within_window,
                zone,
                ..PictureSearch::default()
            };
            let seen = sight.find_picture(&desktop, needle, search, cancel).await;
            return told(seen.map(|seen| match seen.found {
                Some(found) => format!("the picture {image:?} is at ({}, {})", found.x, found.y),
                None => format!("the picture {image:?} is not there"),
            }));
        }
        let search = TextSearch {
            text: text.clone(),
            regex: regex.clone(),
            min_score: *min_score,
            match_case: expectation.match_case,
            occurrence: expectation.occurrence,
            near: expectation.near.clone(),
            right_of: expectation.right_of.clone(),
            left_of: expectation.left_of.clone(),
            above: expectation.above.clone(),
            below: expectation.below.clone(),
            language: expectation.language.clone(),
            engine: expectation.engine,
            timeout: Some(within),
            gone: *gone,
            x,
            y,
            width,
            height,
            monitor,
            window: within_window,
            zone,
            ..TextSearch::default()
        };
        let seen = sight.find_text(&desktop, search, cancel).await;
        told(seen.map(|seen| match seen.found {
            Some(found) => format!("the text {:?} is at ({}, {})", found.text, found.x, found.y),
            None => "the text is not there".to_owned(),
        }))
    }

    /// Whether a part of the screen is there that was not.
    async fn is_there(&self, desktop: &Arc<Desktop>, zone: Zone, within: f64, limit: Duration) -> Result<Told, Failure> {
        let started = Instant::now();
        loop {
            match self.capabilities.sight.where_is(desktop, zone.clone(), self.cancel()).await {
                Ok(_) => return Ok(Told::Met("what is to change was not there before, and is there now".to_owned())),
                Err(error) if error.may_pass() && started.elapsed() >= limit => {
                    let message = format!("what is to change was not there before, and is not after {within} s: {error}");
                    return Ok(Told::Unmet(message, error.details().unwrap_or_default()));
                }
                Err(error) if error.may_pass() => self.rest(limit.saturating_sub(started.elapsed())).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn pixel_is(
        &self,
        desktop: &Arc<Desktop>,
        wanted: &PixelColour,
        gone: bool,
        within: f64,
        limit: Duration,
    ) -> Result<Told, Failure> {
        let colour = parsed(&wanted.colour)?;
        let started = Instant::now();
        loop {
            let seen = self.capabilities.sight.pixel(desktop, wanted.x, wanted.y, self.cancel()).await?;
            let is_it = seen.iter().zip(colour).all(|(seen, wanted_shade)| seen.abs_diff(wanted_shade) <= wanted.tolerance);
            let [red, green, blue] = seen;
            let shown = format!("#{red:02x}{green:02x}{blue:02x}");
            if is_it != gone {
                return Ok(Told::Met(format!("the pixel at ({}, {}) is {shown}", wanted.x, wanted.y)));
            }
            if started.elapsed() >= limit {
                let not = if gone { "something else than " } else { "" };
                let message =
                    format!("the pixel at ({}, {}) is {shown} after {within} s, and was to be {not}{}", wanted.x, wanted.y, wanted.colour);
                let zone = Region { x: wanted.x, y: wanted.y, width: 1, height: 1 };
                let image = self.capabilities.sight.shown(desktop, zone, self.cancel()).await;
                let pixel = json!({ "x": wanted.x, "y": wanted.y, "colour": shown });
                return Ok(Told::Unmet(message, json!({ "pixel": pixel, "zone": zone, "image": image })));
            }
            self.rest(limit.saturating_sub(started.elapsed())).await?;
        }
    }

    async fn window_is(&self, desktop: &Arc<Desktop>, title: &str, gone: bool, within: f64, limit: Duration) -> Result<Told, Failure> {
        let started = Instant::now();
        loop {
            let there = Arc::clone(desktop);
            let titles = blocking(move || Ok::<_, Failure>(there.windows().list(&Filter::default())?)).await?;
            let titles: Vec<String> = titles.into_iter().map(|window| window.title).collect();
            let there = titles.iter().find(|known| known.to_lowercase().contains(&title.to_lowercase()));
            match there {
                Some(known) if !gone => return Ok(Told::Met(format!("the window {known:?} is there"))),
                None if gone => return Ok(Told::Met(format!("no window like {title:?} is there"))),
                _ if started.elapsed() >= limit => {
                    let what = if gone { "is still there" } else { "did not come" };
                    let message = format!("the window {title:?} {what} within {within} s; those that are there: {}", titles.join(", "));
                    let zone = desktop.screen().bounds()?;
                    let image = self.capabilities.sight.shown(desktop, zone, self.cancel()).await;
                    return Ok(Told::Unmet(message, json!({ "titles": titles, "zone": zone, "image": image })));
                }
                _ => self.rest(limit.saturating_sub(started.elapsed())).await?,
            }
        }
    }

    async fn file_is(&self, path: &str, gone: bool, within: f64, limit: Duration) -> Result<Told, Failure> {
        let started = Instant::now();
        loop {
            let allowed = self.grant().path(path, Access::Read)?;
            let there = blocking(move || Ok::<_, Failure>(files::exists(&allowed)?)).await?;
            if there != gone {
                return Ok(Told::Met(format!("the file {path:?} {}", if gone { "is not there" } else { "is there" })));
            }
            if started.elapsed() >= limit {
                let what = if gone { "is still there" } else { "is not there" };
                return Ok(Told::Unmet(format!("the file {path:?} {what} after {within} s"), json!({ "file": path })));
            }
            self.rest(limit.saturating_sub(started.elapsed())).await?;
        }
    }

    async fn rest(&self, left: Duration) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = self.cancel().cancelled() => Err(Failure::new(Kind::Cancelled, "it was cancelled while it waited for what is expected")),
            () = tokio::time::sleep(PACE.min(left)) => Ok(()),
        }
    }
}

impl Expectation {
    /// Where to look.
    fn zone(&self) -> Zone {
        let Self { x, y, width, height, monitor, ref in_window, ref zone, .. } = *self;
        Zone { x, y, width, height, monitor, window: in_window.clone().map(WindowChoice::Title), zone: zone.clone() }
    }
}

/// What a look came to: what was looked for in vain is unmet, what could not be looked at is not known.
fn told(seen: Result<String, sight::Error>) -> Result<Told, Failure> {
    match seen {
        Ok(message) => Ok(Told::Met(message)),
        Err(error @ (sight::Error::Missed(_) | sight::Error::NoWindow { .. } | sight::Error::NoAnchor(_))) => {
            Ok(Told::Unmet(error.to_string(), error.details().unwrap_or_default()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether nothing was looked at, as that makes no sense, may not be, or is not wanted any more.
fn is_refused(failure: &Failure) -> bool {
    matches!(failure.code, Kind::ValidationError | Kind::PermissionDenied | Kind::Cancelled)
}

/// Red, green and blue of `#rrggbb`.
fn parsed(colour: &str) -> Result<[u8; 3], Failure> {
    let digits = colour.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let number = number.ok_or_else(|| invalid(format!("{colour:?} is no colour: write it as #rrggbb")))?;
    let [_, red, green, blue] = number.to_be_bytes();
    Ok([red, green, blue])
}

fn invalid(message: String) -> Failure {
    Failure::new(Kind::ValidationError, message)
}
