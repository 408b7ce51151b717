//! What an X server tells of changes (XDamage) and of the pointer (XFixes, XInput), over a connection of its own.
//!
//! Of pictures it says once that something has changed and is then silent until asked where (`NON_EMPTY`), so that a film costs no more messages
//! than pictures that are taken of it.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Instant;

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::errors::{ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::damage::{self, ConnectionExt as _};
use x11rb::protocol::xfixes::{self, ConnectionExt as _};
use x11rb::protocol::xinput::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use super::{Bell, Error, Heard, Pointer, Region, Shape, Signal, Woken};

/// More rectangles than this are told as the one around them.
const MANY: usize = 256;
/// All the devices that move a pointer.
const ALL_POINTERS: u16 = 1;

pub(super) struct Damage {
    display: String,
    connection: RustConnection,
    root: Window,
    damage: damage::Damage,
    region: xfixes::Region,
    /// What the pointer looked like when it was asked, until it looks otherwise.
    shape: Option<Arc<Shape>>,
}

/// What went wrong on the way.
struct Lost(String);

macro_rules! lost_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Lost {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}
lost_from!(ConnectionError, ReplyError, ReplyOrIdError, x11rb::errors::ConnectError, x11rb::errors::IdsExhausted, std::io::Error);

impl Damage {
    /// Listens to the display; `None` where its server does not tell.
    pub(super) fn open(display: &str, pointer: bool) -> Result<Option<Self>, Error> {
        listen(display, pointer).map_err(|lost| unavailable(display, lost))
    }

    /// Waits until there is something new, the bell rings, or `until`.
    pub(super) fn wait(&mut self, bell: &Bell, until: Option<Instant>) -> Result<Heard, Error> {
        self.heard(bell, until).map_err(|lost| unavailable(&self.display, lost))
    }

    /// The pointer as it is now.
    pub(super) fn pointer(&mut self) -> Result<Pointer, Error> {
        self.looked().map_err(|lost| unavailable(&self.display, lost))
    }

    /// Rings when there is something new.
    pub(super) fn signal(&self) -> std::io::Result<Signal> {
        Signal::new(self.connection.stream().as_fd())
    }

    /// Where something has changed; from here on it tells anew.
    pub(super) fn take(&mut self) -> Result<Vec<Region>, Error> {
        self.taken().map_err(|lost| unavailable(&self.display, lost))
    }

    fn heard(&mut self, bell: &Bell, until: Option<Instant>) -> Result<Heard, Lost> {
        let mut heard = Heard::default();
        loop {
            while let Some(event) = self.connection.poll_for_event()? {
                match event {
                    Event::DamageNotify(_) => heard.picture = true,
                    Event::XinputRawMotion(_) => heard.pointer = true,
                    Event::XfixesCursorNotify(_) => {
                        self.shape = None;
                        heard.pointer = true;
                    }
                    _ => {}
                }
            }
            if heard != Heard::default() || bell.wait(&[self.connection.stream().as_fd()], until)? != Woken::Readable {
                return Ok(heard);
            }
        }
    }

    fn looked(&mut self) -> Result<Pointer, Lost> {
        let place = self.connection.query_pointer(self.root)?.reply()?;
        let shape = match &self.shape {
            Some(shape) => Arc::clone(shape),
            None => {
                let seen = self.connection.xfixes_get_cursor_image()?.reply()?;
                let (size, hotspot) = ((seen.width.into(), seen.height.into()), (seen.xhot.into(), seen.yhot.into()));
                let shape = Arc::new(Shape::of_argb(seen.cursor_serial, size, hotspot, &seen.cursor_image));
                Arc::clone(self.shape.insert(shape))
            }
        };
        Ok(Pointer { x: place.root_x.into(), y: place.root_y.into(), shape })
    }

    fn taken(&self) -> Result<Vec<Region>, Lost> {
        self.connection.damage_subtract(self.damage, x11rb::NONE, self.region)?.ignore_error();
        let fetched = self.connection.xfixes_fetch_region(self.region)?.reply()?;
        let whole = [fetched.extents];
        let rectangles = if fetched.rectangles.len() > MANY { &whole[..] } else { &fetched.rectangles };
        let region = |r: &x11rb::protocol::xproto::Rectangle| Region {
            x: r.x.into(),
            y: r.y.into(),
            width: r.width.into(),
            height: r.height.into(),
        };
        Ok(rectangles.iter().map(region).filter(|region| region.width > 0 && region.height > 0).collect())
    }
}

fn listen(name: &str, pointer: bool) -> Result<Option<Damage>, Lost> {
    let (connection, number) = RustConnection::connect(Some(name))?;
    let root = connection.setup().roots.get(number).ok_or_else(|| Lost("it has no such screen".to_owned()))?.root;
    for extension in [damage::X11_EXTENSION_NAME, xfixes::X11_EXTENSION_NAME] {
        if connection.extension_information(extension)?.is_none() {
            tracing::info!("the X server of {name} has no {extension}; changes are found by comparing pictures");
            return Ok(None);
        }
    }
    // Both have to be asked before they do anything.
    connection.damage_query_version(1, 1)?.reply()?;
    connection.xfixes_query_version(5, 0)?.reply()?;
    let (damage, region) = (connection.generate_id()?, connection.generate_id()?);
    connection.xfixes_create_region(region, &[])?.check()?;
    connection.damage_create(damage, root, damage::ReportLevel::NON_EMPTY)?.check()?;
    if pointer {
        connection.xfixes_select_cursor_input(root, xfixes::CursorNotifyMask::DISPLAY_CURSOR)?.check()?;
    }
    // Without it the pointer is looked at as often as the picture.
    if pointer && connection.extension_information(xinput::X11_EXTENSION_NAME)?.is_some() {
        connection.xinput_xi_query_version(2, 2)?.reply()?;
        let motion = xinput::EventMask { deviceid: ALL_POINTERS, mask: vec![xinput::XIEventMask::RAW_MOTION] };
        connection.xinput_xi_select_events(root, &[motion])?.check()?;
    }
    Ok(Some(Damage { display: name.to_owned(), connection, root, damage, region, shape: None }))
}

fn unavailable(display: &str, Lost(reason): Lost) -> Error {
    Error::Unavailable { display: display.to_owned(), reason }
}
