//! Looking for a text on a desktop, once or until it is there; and saying what is there instead.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::beside::Relation;
use super::error::Missed;
use super::place::Place;
use super::waiting::{self, Ended, Patience};
use super::words::{FoundText, TextSearch, TextSought};
use super::{Error, Inner, Sight, described, read_frame};
use crate::desktop::Desktop;
use crate::error::Kind;
use crate::ocr::{self, Hit, Hits, Pattern, Reading, Text};
use crate::screen::{Frame, Region};

/// How much a text must be like the one that is looked for, where nobody says: one letter of seven may be wrong.
pub(super) const LIKE: f64 = 0.85;
/// Texts beside which something is looked for with a whitelist, at most: each has a reading of its own.
const MOST_SIDES: usize = 16;
/// Characters of what was seen that are told.
const TOLD: usize = 2000;
/// Words whose boxes are told.
const TOLD_WORDS: usize = 100;
/// Of the characters, so many stand in the sentence.
const TOLD_AT_ONCE: usize = 300;

/// Finds what is like a pattern in what was read, or knows it already.
type Find<'a> = &'a dyn Fn(&Pattern, &Arc<Text>) -> Arc<Hits>;

/// What is looked for, understood.
#[derive(Clone)]
struct Wish {
    pattern: Pattern,
    beside: Vec<(Relation, String, Pattern)>,
    within: Option<u32>,
}

/// What was read.
struct Seen {
    /// Where it is looked for.
    text: Arc<Text>,
    /// Where what it stands beside is looked for.
    around: Arc<Text>,
    /// Whether that was known.
    known: bool,
}

/// What a look came to.
struct Look {
    matches: Vec<Hit>,
    nearest: Option<Hit>,
    /// A text beside which it was to be, which is not there itself, and what comes closest to that.
    no_anchor: Option<(Relation, String, Option<Hit>)>,
    zone: Region,
    /// Why what is there is not known: reading it took too long.
    unread: Option<String>,
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
        let look = move |inner: &Inner, desktop: &Desktop, patience: &Patience| -> Result<(bool, Option<Look>), Error> {
            let zone = match place.on(inner, desktop, patience) {
                Ok(zone) => zone,
                // With its window it has gone as well.
                Err(error) if wanted.gone && error.may_pass() => return Ok((true, None)),
                Err(error) => return Err(error),
            };
            let read = |part: Region, reading: &Reading| inner.memory.read(&inner.ocr, desktop, part, reading, patience);
            let find = |pattern: &Pattern, text: &Arc<Text>| inner.memory.find(pattern, text);
            let seen = match wish.read(zone, &reading, read, &find) {
                Ok(seen) => seen,
                Err(Error::Ocr(late @ (ocr::Error::Timeout(_) | ocr::Error::Busy(_)))) => {
                    return Ok((false, Some(Look::unread(zone, &late))));
                }
                Err(error) => return Err(error),
            };
            let look = wish.look(zone, seen, &find);
            Ok((look.wanted(&wanted).is_some() != wanted.gone, Some(look)))
        };
        match self.look_until(desktop, wait, waiting::IDLE, cancel, Arc::new(look)).await? {
            Ended::Late(Some(look)) => Err(self.missed(desktop, look, search, cancel).await),
            Ended::Done(Some(look)) if look.unread.is_some() => Err(self.missed(desktop, look, search, cancel).await),
            Ended::Done(look) => Ok(look.map(|look| look.sought(&search, started)).unwrap_or_default()),
            Ended::Late(None) => Ok(TextSought::default()),
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
        let whole = Region { x: 0, y: 0, width: frame.width(), height: frame.height() };
        let zone = search.zone().part_of_picture()?.unwrap_or(whole);
        let (ocr, reading, patience) =
            (Arc::clone(&self.inner.ocr), search.reading(), Patience { cancel: cancel.child_token(), end: None });
        let _gone = patience.cancel.clone().drop_guard();
        let read = tokio::task::spawn_blocking(move || {
            let read = |part: Region, reading: &Reading| {
                let text = read_frame(&ocr, &frame.crop(part)?, (part.x, part.y), reading, &patience)?;
                Ok((Arc::new(text), false))
            };
            let find = |pattern: &Pattern, text: &Arc<Text>| Arc::new(pattern.find(&text.words));
            Ok::<_, Error>(wish.look(zone, wish.read(zone, &reading, read, &find)?, &find))
        });
        Ok(read.await.map_err(|_| Error::Ended)??.sought(&search, started))
    }

    /// Why it is not there: what comes closest, what was read, what the place looks like.
    async fn missed(&self, desktop: &Arc<Desktop>, look: Look, search: TextSearch, cancel: &CancellationToken) -> Error {
        let nearest_anchor = look.no_anchor.as_ref().and_then(|(_, _, nearest)| nearest.as_ref());
        let part = nearest_anchor.or(look.nearest.as_ref()).or(look.matches.first()).map_or(look.zone, region_of);
        let image = self.shown(desktop, part, cancel).await;
        let wanted = Wish::words_of(&search);
        let seconds = search.timeout.unwrap_or_default();
        let mut message = match search.gone {
            true => format!("the text {wanted} was still there after {seconds} s, {}", described(part)),
            false => format!("the text {wanted} did not appear within {seconds} s in the zone {}", described(look.zone)),
        };
        let unfit = look.matches.first().filter(|_| !search.gone);
        if let Some(reason) = &look.unread {
            message.push_str(&format!("; it could not be read in time: {reason}"));
        } else if let Some((relation, anchor, nearest)) = &look.no_anchor {
            message.push_str(&format!("; {anchor:?}, which it was to be {}, is not there", relation.words()));
            if let Some(Hit { text, score, x, y, .. }) = nearest {
                message.push_str(&format!(": what comes closest is {text:?} at ({x}, {y}), with a score of {score:.2}"));
            }
        } else if let Some(hit) = unfit {
            message.push_str(&format!("; there are only {}, the first at ({}, {})", look.matches.len(), hit.x, hit.y));
        } else if let Some(Hit { text, score, x, y, .. }) = &look.nearest {
            message.push_str(&format!("; what comes closest is {text:?} at ({x}, {y}), with a score of {score:.2}"));
            // One that stands elsewhere is like enough.
            let asked = search.min_score.unwrap_or(LIKE);
            if search.text.is_some() && *score < asked {
                message.push_str(&format!(" where {asked:.2} is asked for"));
            }
        }
        if !search.gone && look.unread.is_none() {
            message.push_str(&format!("; what was seen: {}", shortened(&look.text.text)));
        }
        let details = json!({
            "text": search.text,
            "regex": search.regex,
            "zone": look.zone,
            "seen": told(&look.text.text),
            "words": look.text.words.len(),
            "boxes": look.text.words.iter().take(TOLD_WORDS).map(boxed).collect::<Vec<_>>(),
            "nearest": look.nearest.as_ref().map(found),
            "anchor": look.no_anchor.as_ref().map(|(_, text, nearest)| json!({ "text": text, "nearest": nearest.as_ref().map(found) })),
            "matches": look.matches.iter().take(20).map(found).collect::<Vec<_>>(),
            "image": image,
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
        if search.within.is_some() && beside.is_empty() {
            let message = "there is nothing that it is to be near: give near, right_of, left_of, above or below as well";
            return Err(Error::invalid("/within", message));
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

    /// Reads a zone. What is looked for may have only some characters, and what it stands beside others as well, which would be taken for some
    /// of these: so the zone is read with all of them then, and only what is beside with these.
    fn read(
        &self,
        zone: Region,
        reading: &Reading,
        read: impl Fn(Region, &Reading) -> Result<(Arc<Text>, bool), Error>,
        find: Find<'_>,
    ) -> Result<Seen, Error> {
        if self.beside.is_empty() || reading.whitelist.is_none() {
            let (text, known) = read(zone, reading)?;
            return Ok(Seen { around: Arc::clone(&text), text, known });
        }
        let (around, known) = read(zone, &Reading { whitelist: None, ..reading.clone() })?;
        let mut text = Text { text: String::new(), words: Vec::new(), ..Text::clone(&around) };
        for side in self.sides(zone, &around, find) {
            let part = read(side, reading)?.0;
            let line = text.words.last().map_or(0, |word| word.line + 1);
            text.words.extend(part.words.iter().map(|word| ocr::Word { line: line + word.line, ..word.clone() }));
            text.text.push_str(if text.text.is_empty() { "" } else { "\n" });
            text.text.push_str(&part.text);
        }
        Ok(Seen { text: Arc::new(text), around, known })
    }

    /// The parts of a zone that are beside what was found there: all of it where it may be anywhere around that.
    fn sides(&self, zone: Region, around: &Arc<Text>, find: Find<'_>) -> Vec<Region> {
        let Some((relation, _, anchor)) = self.beside.iter().find(|(relation, ..)| *relation != Relation::Near) else { return vec![zone] };
        let anchors = find(anchor, around);
        anchors.found.iter().take(MOST_SIDES).filter_map(|hit| relation.side(&region_of(hit), &zone)).collect()
    }

    /// Looks for it among what was read.
    fn look(&self, zone: Region, Seen { text, around, known }: Seen, find: Find<'_>) -> Look {
        let Hits { found: mut matches, mut nearest } = Hits::clone(&find(&self.pattern, &text));
        let mut no_anchor = None;
        if !self.beside.is_empty() {
            let mut anchors = Vec::with_capacity(self.beside.len());
            for (relation, words, anchor) in &self.beside {
                let hits = find(anchor, &around);
                if hits.found.is_empty() && no_anchor.is_none() {
                    no_anchor = Some((*relation, words.clone(), hits.nearest.clone()));
                }
                anchors.push((relation, hits));
            }
            let mut near: Vec<(i64, Hit)> = Vec::new();
            for hit in &matches {
                let distance = anchors.iter().try_fold(0, |sum, (relation, anchors)| {
                    let nearest = anchors.found.iter().filter_map(|anchor| relation.distance(&region_of(hit), &region_of(anchor))).min()?;
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
        // What was seen explains what is not there.
        let text = if no_anchor.is_some() { around } else { text };
        Look { matches, nearest, no_anchor, zone, unread: None, text, known }
    }
}

impl Look {
    /// One that took too long.
    fn unread(zone: Region, why: &ocr::Error) -> Self {
        let (matches, text) = (Vec::new(), Arc::new(Text::default()));
        Self { matches, nearest: None, no_anchor: None, zone, unread: Some(why.to_string()), text, known: false }
    }

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
            seen: told(&self.text.text),
            words: self.text.words.len(),
            image: None,
            known: self.known,
            execution_time: started.elapsed().as_secs_f64(),
        }
    }
}

/// What is wrong with a text that is looked for, and in which field it stands.
pub(super) fn wrong(path: &'static str) -> impl Fn(ocr::Error) -> Error {
    move |error| Error::invalid(path, error.to_string())
}

pub(super) fn region_of(hit: &Hit) -> Region {
    Region { x: hit.x, y: hit.y, width: hit.width, height: hit.height }
}

fn found(hit: &Hit) -> FoundText {
    let half = |length: u32| i32::try_from(length / 2).unwrap_or(i32::MAX);
    let Hit { text, score, confidence, x, y, width, height, groups } = hit.clone();
    let (center_x, center_y) = (x.saturating_add(half(width)), y.saturating_add(half(height)));
    FoundText { text, score, confidence, x, y, width, height, center_x, center_y, groups }
}

/// A word that was read, and where.
fn boxed(word: &ocr::Word) -> serde_json::Value {
    let ocr::Word { text, confidence, x, y, width, height, .. } = word;
    json!({ "text": text, "confidence": confidence, "x": x, "y": y, "width": width, "height": height })
}

/// What was read, as far as it is told.
pub(super) fn told(text: &str) -> String {
    clipped(text, TOLD)
}

fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(super) fn shortened(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { clipped(&text.replace('\n', " / "), TOLD_AT_ONCE) }
}
