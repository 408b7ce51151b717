//! What an X server tells of changes (XDamage), over a connection of its own.
//!
//! It says once that something has changed and is then silent until asked where (`NON_EMPTY`), so that a film costs no more messages
//! than pictures that are taken of it.

use std::os::fd::AsFd as _;

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::errors::{ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::damage::{self, ConnectionExt as _};
use x11rb::protocol::xfixes::{self, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;

use super::{Bell, Error, Region, Woken};

/// More rectangles than this are told as the one around them.
const MANY: usize = 256;

pub(super) struct Damage {
    display: String,
    connection: RustConnection,
    damage: damage::Damage,
    region: xfixes::Region,
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
    pub(super) fn open(display: &str) -> Result<Option<Self>, Error> {
        listen(display).map_err(|lost| unavailable(display, lost))
    }

    /// Waits until something has changed, or the bell rings; says which.
    pub(super) fn wait(&mut self, bell: &Bell) -> Result<bool, Error> {
        self.heard(bell).map_err(|lost| unavailable(&self.display, lost))
    }

    /// Where something has changed; from here on it tells anew.
    pub(super) fn take(&mut self) -> Result<Vec<Region>, Error> {
        self.taken().map_err(|lost| unavailable(&self.display, lost))
    }

    fn heard(&self, bell: &Bell) -> Result<bool, Lost> {
        loop {
            let mut changed = false;
            while let Some(event) = self.connection.poll_for_event()? {
                changed |= matches!(event, Event::DamageNotify(_));
            }
            if changed {
                return Ok(true);
            }
            if bell.wait(&[self.connection.stream().as_fd()], None)? == Woken::Rung {
                return Ok(false);
            }
        }
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

fn listen(name: &str) -> Result<Option<Damage>, Lost> {
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
    Ok(Some(Damage { display: name.to_owned(), connection, damage, region }))
}

fn unavailable(display: &str, Lost(reason): Lost) -> Error {
    Error::Unavailable { display: display.to_owned(), reason }
}
