//! Whether a click brought anything about. One after which nothing on the screen has changed was, as far as anybody can see, in vain: its step
//! is no success on record, and no failure either, as not everything shows. `expect` says where it is to be one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::pictures::capture;
use super::protocol::StepStarted;
use crate::desktop::Desktop;
use crate::screen::Frame;

/// How long what was clicked may take to show it.
const SHOWS: Duration = Duration::from_millis(300);
/// Between two looks, each of which is a question to the X server.
const PACE: Duration = Duration::from_millis(20);

/// The steps that are under way, each with its first click.
#[derive(Default)]
pub(super) struct Clicks(Vec<Open>);

struct Open {
    step_id: String,
    attempt: u32,
    click: Option<Click>,
}

/// What a desktop showed before a click.
pub(super) struct Shown {
    /// The number of its last change.
    generation: u64,
    /// The number of its picture, where one was taken: what is painted again as it was is no change.
    print: Option<u64>,
}

/// A click on a desktop.
pub(super) struct Click {
    desktop: Arc<Desktop>,
    before: Shown,
}

impl Clicks {
    pub(super) fn step_started(&mut self, step: &StepStarted) {
        self.0.push(Open { step_id: step.step_id.clone(), attempt: step.attempt, click: None });
    }

    /// The innermost of the steps has clicked on a desktop, which showed this before.
    pub(super) fn clicked(&mut self, desktop: &Arc<Desktop>, shown: Option<Shown>) {
        if let (Some(step), Some(before)) = (self.0.last_mut().filter(|step| step.click.is_none()), shown) {
            step.click = Some(Click { desktop: Arc::clone(desktop), before });
        }
    }

    /// The first click of a step that is over.
    pub(super) fn step_finished(&mut self, step: &StepStarted) -> Option<Click> {
        let place = self.0.iter().rposition(|open| open.attempt == step.attempt && open.step_id == step.step_id)?;
        self.0.swap_remove(place).click
    }
}

impl Click {
    /// Why it is not known whether it did anything: nothing has changed since, though there was time for it.
    pub(super) async fn in_vain(mut self, cancel: &CancellationToken) -> Option<String> {
        let started = Instant::now();
        loop {
            let desktop = Arc::clone(&self.desktop);
            let now = tokio::task::spawn_blocking(move || generation(&desktop)).await.ok().flatten()?;
            if now != self.before.generation {
                let picture = capture(&self.desktop).await?;
                if self.before.print? != picture.fingerprint() {
                    return None;
                }
                self.before.generation = now;
            }
            if started.elapsed() >= SHOWS {
                return Some(format!(
                    "it clicked, and nothing on the screen changed within {} s; if something is to, say what in `expect`",
                    SHOWS.as_secs_f64()
                ));
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return None,
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }
}

impl Shown {
    /// What a desktop shows now, of which there may be a picture. None where changes are not told.
    pub(super) fn now(desktop: &Desktop, picture: Option<&Frame>) -> Option<Self> {
        Some(Self { generation: generation(desktop)?, print: picture.map(Frame::fingerprint) })
    }
}

/// The number of the last change of a desktop. None where that is not known.
fn generation(desktop: &Desktop) -> Option<u64> {
    desktop.generation(desktop.screen().bounds().ok()?).ok().flatten()
}
