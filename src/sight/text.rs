//! Looking for a text on a desktop, once or until it is there; and saying what is there instead.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::beside::Relation;
use super::error::Missed;
use super::place::Place;
use super::waiting::{self, Ended};
use super::words::{FoundText, TextSearch, TextSought};
use super::{Error, Inner, Sight, described, read_frame, show};
use crate::desktop::Desktop;
use crate::error::Kind;
use crate::ocr::{Hit, Pattern, Text};
use crate::screen::{Frame, Region};

/// How much a text must be like the one that is looked for, where nobody says: one letter of seven may be wrong.
pub(super) const LIKE: f64 = 0.85;
/// Characters of what was seen that are told.
const TOLD: usize = 2000;
/// Of those, so many stand in the sentence.
const TOLD_AT_ONCE: usize = 300;

/// What is looked for, understood.
#[derive(Clone)]
struct Wish {
    pattern: Pattern,
    beside: Vec<(Relation, String, Pattern)>,
    within: Option<u32>,
}

/// What a look came to.
struct Look {
    matches: Vec<Hit>,
    nearest: Option<Hit>,
    /// A text beside which it was to be, and which is not there itself.
    no_anchor: Option<(Relation, String)>,
    zone: Region,
    text: Arc<Text>,
    known: bool,
}

impl Sight {
    /// Looks for a text. With a `timeout` it looks until the text is there, or with `gone` until it is not; else once, and whether it is
    /// there stands in the answer.
    ///
    /// # Errors
    /// [`Error::Missed`] where a time-out is over: what is there instead, as a sentence, details and a picture. For a search that makes no
    /// sense, a place that is not on the screen; what [`crate::ocr::Ocr`] says.
    pub async fn find_text(&self, desktop: &Arc<Desktop>, search: TextSearch, cancel: &CancellationToken) -> Result<TextSought, Error> {
        let started = Instant::now();
        let wish = Wish::new(&search)?;
        let place = Place::new(&search.zone(), &self.inner.zones)?;
        let wait = waiting::time(search.timeout)?;
        let reading = place.reading(search.reading());
        let wanted = search.clone();
        let look = move |inner: &Inner, desktop: &Desktop, cancel: &CancellationToken| -> Result<(bool, Option<Look>), Error> {
            let zone = match place.on(inner, desktop, cancel) {
                Ok(zone) => zone,
                // With its window it has gone as well.
                Err(error) if wanted.gone && error.may_pass() => return Ok((true, None)),
                Err(error) => return Err(error),
            };
            let (text, known) = inner.memory.read(&inner.ocr, desktop, zone, &reading, cancel)?;
            let look = wish.look(zone, text, known);
            Ok((look.wanted(&wanted).is_some() != wanted.gone, Some(look)))
        };
        match self.look_until(desktop, wait, cancel, Arc::new(look)).await? {
            Ended::Done(look) => Ok(look.map(|look| look.sought(&search, started)).unwrap_or_default()),
            Ended::Late(None) => Ok(TextSought::default()),
            Ended::Late(Some(look)) => Err(self.missed(desktop, look, search, cancel).await),
        }
    }

    /// Looks for a text in a picture; boxes count from its corner.
    ///
    /// # Errors
    /// For a search that makes no sense, also one that would wait; what [`crate::ocr::Ocr`] says.
    pub async fn find_text_in(&self, frame: Frame, search: TextSearch, cancel: &CancellationToken) -> Result<TextSought, Error> {
        let started = Instant::now();
        let wish = Wish::new(&search)?;
        if search.timeout.is_some() || search.gone {
            return Err(Error::invalid("/timeout", "a picture does not change: leave out timeout and gone"));
        }
        if search.monitor.is_some() || search.window.is_some() || search.zone.is_some() {
            return Err(Error::invalid("/window", "a picture has no monitors, windows and zones: give x, y, width and height, or nothing"));
        }
        let whole = Region { x: 0, y: 0, width: frame.width(), height: frame.height() };
        let zone = search.zone().part()?.unwrap_or(whole);
        let part = frame.crop(zone)?;
        let (ocr, reading, cancel) = (Arc::clone(&self.inner.ocr), search.reading(), cancel.child_token());
        let _gone = cancel.clone().drop_guard();
        let read = tokio::task::spawn_blocking(move || read_frame(&ocr, &part, (zone.x, zone.y), &reading, &cancel));
        let text = read.await.map_err(|_| Error::Ended)??;
        Ok(wish.look(zone, Arc::new(text), false).sought(&search, started))
    }

    /// Why it is not there: what comes closest, what was read, what the place looks like.
    async fn missed(&self, desktop: &Arc<Desktop>, look: Look, search: TextSearch, cancel: &CancellationToken) -> Error {
        let part = look.nearest.as_ref().or(look.matches.first()).map_or(look.zone, region_of);
        let picture = self.looking(desktop, cancel, move |_, desktop, _| Ok(show::on_desktop(desktop, part))).await;
        let wanted = Wish::words_of(&search);
        let seconds = search.timeout.unwrap_or_default();
        let mut message = match search.gone {
            true => format!("the text {wanted} was still there after {seconds} s, {}", described(part)),
            false => format!("the text {wanted} did not appear within {seconds} s in the zone {}", described(look.zone)),
        };
        let unfit = look.matches.first().filter(|_| !search.gone);
        if let Some((relation, anchor)) = &look.no_anchor {
            message.push_str(&format!("; {anchor:?}, which it was to be {}, is not there", relation.words()));
        } else if let Some(hit) = unfit {
            message.push_str(&format!("; there are only {}, the first at ({}, {})", look.matches.len(), hit.x, hit.y));
        } else if let Some(Hit { text, score, x, y, .. }) = &look.nearest {
            message.push_str(&format!("; what comes closest is {text:?} at ({x}, {y}), with a score of {score:.2}"));
        }
        if !search.gone {
            message.push_str(&format!("; what was seen: {}", shortened(&look.text.text)));
        }
        let details = json!({
            "text": search.text,
            "regex": search.regex,
            "zone": look.zone,
            "seen": clipped(&look.text.text, TOLD),
            "words": look.text.words.len(),
            "nearest": look.nearest.as_ref().map(found),
            "matches": look.matches.iter().take(20).map(found).collect::<Vec<_>>(),
            "image": picture.ok().flatten().map_or(Value::Null, Value::String),
        });
        Error::Missed(Box::new(Missed { kind: Kind::Timeout, message, details }))
    }
}

impl Wish {
    fn new(search: &TextSearch) -> Result<Self, Error> {
        let like = search.min_score.unwrap_or(LIKE);
        if !(0.0..=1.0).contains(&like) {
            return Err(Error::invalid("/min_score", format!("min_score is {like}: give a number from 0 to 1")));
        }
        let pattern = match (&search.text, &search.regex) {
            (Some(text), None) => Pattern::text(text, like, search.match_case).map_err(wrong("/text"))?,
            (None, Some(regex)) => Pattern::regex(regex).map_err(wrong("/regex"))?,
            _ => return Err(Error::invalid("/text", "say what to look for: a text or a regex, one of them")),
        };
        let relations = [
            (Relation::Near, "/near", &search.near),
            (Relation::RightOf, "/right_of", &search.right_of),
            (Relation::LeftOf, "/left_of", &search.left_of),
            (Relation::Above, "/above", &search.above),
            (Relation::Below, "/below", &search.below),
        ];
        let mut beside = Vec::new();
        for (relation, path, anchor) in relations {
            if let Some(anchor) = anchor {
                let pattern = Pattern::text(anchor, like, search.match_case).map_err(wrong(path))?;
                beside.push((relation, anchor.clone(), pattern));
            }
        }
        if search.occurrence == Some(0) {
            return Err(Error::invalid("/occurrence", "the first one is 1"));
        }
        Ok(Self { pattern, beside, within: search.within })
    }

    fn words_of(search: &TextSearch) -> String {
        match (&search.text, &search.regex) {
            (Some(text), _) => format!("{text:?}"),
            (None, Some(regex)) => format!("like {regex:?}"),
            (None, None) => String::new(),
        }
    }

    /// Looks for it among what was read.
    fn look(&self, zone: Region, text: Arc<Text>, known: bool) -> Look {
        let hits = self.pattern.find(&text.words);
        let (mut matches, mut nearest, mut no_anchor) = (hits.found, hits.nearest, None);
        if !self.beside.is_empty() {
            let anchors: Vec<_> = self.beside.iter().map(|(relation, _, anchor)| (relation, anchor.find(&text.words).found)).collect();
            let missing = self.beside.iter().zip(&anchors).find(|(_, (_, found))| found.is_empty());
            no_anchor = missing.map(|((relation, words, _), _)| (*relation, words.clone()));
            let mut near: Vec<(i64, Hit)> = Vec::new();
            for hit in &matches {
                let distance = anchors.iter().try_fold(0, |sum, (relation, anchors)| {
                    let nearest = anchors.iter().filter_map(|anchor| relation.distance(&region_of(hit), &region_of(anchor))).min()?;
                    let inside = self.within.is_none_or(|within| nearest <= i64::from(within));
                    inside.then_some(sum + nearest)
                });
                near.extend(distance.map(|distance| (distance, hit.clone())));
            }
            near.sort_by_key(|(distance, _)| *distance);
            // One that stands elsewhere comes closest.
            nearest = nearest.or_else(|| matches.first().filter(|_| near.is_empty()).cloned());
            matches = near.into_iter().map(|(_, hit)| hit).collect();
        }
        Look { matches, nearest, no_anchor, zone, text, known }
    }
}

impl Look {
    /// The one that is asked for.
    fn wanted(&self, search: &TextSearch) -> Option<&Hit> {
        let number = usize::try_from(search.occurrence.unwrap_or(1)).unwrap_or(usize::MAX);
        self.matches.get(number.checked_sub(1)?)
    }

    fn sought(self, search: &TextSearch, started: Instant) -> TextSought {
        TextSought {
            found: self.wanted(search).map(found),
            matches: self.matches.iter().map(found).collect(),
            nearest: self.nearest.as_ref().map(found),
            zone: Some(self.zone),
            seen: clipped(&self.text.text, TOLD),
            words: self.text.words.len(),
            known: self.known,
            execution_time: started.elapsed().as_secs_f64(),
        }
    }
}

/// What is wrong with a text that is looked for, and in which field it stands.
pub(super) fn wrong(path: &'static str) -> impl Fn(crate::ocr::Error) -> Error {
    move |error| Error::invalid(path, error.to_string())
}

fn region_of(hit: &Hit) -> Region {
    Region { x: hit.x, y: hit.y, width: hit.width, height: hit.height }
}

fn found(hit: &Hit) -> FoundText {
    let half = |length: u32| i32::try_from(length / 2).unwrap_or(i32::MAX);
    let Hit { text, score, confidence, x, y, width, height, groups } = hit.clone();
    let (center_x, center_y) = (x.saturating_add(half(width)), y.saturating_add(half(height)));
    FoundText { text, score, confidence, x, y, width, height, center_x, center_y, groups }
}

fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn shortened(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { clipped(&text.replace('\n', " / "), TOLD_AT_ONCE) }
}
