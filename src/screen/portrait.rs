//! A picture of one window of an X display, also where others cover it, or where it reaches over the screen's edge.
//!
//! The X server is asked to draw the window by itself (Composite), over a connection of its own that ends with the picture: whatever comes
//! in between, the window is then drawn as before.

use std::time::{Duration, Instant};

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::composite::{self, ConnectionExt as _, Redirect};
use x11rb::protocol::damage::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, MapState, Window, WindowClass};
use x11rb::protocol::{ErrorKind, Event};
use x11rb::rust_connection::RustConnection;

use super::frame::{Frame, Pixels};
use super::{Error, Region};

/// How long a program has to begin to draw what others covered.
const BEGIN: Duration = Duration::from_millis(400);
/// How long it must have drawn nothing to be done with it.
const QUIET: Duration = Duration::from_millis(100);
/// How long it is waited for at all: a film never comes to rest.
const END: Duration = Duration::from_secs(1);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(10);
/// All planes of a drawable.
const ALL_PLANES: u32 = !0;

/// Where a window's pixels are.
pub(super) enum Portrait {
    /// Here, all of them.
    Taken(Frame),
    /// On the screen, at this place; whether that is all of them.
    OnScreen(Region, bool),
}

/// What went wrong on the way.
enum Lost {
    Connection(String),
    Vanished,
    Other(Error),
}

macro_rules! lost_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Lost {
            fn from(error: $error) -> Self {
                Self::Connection(error.to_string())
            }
        }
    )*};
}
lost_from!(ConnectError, ConnectionError, ReplyOrIdError);

impl From<ReplyError> for Lost {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            ReplyError::X11Error(error) if matches!(error.error_kind, ErrorKind::Window | ErrorKind::Drawable) => Self::Vanished,
            ReplyError::X11Error(error) => Self::Other(Error::Failed(format!("the X server says {:?}", error.error_kind))),
        }
    }
}

/// The picture of `window` where it lies at `region` with its frame.
pub(super) fn take(display: &str, window: Window, region: Region) -> Result<Portrait, Error> {
    sit(display, window, region).map_err(|lost| match lost {
        Lost::Connection(reason) => Error::Unavailable { display: display.to_owned(), reason },
        Lost::Vanished => Error::NoWindow(window),
        Lost::Other(error) => error,
    })
}

fn sit(display: &str, window: Window, region: Region) -> Result<Portrait, Lost> {
    let (connection, number) = RustConnection::connect(Some(display))?;
    let root = connection.setup().roots.get(number).ok_or_else(|| Lost::Connection("it has no such screen".to_owned()))?.root;
    let mut top = window;
    loop {
        let parent = connection.query_tree(top)?.reply()?.parent;
        if parent == root || parent == x11rb::NONE {
            break;
        }
        top = parent;
    }
    if connection.get_window_attributes(window)?.reply()?.map_state != MapState::VIEWABLE {
        return Err(Lost::Other(Error::Unseen(window)));
    }
    let place = place(&connection, top)?;
    let part = region.overlap(place).ok_or(Lost::Vanished)?;
    let shown = connection.get_geometry(root)?.reply()?;
    let screen = Region { x: 0, y: 0, width: shown.width.into(), height: shown.height.into() };
    let whole = screen.encloses(&part) && !is_covered(&connection, root, top, part)?;
    let visible = || screen.overlap(part).map(|visible| Portrait::OnScreen(visible, whole)).ok_or(Lost::Other(Error::Unseen(window)));
    if whole || !draws_apart(&connection)? {
        return visible();
    }
    redirect(&connection, number, top)?;
    let pixmap = connection.generate_id()?;
    connection.composite_name_window_pixmap(top, pixmap)?.check()?;
    let small = |number: i32| i16::try_from(number).map_err(|_| Lost::Vanished);
    let side = |number: u32| u16::try_from(number).map_err(|_| Lost::Vanished);
    // Not negative: the part lies in the place.
    let (x, y) = (small(part.x - place.x)?, small(part.y - place.y)?);
    let image = connection.get_image(ImageFormat::Z_PIXMAP, pixmap, x, y, side(part.width)?, side(part.height)?, ALL_PLANES)?.reply()?;
    // A window of other colours than the screen's.
    if !matches!(image.depth, 24 | 32) {
        return visible();
    }
    Frame::new(Pixels::Owned(image.data), part).map(Portrait::Taken).map_err(Lost::Other)
}

/// Where a top-level window lies, with its border.
fn place(connection: &RustConnection, top: Window) -> Result<Region, Lost> {
    let geometry = connection.get_geometry(top)?.reply()?;
    let border = u32::from(geometry.border_width) * 2;
    let (width, height) = (u32::from(geometry.width) + border, u32::from(geometry.height) + border);
    Ok(Region { x: geometry.x.into(), y: geometry.y.into(), width, height })
}

/// Whether a window that lies above `top` hides some of `part`.
fn is_covered(connection: &RustConnection, root: Window, top: Window, part: Region) -> Result<bool, Lost> {
    let children = connection.query_tree(root)?.reply()?.children;
    for above in children.into_iter().rev().take_while(|child| *child != top) {
        let (attributes, region) = match (connection.get_window_attributes(above)?.reply().map_err(Lost::from), place(connection, above)) {
            (Ok(attributes), Ok(region)) => (attributes, region),
            (Err(Lost::Vanished), _) | (_, Err(Lost::Vanished)) => continue,
            (Err(lost), _) | (_, Err(lost)) => return Err(lost),
        };
        let shows = attributes.map_state == MapState::VIEWABLE && attributes.class != WindowClass::INPUT_ONLY;
        if shows && region.overlap(part).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the server can draw a window by itself, and say when it is drawn.
fn draws_apart(connection: &RustConnection) -> Result<bool, Lost> {
    for extension in [composite::X11_EXTENSION_NAME, damage::X11_EXTENSION_NAME] {
        if connection.extension_information(extension)?.is_none() {
            return Ok(false);
        }
    }
    let version = connection.composite_query_version(0, 4)?.reply()?;
    connection.damage_query_version(1, 1)?.reply()?;
    Ok((version.major_version, version.minor_version) >= (0, 2))
}

/// Has the window drawn by itself, and waits until its program has drawn what others covered.
fn redirect(connection: &RustConnection, number: usize, top: Window) -> Result<(), Lost> {
    let name = connection.intern_atom(false, format!("_NET_WM_CM_S{number}").as_bytes())?.reply()?.atom;
    let is_composited = connection.get_selection_owner(name)?.reply()?.owner != x11rb::NONE;
    let damage = connection.generate_id()?;
    connection.damage_create(damage, top, damage::ReportLevel::RAW_RECTANGLES)?.check()?;
    connection.get_input_focus()?.reply()?;
    // What was there already is told as well.
    while connection.poll_for_event()?.is_some() {}
    connection.composite_redirect_window(top, Redirect::AUTOMATIC)?.check()?;
    // Under a compositor it has been drawn by itself all the time.
    if is_composited {
        return Ok(());
    }
    let begin = Instant::now();
    let mut last = None;
    loop {
        while let Some(event) = connection.poll_for_event()? {
            if matches!(event, Event::DamageNotify(_)) {
                last = Some(Instant::now());
            }
        }
        let done = last.map_or(begin.elapsed() >= BEGIN, |last| last.elapsed() >= QUIET);
        if done || begin.elapsed() >= END {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
}
