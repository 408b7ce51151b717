//! Clicking at points of a snapshot: from its pixels through its part of the monitor to the screen as it is now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::reading::{count, refused, twice};
use super::words::{Action, ActionResult, ActionType, ClickAnswer, ClickRequest, LONGEST_WAIT};
use super::{Error, Snapshot, Snapshots, blocking, snapshot};
use crate::desktop::{Acting, Desktop, Token, Who};
use crate::input::{self, Button, Click};
use crate::policy::Grant;
use crate::screen::Region;

impl Snapshots {
    /// Does the clicks one after the other, with the desktop's lease for all of them. Who is at the controls shows their token.
    ///
    /// # Errors
    /// `NOT_FOUND`, `VALIDATION_ERROR`, `PERMISSION_DENIED`, and where there is no desktop: before anything was clicked. A click that
    /// fails is told in the answer.
    pub async fn click(
        &self,
        grant: &Grant,
        request: ClickRequest,
        token: Option<Token>,
        cancel: &CancellationToken,
    ) -> Result<ClickAnswer, Error> {
        let started = Instant::now();
        grant.input()?;
        let ClickRequest { snapshot_id, actions, sequential, delay_between_actions } = request;
        count("/actions", actions.len())?;
        refused(action_faults(&actions, "/actions"))?;
        let between = u64::from(delay_between_actions);
        if actions.iter().map(|action| u64::from(action.delay_ms) + between).sum::<u64>() > LONGEST_WAIT {
            return Err(Error::invalid("/actions", "the delays add up to more than an hour: send fewer actions at once"));
        }
        let shot = snapshot(self.row(&snapshot_id).await?);
        // Whoever goes away takes the clicks along.
        let cancel = cancel.child_token();
        let _gone = cancel.clone().drop_guard();
        let inner = Arc::clone(&self.inner);
        let target = shot.target.clone();
        let desktop = blocking(move || Ok(inner.desktops.get(target.as_deref())?)).await?;
        let who = Who::action(&format!("the clicks of snapshot {snapshot_id}"), token);
        let mut lease = desktop.turn_soon(who.clone(), &cancel).await?.into_lease();
        let mut results = Vec::with_capacity(actions.len());
        for (index, action) in actions.iter().enumerate() {
            if index > 0 {
                pause(between, &cancel).await?;
            }
            pause(u64::from(action.delay_ms), &cancel).await?;
            // In between a person may have taken over, or everything been stopped.
            let acting = desktop.turn_again(lease.take(), &who, &cancel).await?;
            let (done, acting) = act(&desktop, &shot, action, acting, &cancel).await?;
            lease = acting.into_lease();
            let failed = done.is_err();
            results.push(result(action, done));
            if failed && sequential {
                break;
            }
        }
        let success = results.len() == actions.len() && results.iter().all(|result| result.success);
        Ok(ClickAnswer { success, snapshot_id, results, execution_time: started.elapsed().as_secs_f64() })
    }
}

/// What is wrong with actions whatever the picture.
pub(super) fn action_faults(actions: &[Action], path: &str) -> Vec<(String, String)> {
    twice(actions.iter().map(|action| action.id.as_str()), path)
}

async fn pause(milliseconds: u64, cancel: &CancellationToken) -> Result<(), Error> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => Ok(()),
    }
}

/// Does one click: gives the point of the screen, or why it was not done. Fails only where no other can be done either.
async fn act(
    desktop: &Arc<Desktop>,
    shot: &Snapshot,
    action: &Action,
    acting: Acting,
    cancel: &CancellationToken,
) -> Result<(Result<(i32, i32), String>, Acting), Error> {
    let (desktop, shot, action, cancel) = (Arc::clone(desktop), shot.clone(), action.clone(), cancel.clone());
    blocking(move || {
        let monitors = desktop.screen().monitors()?;
        let area = monitors.get(shot.monitor).map(crate::screen::Monitor::region);
        let (x, y) = match on_screen(&shot, area, action.x, action.y) {
            Ok(point) => point,
            Err(outside) => return Ok((Err(outside), acting)),
        };
        let (button, clicks) = match action.action_type {
            ActionType::Click => (action.button, 1),
            ActionType::DoubleClick => (action.button, 2),
            ActionType::RightClick => (Button::Right, 1),
        };
        match desktop.input().click(&Click { x, y, button, clicks, duration: 0.0 }, &cancel) {
            Ok(()) => Ok((Ok((x, y)), acting)),
            Err(input::Error::Cancelled) => Err(acting.stopped().map_or(Error::Cancelled, Error::from)),
            Err(error) => Ok((Err(error.to_string()), acting)),
        }
    })
    .await
}

/// Where a point of the snapshot is now. `area` is its monitor's place, if that is still there.
fn on_screen(shot: &Snapshot, area: Option<Region>, x: u32, y: u32) -> Result<(i32, i32), String> {
    if x >= shot.width || y >= shot.height {
        return Err(format!("the point ({x}, {y}) does not lie in the snapshot, which is {}×{}", shot.width, shot.height));
    }
    let Some(area) = area else {
        return Err(format!("the monitor {} that the snapshot shows is not there any more", shot.monitor));
    };
    let corner = shot.region.map_or((0, 0), |region| (region.x, region.y));
    let to = |start: i32, corner: i32, point: u32| i32::try_from(i64::from(start) + i64::from(corner) + i64::from(point)).ok();
    match (to(area.x, corner.0, x), to(area.y, corner.1, y)) {
        (Some(x), Some(y)) if area.contains(x, y) => Ok((x, y)),
        _ => Err(format!("the monitor {} is smaller now than in the snapshot: ({x}, {y}) is not on it", shot.monitor)),
    }
}

fn result(action: &Action, done: Result<(i32, i32), String>) -> ActionResult {
    ActionResult {
        action_id: action.id.clone(),
        name: action.name.clone(),
        success: done.is_ok(),
        x: action.x,
        y: action.y,
        screen_x: done.as_ref().ok().map(|(x, _)| *x),
        screen_y: done.as_ref().ok().map(|(_, y)| *y),
        error: done.err(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::ImageFormat;

    #[test]
    fn a_point_goes_through_the_region_and_the_monitor() {
        let shot = Snapshot {
            snapshot_id: "s".to_owned(),
            timestamp: String::new(),
            monitor: 1,
            region: Some(Region { x: 100, y: 50, width: 200, height: 100 }),
            width: 200,
            height: 100,
            quality: 85,
            format: ImageFormat::Jpeg,
            size_bytes: 1,
            target: None,
        };
        let right = Some(Region { x: 1280, y: -200, width: 800, height: 600 });
        assert_eq!(on_screen(&shot, right, 5, 7), Ok((1385, -143)));
        assert_eq!(on_screen(&shot, right, 199, 99), Ok((1579, -51)));
        for (x, y) in [(200, 0), (0, 100), (u32::MAX, u32::MAX)] {
            assert!(on_screen(&shot, right, x, y).unwrap_err().contains("does not lie in the snapshot"));
        }
        assert!(on_screen(&shot, None, 5, 7).unwrap_err().contains("not there any more"));
        let small = Some(Region { x: 0, y: 0, width: 102, height: 60 });
        assert_eq!(on_screen(&shot, small, 1, 9), Ok((101, 59)));
        assert!(on_screen(&shot, small, 2, 9).unwrap_err().contains("smaller now"));
        let far = Some(Region { x: i32::MAX - 10, y: 0, width: u32::MAX, height: 600 });
        assert!(on_screen(&shot, far, 5, 7).is_err());
    }
}
