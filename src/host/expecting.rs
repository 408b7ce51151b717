//! Whether what is expected of a step is so once it has done its work: met, unmet, or unknown where it cannot be seen.

use std::time::{Duration, Instant};

use serde_json::json;

use super::broker::{Broker, blocking, json as answer};
use super::protocol::{Expectation, Json, Met, PixelColour, Verdict};
use crate::error::{Classify, Failure, Kind};
use crate::files;
use crate::policy::Access;
use crate::screen::Capture;
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
    pub(super) async fn before(&self, expectation: Expectation) -> Result<Json, Failure> {
        self.grant().screen()?;
        let desktop = self.desktop_named(None).await?;
        let region = self.capabilities.sight.where_is(&desktop, expectation.zone(), self.cancel()).await?;
        let capture = Capture { monitor: None, region: Some(region) };
        let frame = blocking(move || Ok::<_, Failure>(desktop.screen().capture(&capture)?)).await?;
        self.keep(frame)
    }

    /// Looks until what is expected is so, or its time is over.
    ///
    /// An expectation that makes no sense, and one that the run may not look at, is an error; one that cannot be looked at is unknown.
    pub(super) async fn expect(&self, expectation: Expectation, before: Option<u64>) -> Result<Json, Failure> {
        let within = expectation.within.unwrap_or(WITHIN);
        let limit = Duration::try_from_secs_f64(within).ok().filter(|_| within <= LONGEST_WAIT);
        let limit = limit.ok_or_else(|| invalid(format!("within is {within}: give 0 to {LONGEST_WAIT} seconds")))?;
        let told = self.meets(&expectation, before, within, limit).await;
        let verdict = match told {
            Ok(Told::Met(message)) => Verdict { result: Met::Met, message, details: None },
            Ok(Told::Unmet(message, details)) => Verdict { result: Met::Unmet, message, details: Some(details) },
            Err(failure) => match failure.code {
                Kind::ValidationError | Kind::PermissionDenied | Kind::Cancelled => return Err(failure),
                _ => Verdict { result: Met::Unknown, message: failure.message, details: failure.details },
            },
        };
        answer(&verdict)
    }

    async fn meets(&self, expectation: &Expectation, before: Option<u64>, within: f64, limit: Duration) -> Result<Told, Failure> {
        let Expectation { text, regex, image, pixel, window, file, change, gone, min_score, .. } = expectation;
        let named = [text.is_some(), regex.is_some(), image.is_some(), pixel.is_some(), window.is_some(), file.is_some(), *change];
        if named.iter().filter(|named| **named).count() != 1 {
            return Err(invalid("say what is expected: text, regex, image, pixel, window, file or change, one of them".to_owned()));
        }
        if let Some(path) = file {
            return self.file_is(path, *gone, within, limit).await;
        }
        self.grant().screen()?;
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
            let before = before.map(|before| self.image(before)).transpose()?;
            let search = match &before {
                // The picture says where to look.
                Some(_) => StillSearch { timeout: Some(within), ..StillSearch::default() },
                None => StillSearch {
                    timeout: Some(within),
                    x,
                    y,
                    width,
                    height,
                    monitor,
                    window: within_window,
                    zone,
                    ..StillSearch::default()
                },
            };
            let seen = sight.wait_for_change(&desktop, search, before, cancel).await;
            return told(seen.map(|seen| format!("the screen changed after {:.1} s", seen.execution_time)));
        }
        if let Some(image) = image {
            let needle = self.needle(None, Some(image)).await?;
            let search = PictureSearch {
                picture: Some(image.clone()),
                min_score: *min_score,
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

    async fn pixel_is(
        &self,
        desktop: &std::sync::Arc<crate::desktop::Desktop>,
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
                return Ok(Told::Unmet(message, json!({ "pixel": { "x": wanted.x, "y": wanted.y, "colour": shown } })));
            }
            self.rest(limit.saturating_sub(started.elapsed())).await?;
        }
    }

    async fn window_is(
        &self,
        desktop: &std::sync::Arc<crate::desktop::Desktop>,
        title: &str,
        gone: bool,
        within: f64,
        limit: Duration,
    ) -> Result<Told, Failure> {
        let started = Instant::now();
        loop {
            let desktop = std::sync::Arc::clone(desktop);
            let titles = blocking(move || Ok::<_, Failure>(desktop.windows().list(&Filter::default())?)).await?;
            let titles: Vec<String> = titles.into_iter().map(|window| window.title).collect();
            let there = titles.iter().find(|known| known.to_lowercase().contains(&title.to_lowercase()));
            match there {
                Some(known) if !gone => return Ok(Told::Met(format!("the window {known:?} is there"))),
                None if gone => return Ok(Told::Met(format!("no window like {title:?} is there"))),
                _ if started.elapsed() >= limit => {
                    let what = if gone { "is still there" } else { "did not come" };
                    let message = format!("the window {title:?} {what} within {within} s; those that are there: {}", titles.join(", "));
                    return Ok(Told::Unmet(message, json!({ "titles": titles })));
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
        Err(error @ (sight::Error::Missed(_) | sight::Error::NoWindow { .. } | sight::Error::NoAnchor { .. })) => {
            Ok(Told::Unmet(error.to_string(), error.details().unwrap_or_default()))
        }
        Err(error) => Err(error.into()),
    }
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
