//! The screen of an X display: captured through shared memory, or over the connection where that cannot be.
//!
//! The connection is opened anew when it breaks, so that a restarted X server is found again at the next use.

use std::sync::{Arc, Mutex, PoisonError};

use x11rb::connection::Connection;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::ErrorKind;
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, ImageFormat, ImageOrder, Screen as Root, Window};
use x11rb::rust_connection::RustConnection;

use super::damage::Damage;
use super::frame::{Frame, Pixels};
use super::portrait::{self, Portrait};
use super::segment::{Lent, Pool};
use super::{Backend, Bell, Error, Extent, Monitor, Region, Serial, Watch};

/// All planes of a drawable.
const ALL_PLANES: u32 = !0;

/// What went wrong while talking to the server.
#[derive(Debug)]
enum Broken {
    /// The connection is gone; another may work.
    Connection(String),
    /// The server refused with this kind of error.
    Refused(ErrorKind, String),
    /// Anything else, already said in this room's words.
    Other(Error),
}

impl From<ConnectionError> for Broken {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error.to_string())
    }
}

impl From<ReplyError> for Broken {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            ReplyError::X11Error(error) => Self::Refused(error.error_kind, format!("the X server says {:?}", error.error_kind)),
        }
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// One connection and what was learnt over it.
struct Session {
    connection: Arc<RustConnection>,
    root: Window,
    /// Shared memory, where the server can do that.
    pool: Option<Arc<Pool>>,
    has_monitors: bool,
}

pub(super) struct X11 {
    display: String,
    session: Mutex<Option<Arc<Session>>>,
}

impl X11 {
    pub(super) fn open(display: String) -> Result<Self, Error> {
        let this = Self { display, session: Mutex::default() };
        this.session()?;
        Ok(this)
    }

    fn session(&self) -> Result<Arc<Session>, Error> {
        let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = slot.as_ref() {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(&self.display)?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Does `work` over the connection; if that has broken since it was last used, once more over a new one.
    fn with<T>(&self, work: impl Fn(&Session) -> Result<T, Broken>) -> Result<T, Error> {
        let mut last = String::new();
        for _ in 0..2 {
            let session = self.session()?;
            match work(&session) {
                Ok(value) => return Ok(value),
                Err(Broken::Other(error)) => return Err(error),
                Err(Broken::Refused(_, reason)) => return Err(Error::Failed(reason)),
                Err(Broken::Connection(reason)) => {
                    let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
                    if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, &session)) {
                        *slot = None;
                    }
                    last = reason;
                }
            }
        }
        Err(Error::Unavailable { display: self.display.clone(), reason: last })
    }
}

impl Backend for X11 {
    fn bounds(&self) -> Result<Region, Error> {
        self.with(Session::bounds)
    }

    fn monitors(&self) -> Result<Vec<Monitor>, Error> {
        self.with(Session::monitors)
    }

    fn grab(&self, region: Region) -> Result<Frame, Error> {
        self.with(|session| session.grab(region))
    }

    fn regrab(&self, region: Region, serial: Serial, changed_since: &dyn Fn(u64) -> Vec<Region>) -> Result<Frame, Error> {
        self.with(|session| session.regrab(region, serial, changed_since))
    }

    fn portrait(&self, window: u32, region: Region) -> Result<(Frame, Extent), Error> {
        match portrait::take(&self.display, window, region)? {
            Portrait::Taken(frame) => Ok((frame, Extent::Whole)),
            Portrait::OnScreen(region, whole) => Ok((self.grab(region)?, if whole { Extent::Whole } else { Extent::Visible })),
        }
    }

    fn watch(&self, bell: Arc<Bell>, pointer: bool) -> Result<Watch, Error> {
        Ok(Watch::new(bell, Damage::open(&self.display, pointer)?))
    }
}

impl Session {
    fn open(display: &str) -> Result<Self, Error> {
        let unavailable = |reason: String| Error::Unavailable { display: display.to_owned(), reason };
        let (connection, number) = RustConnection::connect(Some(display)).map_err(|error| unavailable(error.to_string()))?;
        let connection = Arc::new(connection);
        let root = connection.setup().roots.get(number).ok_or_else(|| unavailable("it has no such screen".to_owned()))?.clone();
        check_pixels(&connection, &root)?;
        let has_monitors = connection
            .randr_query_version(1, 5)
            .ok()
            .and_then(|cookie| cookie.reply().ok())
            .is_some_and(|version| (version.major_version, version.minor_version) >= (1, 5));
        let pool = match Pool::new(Arc::clone(&connection)) {
            Ok(pool) => Some(Arc::new(pool)),
            Err(error) => {
                tracing::info!("{error}; captures take longer");
                None
            }
        };
        Ok(Self { connection, root: root.root, pool, has_monitors })
    }

    fn bounds(&self) -> Result<Region, Broken> {
        // Asked each time: the root grows and shrinks when monitors come and go.
        let root = self.connection.get_geometry(self.root)?.reply()?;
        Ok(Region { x: 0, y: 0, width: root.width.into(), height: root.height.into() })
    }

    fn monitors(&self) -> Result<Vec<Monitor>, Broken> {
        let mut infos: Vec<randr::MonitorInfo> =
            if self.has_monitors { self.connection.randr_get_monitors(self.root, true)?.reply()?.monitors } else { Vec::new() };
        infos.retain(|info| info.width > 0 && info.height > 0);
        // Asked each time: a session changes it while it goes on.
        let scale = self.scale()?;
        if infos.is_empty() {
            let Region { x, y, width, height } = self.bounds()?;
            let name = "screen".to_owned();
            return Ok(vec![Monitor { index: 0, name, x, y, width, height, scale_factor: scale.unwrap_or(1.0), is_primary: true }]);
        }
        infos.sort_by_key(|info| !info.primary);
        // A monitor may be said to reach out of the screen: what lies there is on none, cannot be seen and not be clicked.
        let bounds = self.bounds()?;
        let shown = |info: &randr::MonitorInfo| {
            Region { x: info.x.into(), y: info.y.into(), width: info.width.into(), height: info.height.into() }.overlap(bounds)
        };
        infos.retain(|info| shown(info).is_some());
        let names = infos.iter().map(|info| self.connection.get_atom_name(info.name)).collect::<Result<Vec<_>, _>>()?;
        let mut monitors = Vec::with_capacity(infos.len());
        for (index, (info, name)) in infos.into_iter().zip(names).enumerate() {
            let Region { x, y, width, height } = shown(&info).unwrap_or(bounds);
            monitors.push(Monitor {
                index,
                name: String::from_utf8_lossy(&name.reply()?.name).into_owned(),
                x,
                y,
                width,
                height,
                scale_factor: scale.unwrap_or_else(|| scale_of(info.width, info.width_in_millimeters)),
                is_primary: index == 0,
            });
        }
        Ok(monitors)
    }

    /// How much the session enlarges what it shows, from its `Xft.dpi`, where it says so.
    fn scale(&self) -> Result<Option<f64>, Broken> {
        let (kind, long) = (AtomEnum::STRING, 64 * 1024);
        let property = self.connection.get_property(false, self.root, AtomEnum::RESOURCE_MANAGER, kind, 0, long)?.reply()?;
        let text = String::from_utf8_lossy(&property.value);
        let dpi = text.lines().find_map(|line| line.strip_prefix("Xft.dpi:")).and_then(|dpi| dpi.trim().parse::<f64>().ok());
        Ok(dpi.filter(|dpi| (48.0..=960.0).contains(dpi)).map(|dpi| dpi / 96.0))
    }

    fn grab(&self, region: Region) -> Result<Frame, Broken> {
        let place = Place::of(region)?;
        let answer = match self.pool.as_ref().map(|pool| pool.lend(place.size())) {
            Some(Ok(lent)) => self.fetch(&lent, &place, [(0, place.height)]).map(|()| Pixels::Shared(lent)),
            // Out of shared memory, say: the slow way still works. A lost connection shows there too.
            Some(Err(_)) | None => {
                let Place { x, y, width, height } = place;
                let asked = self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, x, y, width, height, ALL_PLANES)?;
                asked.reply().map(|image| Pixels::Owned(image.data)).map_err(Broken::from)
            }
        };
        self.frame(answer, region)
    }

    fn regrab(&self, region: Region, serial: Serial, changed_since: &dyn Fn(u64) -> Vec<Region>) -> Result<Frame, Broken> {
        let place = Place::of(region)?;
        let Some(pool) = &self.pool else { return self.grab(region) };
        let (mut lent, rows) = match pool.lend_shown(region, serial.series, place.size()) {
            Some((lent, number)) => (lent, rows_of(&changed_since(number), place.height)),
            None => match pool.lend(place.size()) {
                Ok(lent) => (lent, vec![(0, place.height)]),
                Err(_) => return self.grab(region),
            },
        };
        let answer = self.fetch(&lent, &place, rows);
        if answer.is_ok() {
            lent.show(region, serial);
        }
        self.frame(answer.map(|()| Pixels::Shared(lent)), region)
    }

    /// Has the server write rows of the screen, each as where it begins and how many there are, into a segment.
    fn fetch(&self, lent: &Lent, place: &Place, rows: impl IntoIterator<Item = (u16, u16)>) -> Result<(), Broken> {
        let format = ImageFormat::Z_PIXMAP.into();
        let mut asked = Vec::new();
        for (first, count) in rows {
            let y = place.y.saturating_add(i16::try_from(first).unwrap_or(i16::MAX));
            let offset = u32::try_from(usize::from(first) * place.stride()).unwrap_or(u32::MAX);
            asked.push(self.connection.shm_get_image(self.root, place.x, y, place.width, count, ALL_PLANES, format, lent.id(), offset)?);
        }
        // All of them, so that none is written any more once this is back.
        let answers: Vec<_> = asked.into_iter().map(|cookie| cookie.reply()).collect();
        answers.into_iter().try_for_each(|answer| answer.map(drop)).map_err(Broken::from)
    }

    fn frame(&self, answer: Result<Pixels, Broken>, region: Region) -> Result<Frame, Broken> {
        match answer {
            Ok(pixels) => Ok(Frame::new(pixels, region)?),
            // The screen shrank between the check of the region and now.
            Err(Broken::Refused(ErrorKind::Match, _)) => {
                let bounds = self.bounds()?;
                Err(Error::OffScreen { asked: region, bounds, of: "the screen".to_owned() }.into())
            }
            Err(broken) => Err(broken),
        }
    }
}

/// A region as X says it.
struct Place {
    x: i16,
    y: i16,
    width: u16,
    height: u16,
}

impl Place {
    fn of(region: Region) -> Result<Self, Error> {
        let wide = || Error::Failed("the region is larger than X can express".to_owned());
        Ok(Self {
            x: i16::try_from(region.x).map_err(|_| wide())?,
            y: i16::try_from(region.y).map_err(|_| wide())?,
            width: u16::try_from(region.width).map_err(|_| wide())?,
            height: u16::try_from(region.height).map_err(|_| wide())?,
        })
    }

    fn stride(&self) -> usize {
        usize::from(self.width) * super::frame::PIXEL
    }

    fn size(&self) -> usize {
        self.stride() * usize::from(self.height)
    }
}

/// The rows that rectangles touch, from the top down; all of them at once where that is most.
fn rows_of(rectangles: &[Region], height: u16) -> Vec<(u16, u16)> {
    let row = |at: i64| u16::try_from(at.clamp(0, height.into())).unwrap_or(height);
    let mut touched: Vec<(u16, u16)> =
        rectangles.iter().map(|r| (row(r.y.into()), row(r.bottom()))).filter(|(top, end)| top < end).collect();
    touched.sort_unstable();
    let mut spans: Vec<(u16, u16)> = Vec::new();
    for (top, end) in touched {
        match spans.last_mut() {
            Some(last) if top <= last.1 => last.1 = last.1.max(end),
            _ => spans.push((top, end)),
        }
    }
    let all: u32 = spans.iter().map(|(top, end)| u32::from(end - top)).sum();
    if all * 4 > u32::from(height) * 3 {
        return vec![(0, height)];
    }
    spans.into_iter().map(|(top, end)| (top, end - top)).collect()
}

/// Refuses a display whose pixels are not four bytes of blue, green, red and nothing, which is what every frame is made of.
fn check_pixels(connection: &RustConnection, root: &Root) -> Result<(), Error> {
    let setup = connection.setup();
    let bits = setup.pixmap_formats.iter().find(|format| format.depth == root.root_depth).map(|format| format.bits_per_pixel);
    let visuals = root.allowed_depths.iter().flat_map(|depth| &depth.visuals);
    let masks = visuals.filter(|visual| visual.visual_id == root.root_visual).map(|v| (v.red_mask, v.green_mask, v.blue_mask)).next();
    if bits == Some(32) && masks == Some((0xff_0000, 0xff00, 0xff)) && setup.image_byte_order == ImageOrder::LSB_FIRST {
        return Ok(());
    }
    Err(Error::Failed(format!("the display has {} bits of colour: run it with 24", root.root_depth)))
}

/// How much a monitor asks to be enlarged by how close its pixels lie, where the session does not say: whole steps, as desktops do it.
fn scale_of(width: u16, millimeters: u32) -> f64 {
    // What claims to be smaller than a hand, or nothing at all, is no measure.
    if millimeters < 80 {
        return 1.0;
    }
    let dpi = f64::from(width) * 25.4 / f64::from(millimeters);
    (dpi / 96.0).floor().clamp(1.0, 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(y: i32, height: u32) -> Region {
        Region { x: 5, y, width: 10, height }
    }

    #[test]
    fn rows_are_fetched_once_and_all_at_once_where_that_is_most() {
        assert_eq!(rows_of(&[at(640, 64), at(0, 64), at(64, 10), at(10, 20)], 1080), [(0, 74), (640, 64)]);
        assert_eq!(rows_of(&[at(1000, 500), at(-20, 30)], 1080), [(0, 10), (1000, 80)]);
        assert_eq!(rows_of(&[at(0, 500), at(600, 400)], 1080), [(0, 1080)]);
        assert_eq!(rows_of(&[], 1080), []);
    }
}
