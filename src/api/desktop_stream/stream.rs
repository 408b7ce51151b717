//! One stream of a socket: which picture is due when, and what it looks like.

use std::time::Duration;

use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::error::Result;
use super::super::state::{State, blocking};
use super::super::success::unix_now;
use super::binary::Painting;
use super::said::{StreamConfig, StreamFormat};
use crate::desktop::{Action, Change, Client, Desktop, Error, Picture, Shot, Showing, View, Viewer};
use crate::error::{Failure, Kind};
use crate::screen::{self, Region};
use crate::services::Name;

/// A client hears of an unchanged screen at least this often.
pub(super) const ALIVE: Duration = Duration::from_secs(2);

/// A stream under way.
pub(super) struct Stream {
    state: State,
    desktop: Arc<Desktop>,
    pub(super) viewer: Viewer,
    /// Cancelled when the desktop is stopped or has crashed.
    pub(super) session: CancellationToken,
    pub(super) target: Option<String>,
    monitor: usize,
    /// What the client has said; the rest is as usual.
    wanted: Change,
    pub(super) showing: Showing,
    pub(super) view: View,
    /// In the format `jpeg` the one that is shown. A client that does not read must not keep one for itself in the format `binary`.
    newest: Option<Arc<Shot>>,
    /// The newest was not sent yet.
    pub(super) fresh: bool,
    /// The newest, on its way to be a picture. Kept, so that a busy client does not make it begin again and again.
    making: Option<JoinHandle<Result<Arc<Picture>, Error>>>,
    /// When the last picture was begun.
    pub(super) begun: Option<Instant>,
    count: u64,
    /// What goes out instead of whole pictures in the format `binary`.
    pub(super) painting: Option<Painting>,
    _client: Client,
}

/// What a stream has to say.
pub(super) enum Due {
    /// A picture.
    Picture(Arc<Picture>),
    /// What has changed in it.
    Update(Vec<u8>),
    /// Where the pointer is.
    Pointer(String),
    /// The picture has another size from now on.
    Resized,
}

impl Stream {
    /// Begins to show what is asked for.
    pub(super) async fn begin(state: &State, config: &StreamConfig) -> Result<Self> {
        let session = state.enter(Name::LiveDesktop)?;
        state.grant().screen()?;
        let desktop = state.desktops().reach(config.target.as_deref()).await?;
        let wanted = config.change();
        let showing = state.desktops().streams().usual().with(&wanted);
        let monitor = config.monitor.unwrap_or(0);
        let area = area_of(&desktop, monitor).await?;
        let viewer = desktop.watch(monitor, showing.fps)?;
        let mut stream = Self {
            state: state.clone(),
            desktop,
            viewer,
            session,
            target: config.target.clone(),
            monitor,
            wanted,
            showing,
            view: View::new(area, showing.scale_factor),
            newest: None,
            fresh: false,
            making: None,
            begun: None,
            count: 0,
            painting: None,
            _client: state.desktops().streams().join(),
        };
        stream.send_as(config.format.unwrap_or_default());
        Ok(stream)
    }

    /// The desktop that it shows.
    pub(super) fn desktop(&self) -> &Arc<Desktop> {
        &self.desktop
    }

    fn format(&self) -> StreamFormat {
        if self.painting.is_some() { StreamFormat::Binary } else { StreamFormat::Jpeg }
    }

    fn send_as(&mut self, format: StreamFormat) {
        if format == self.format() {
            return;
        }
        self.making = None;
        self.viewer.set_busy(false);
        (self.newest, self.painting) = match format {
            StreamFormat::Jpeg => (self.viewer.current(), None),
            StreamFormat::Binary => {
                self.viewer.follow_pointer();
                (None, Some(Painting::new()))
            }
        };
        self.fresh = self.newest.is_some();
    }

    /// Shows it otherwise from now on.
    pub(super) async fn configure(&mut self, config: &StreamConfig) -> Result<()> {
        let target = config.target.as_ref().or(self.target.as_ref());
        // Another desktop has monitors of its own.
        let monitor = config.monitor.unwrap_or(if target == self.target.as_ref() { self.monitor } else { 0 });
        if monitor != self.monitor || target != self.target.as_ref() {
            let (target, desktop) = (target.cloned(), self.state.desktops().reach(target.map(String::as_str)).await?);
            let area = area_of(&desktop, monitor).await?;
            self.viewer = desktop.watch(monitor, self.showing.fps)?;
            (self.target, self.desktop, self.monitor) = (target, desktop, monitor);
            self.view = View::new(area, self.showing.scale_factor);
            (self.newest, self.making, self.fresh) = (None, None, false);
            if let Some(painting) = &mut self.painting {
                self.viewer.follow_pointer();
                painting.begin_anew();
            }
        }
        if let Some(format) = config.format {
            self.send_as(format);
        }
        self.wanted = self.wanted.then(&config.change());
        self.follow();
        self.begun = None;
        Ok(())
    }

    /// Takes over what is usual now, where the client has not said otherwise; says whether that changes anything.
    pub(super) fn follow(&mut self) -> bool {
        let showing = self.state.desktops().streams().usual().with(&self.wanted);
        if showing == self.showing {
            return false;
        }
        if let Some(painting) = self.painting.as_mut().filter(|_| showing.scale_factor.to_bits() != self.showing.scale_factor.to_bits()) {
            painting.begin_anew();
        }
        self.showing = showing;
        self.view = View::new(self.view.area, showing.scale_factor);
        self.viewer.set_pace(showing.fps);
        self.making = None;
        self.fresh = self.newest.is_some();
        true
    }

    /// What is due next. May be dropped while it waits.
    pub(super) async fn due(&mut self) -> Result<Due, Failure> {
        if self.painting.is_some() {
            return self.due_update().await;
        }
        loop {
            if let Some(making) = &mut self.making {
                let made = making.await;
                self.making = None;
                return Ok(Due::Picture(made.map_err(|_| Error::Ended("encoding a picture"))??));
            }
            let pace = Duration::from_secs(1) / self.showing.fps;
            let now = Instant::now();
            let earliest = self.begun.map_or(now, |begun| begun + pace);
            let latest = self.begun.map_or(now, |begun| begun + ALIVE.max(pace));
            if let Some(newest) = self.newest.as_ref().filter(|_| now >= if self.fresh { earliest } else { latest }) {
                self.fresh = false;
                let area = newest.frame().region();
                let look = self.showing.look();
                let shot = Arc::clone(newest);
                self.making = Some(tokio::spawn(async move { shot.picture(look).await }));
                // From when it was due: neither what making and sending it take nor being late once makes it slower for good.
                self.begun = Some(if now < earliest + pace { earliest } else { now });
                if area != self.view.area {
                    self.view = View::new(area, self.showing.scale_factor);
                    return Ok(Due::Resized);
                }
                continue;
            }
            let wake = if self.fresh { earliest } else { latest };
            tokio::select! {
                shot = self.viewer.next() => {
                    self.newest = Some(shot?);
                    self.fresh = true;
                }
                () = sleep_until(wake), if self.newest.is_some() => {}
                () = self.session.cancelled() => return Err(self.stopped()),
            }
        }
    }

    /// An update was shown, and all before it.
    pub(super) fn acknowledged(&mut self, sequence: u32) {
        if let Some(painting) = &mut self.painting {
            painting.acknowledged(sequence);
        }
    }

    /// The next picture is to be a whole one. In the format `jpeg` each is.
    pub(super) fn renew(&mut self) {
        self.fresh = self.newest.is_some();
        if let Some(painting) = &mut self.painting {
            painting.renew();
        }
    }

    /// Why a stream ends although its client did nothing.
    pub(super) fn stopped(&self) -> Failure {
        let again = || Failure::new(Kind::ServiceUnavailable, "the desktop was restarted: start the stream again");
        self.state.services().enter(Name::LiveDesktop).err().unwrap_or_else(again)
    }

    /// `stream_started`.
    pub(super) fn started(&self) -> Value {
        let Region { x, y, width, height } = self.view.area;
        json!({
            "type": "stream_started",
            "width": self.view.size.0,
            "height": self.view.size.1,
            "fps": self.showing.fps,
            "quality": self.showing.quality,
            "scale_factor": self.showing.scale_factor,
            "target": self.desktop.name(),
            "monitor": self.monitor,
            "format": self.format(),
            "screen": { "x": x, "y": y, "width": width, "height": height },
        })
    }

    /// `frame`. Written by hand: the picture's text is long and has nothing to escape.
    pub(super) fn frame(&mut self, picture: &Picture) -> String {
        self.count += 1;
        format!(
            r#"{{"type":"frame","image_data":"{}","width":{},"height":{},"frame":{},"timestamp":{}}}"#,
            picture.base64(),
            picture.width,
            picture.height,
            self.count,
            unix_now()
        )
    }

    /// The action with the picture's coordinates turned into those of the screen.
    pub(super) fn on_screen(&self, action: Action) -> Result<Action, Failure> {
        let at = |x: i32, y: i32| {
            if self.view.contains(x, y) {
                return Ok(self.view.to_screen(x, y));
            }
            let (width, height) = self.view.size;
            let message = format!("the point ({x}, {y}) is outside the picture, which is {width}×{height} large");
            let details = json!({ "errors": [{ "path": "/x", "message": message }] });
            Err(Failure::new(Kind::ValidationError, message).with(details))
        };
        // Half a point stays one, and is refused where it is used.
        let place = |place: &mut Option<i32>, other: &mut Option<i32>| {
            if let (Some(x), Some(y)) = (*place, *other) {
                let (x, y) = at(x, y)?;
                (*place, *other) = (Some(x), Some(y));
            }
            Ok::<(), Failure>(())
        };
        let mut action = action;
        match &mut action {
            Action::Move(to) => (to.x, to.y) = at(to.x, to.y)?,
            Action::Click(click) => (click.x, click.y) = at(click.x, click.y)?,
            Action::Drag(drag) => {
                (drag.from_x, drag.from_y) = at(drag.from_x, drag.from_y)?;
                (drag.to_x, drag.to_y) = at(drag.to_x, drag.to_y)?;
            }
            Action::Scroll(scroll) => place(&mut scroll.x, &mut scroll.y)?,
            Action::ButtonDown(hold) | Action::ButtonUp(hold) => place(&mut hold.x, &mut hold.y)?,
            Action::Type(_)
            | Action::Press(_)
            | Action::Hotkey(_)
            | Action::KeyDown(_)
            | Action::KeyUp(_)
            | Action::CodePress(_)
            | Action::CodeDown(_)
            | Action::CodeUp(_) => {}
        }
        Ok(action)
    }
}

/// Where a monitor is, if there is one.
async fn area_of(desktop: &Arc<Desktop>, monitor: usize) -> Result<Region> {
    let desktop = Arc::clone(desktop);
    blocking(move || {
        let monitors = desktop.screen().monitors()?;
        let found = monitors.get(monitor).ok_or(screen::Error::NoMonitor { asked: monitor, count: monitors.len() })?;
        Ok(found.region())
    })
    .await
}
