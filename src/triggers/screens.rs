//! Screens that are watched: a text or picture that appears or disappears, or what a part of a screen shows when it changes, starts a run.
//!
//! What is there when the watching begins is no news: only what becomes so fires, once, after it has held for as long as it must, and not more
//! often than the trigger's pace. While the last run goes on, or the pace holds it back, the newest state waits. A look at a screen that has
//! not changed costs a question to the X server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::fire::{json as text, may_pass};
use super::table::Known;
use crate::desktop::Desktops;
use crate::error::Failure;
use crate::files;
use crate::policy::Access;
use crate::runs::{Execute, Timestamp};
use crate::sight::{self, PictureSearch, Sight, TextSearch, WindowChoice, Zone};
use crate::vision::Needle;
use crate::workflow::{Becomes, Listens, ScreenStart};

/// What cannot be looked at is tried again after so long.
const AGAIN: Duration = Duration::from_secs(5);

/// What sees the desktops.
pub(super) struct Eyes {
    pub(super) sight: Sight,
    pub(super) desktops: Arc<Desktops>,
}

/// A screen that is watched.
struct Watched {
    start: ScreenStart,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

/// Watches what armed triggers ask for, until cancelled.
pub(super) async fn follow(inner: Arc<Inner>, cancel: CancellationToken) {
    let mut changes = inner.table.changes();
    let mut all: HashMap<Arc<str>, Watched> = HashMap::new();
    loop {
        changes.borrow_and_update();
        let mut before = std::mem::take(&mut all);
        for known in inner.table.all() {
            let Some(Listens::Screen(start)) = known.listens.clone().filter(|_| known.is_armed()) else { continue };
            let watched = match before.remove(&known.id) {
                Some(watched) if watched.start == *start => watched,
                other => {
                    end(other).await;
                    let cancel = cancel.child_token();
                    let task = tokio::spawn(watch(Arc::clone(&inner), Arc::clone(&known.id), (*start).clone(), cancel.clone()));
                    Watched { start: *start, cancel, task }
                }
            };
            all.insert(Arc::clone(&known.id), watched);
        }
        for watched in before.into_values() {
            end(Some(watched)).await;
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
        }
    }
    for watched in all.into_values() {
        end(Some(watched)).await;
    }
}

async fn end(watched: Option<Watched>) {
    let Some(Watched { cancel, task, .. }) = watched else { return };
    cancel.cancel();
    if task.await.is_err() {
        tracing::error!("what watches a screen ended in a panic");
    }
}

/// What there is to see at one moment.
#[derive(Debug, Clone, PartialEq)]
struct Sighted {
    /// Whether it is there.
    there: bool,
    /// What tells one state from another: only of a trigger that fires at changes.
    state: Value,
    /// What a run is told of it.
    told: Value,
}

/// Watches for one trigger.
async fn watch(inner: Arc<Inner>, id: Arc<str>, start: ScreenStart, cancel: CancellationToken) {
    let pace = Duration::try_from_secs_f64(start.every).unwrap_or(AGAIN);
    let mut course = Course::default();
    loop {
        let Some(known) = inner.table.get(&id) else { return };
        let seen = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            seen = look(&inner, &start, &cancel) => seen,
        };
        let rest = match seen {
            Ok(seen) => {
                known.status.set_note(&id, None);
                course.saw(seen, &start);
                if course.is_due(&start) {
                    fire(&inner, &known, &start, &mut course).await;
                }
                pace
            }
            Err(failure) => {
                known.status.set_note(&id, Some(failure.message));
                AGAIN.max(pace)
            }
        };
        tokio::select! { biased; () = cancel.cancelled() => return, () = tokio::time::sleep(rest) => {} }
    }
}

/// What was seen so far.
#[derive(Default)]
struct Course {
    /// What was there when it last fired, or when the watching began.
    settled: Option<Sighted>,
    /// What is there now, and since when.
    now: Option<(Sighted, Instant)>,
    fired: Option<Instant>,
}

impl Course {
    /// Takes in what is there.
    fn saw(&mut self, seen: Sighted, start: &ScreenStart) {
        if self.settled.is_none() {
            self.settled = Some(seen.clone());
        }
        match &mut self.now {
            Some((now, _)) if same(now, &seen, start) => *now = seen,
            now => *now = Some((seen, Instant::now())),
        }
        // Back as it was: what it went through is no news any more.
        if let (Some((now, _)), Some(settled)) = (&self.now, &mut self.settled)
            && !is_news(settled, now, start)
            && start.event != Becomes::Changed
        {
            *settled = now.clone();
        }
    }

    /// Whether what is there is news, has held for as long as it must, and may be told.
    fn is_due(&self, start: &ScreenStart) -> bool {
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let (Some((now, since)), Some(settled)) = (&self.now, &self.settled) else { return false };
        is_news(settled, now, start)
            && since.elapsed() >= seconds(start.stable_seconds)
            && self.fired.is_none_or(|fired| fired.elapsed() >= seconds(start.pace))
    }
}

/// Whether two sights are the same to a trigger.
fn same(one: &Sighted, other: &Sighted, start: &ScreenStart) -> bool {
    match start.event {
        Becomes::Appears | Becomes::Disappears => one.there == other.there,
        Becomes::Changed => one.there == other.there && one.state == other.state,
    }
}

/// Whether what is there now starts a run.
fn is_news(settled: &Sighted, now: &Sighted, start: &ScreenStart) -> bool {
    match start.event {
        Becomes::Appears => now.there && !settled.there,
        Becomes::Disappears => !now.there && settled.there,
        Becomes::Changed => !same(settled, now, start),
    }
}

async fn fire(inner: &Arc<Inner>, known: &Known, start: &ScreenStart, course: &mut Course) {
    if inner.store.trigger_is_running(&known.id).await.unwrap_or(true) {
        return;
    }
    let Some((now, _)) = course.now.clone() else { return };
    let event = match start.event {
        Becomes::Appears => "appears",
        Becomes::Disappears => "disappears",
        Becomes::Changed => "changes",
    };
    let before = course.settled.as_ref().map(|settled| settled.told.clone());
    let input = json!({ "event": event, "seen": now.told, "before": before, "seen_at": Timestamp(inner.clock.now()) });
    let shot = match text(&input) {
        Ok(input) => {
            let execute = Execute { input, trigger: format!("screen:{}", known.id), ..Execute::default() };
            inner.shoot(known, None, None, execute).await
        }
        Err(failure) => Err(failure),
    };
    match shot {
        Ok(_) => {}
        Err(failure) => {
            known.status.set_note(&known.id, Some(failure.message.clone()));
            if may_pass(&failure) {
                return;
            }
        }
    }
    course.fired = Some(Instant::now());
    course.settled = Some(now);
}

/// Looks once.
async fn look(inner: &Inner, start: &ScreenStart, cancel: &CancellationToken) -> Result<Sighted, Failure> {
    let Some(Eyes { sight, desktops }) = inner.eyes.get() else {
        return Err(crate::desktop::Error::Off.into());
    };
    let desktop = desktops.reach(start.target.as_deref()).await?;
    let ScreenStart { x, y, width, height, monitor, ref zone, min_score, .. } = *start;
    let window = start.window.clone().map(WindowChoice::Title);
    let zone = zone.clone();
    if let Some(picture) = &start.image {
        let path = inner.grant.path(picture, Access::Read)?;
        let read = tokio::task::spawn_blocking(move || Ok::<_, Failure>(Needle::decode(&files::read_bytes(&path)?)?)).await;
        let needle = read.map_err(|_| Failure::from(crate::desktop::Error::Ended("reading a picture")))??;
        let (scales, occurrence) = (start.scales.clone(), start.occurrence);
        let search =
            PictureSearch { min_score, scales, occurrence, x, y, width, height, monitor, window, zone, ..PictureSearch::default() };
        return sighted(sight.find_picture(&desktop, needle, search, cancel).await, |seen| {
            let state = json!(seen.found.map(|found| (found.x, found.y)));
            Sighted { there: seen.found.is_some(), state, told: json!(seen.found) }
        });
    }
    if start.text.is_some() || start.regex.is_some() {
        let (text, regex) = (start.text.clone(), start.regex.clone());
        let search = TextSearch {
            text,
            regex,
            min_score,
            match_case: start.match_case,
            occurrence: start.occurrence,
            near: start.near.clone(),
            right_of: start.right_of.clone(),
            left_of: start.left_of.clone(),
            above: start.above.clone(),
            below: start.below.clone(),
            x,
            y,
            width,
            height,
            monitor,
            window,
            zone,
            language: start.language.clone(),
            whitelist: start.whitelist.clone(),
            ..TextSearch::default()
        };
        return sighted(sight.find_text(&desktop, search, cancel).await, |seen| {
            let state = json!(seen.found.as_ref().map(|found| (&found.text, &found.groups)));
            Sighted { there: seen.found.is_some(), state, told: json!(seen.found) }
        });
    }
    let zone = Zone { x, y, width, height, monitor, window, zone };
    sighted(sight.look_at(&desktop, zone, cancel).await, |(region, print)| Sighted {
        there: true,
        state: json!((region, print)),
        told: json!({ "zone": region }),
    })
}

/// What a look came to. A window, or what a zone stands beside, that is not there shows nothing; a zone that does not exist is a mistake.
fn sighted<T>(seen: Result<T, sight::Error>, there: impl FnOnce(T) -> Sighted) -> Result<Sighted, Failure> {
    match seen {
        Ok(seen) => Ok(there(seen)),
        Err(sight::Error::NoWindow { .. } | sight::Error::NoAnchor(_)) => {
            Ok(Sighted { there: false, state: Value::Null, told: Value::Null })
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(event: &str, stable: f64, pace: f64) -> ScreenStart {
        let config = json!({ "text": "x", "event": event, "stable_seconds": stable, "pace": pace });
        match Listens::read("screen", &config) {
            Ok(Listens::Screen(start)) => *start,
            other => panic!("{other:?}"),
        }
    }

    fn sighted(there: bool, state: &str) -> Sighted {
        Sighted { there, state: json!(state), told: Value::Null }
    }

    /// Which of these sights, one after the other, would start a run.
    fn fired(start: &ScreenStart, sights: &[(bool, &str)]) -> Vec<bool> {
        let mut course = Course::default();
        let told = sights.iter().map(|(there, state)| {
            course.saw(sighted(*there, state), start);
            let due = course.is_due(start);
            if due {
                (course.settled, course.fired) = (course.now.clone().map(|(now, _)| now), Some(Instant::now()));
            }
            due
        });
        told.collect()
    }

    #[test]
    fn what_becomes_so_fires_once_and_what_was_so_before_does_not() {
        let appears = start("appears", 0.0, 0.0);
        assert_eq!(fired(&appears, &[(true, ""), (true, ""), (false, ""), (true, "a"), (true, "b")]), [false, false, false, true, false]);
        let disappears = start("disappears", 0.0, 0.0);
        assert_eq!(fired(&disappears, &[(false, ""), (true, ""), (false, ""), (false, "")]), [false, false, true, false]);
        let changes = start("changes", 0.0, 0.0);
        assert_eq!(fired(&changes, &[(true, "1"), (true, "2"), (true, "2"), (true, "1"), (false, "")]), [false, true, false, true, true]);
    }

    #[test]
    fn what_does_not_hold_and_what_comes_too_soon_waits() {
        let holds = start("appears", 60.0, 0.0);
        assert_eq!(fired(&holds, &[(false, ""), (true, ""), (true, "")]), [false, false, false]);
        let paced = start("appears", 0.0, 60.0);
        assert_eq!(fired(&paced, &[(false, ""), (true, ""), (false, ""), (true, "")]), [false, true, false, false]);
    }
}
