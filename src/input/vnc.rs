//! Mouse and keyboard of another machine, through VNC. Keys go by what they stand for; a server that goes by where keys are (QEMU does for
//! a machine's keyboard) is told that as well.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Area, Backend, Button, Error, Key, Point, Wheel};
use crate::vnc::Vnc;

/// How long a machine's keyboard, which remembers few keys at a time, is given for each.
const STROKE: Duration = Duration::from_millis(5);
/// So many keys between two looks at whether somebody asks for it to stop.
const AT_ONCE: usize = 8;

pub(super) struct Remote(pub(super) Arc<Vnc>);

impl Backend for Remote {
    fn areas(&self) -> Result<Vec<Area>, Error> {
        let (width, height) = self.0.size()?;
        Ok(vec![Area { x: 0, y: 0, width, height }])
    }

    fn position(&self) -> Result<Point, Error> {
        self.0.size()?;
        let (x, y) = self.0.pointer();
        Ok(Point { x: i32::try_from(x).unwrap_or(0), y: i32::try_from(y).unwrap_or(0) })
    }

    fn point(&self, x: i32, y: i32) -> Result<(), Error> {
        // Not negative: it was found to lie on a screen that begins at 0.
        Ok(self.0.point(x.unsigned_abs(), y.unsigned_abs())?)
    }

    fn button(&self, button: Button, down: bool) -> Result<(), Error> {
        let number = match button {
            Button::Left => 0,
            Button::Middle => 1,
            Button::Right => 2,
        };
        Ok(self.0.button(number, down)?)
    }

    fn wheel(&self, wheel: Wheel, steps: u32) -> Result<(), Error> {
        let number = match wheel {
            Wheel::Up => 3,
            Wheel::Down => 4,
            Wheel::Left => 5,
            Wheel::Right => 6,
        };
        for _ in 0..steps {
            self.0.button(number, true)?;
            self.0.button(number, false)?;
        }
        Ok(())
    }

    fn key(&self, key: Key, down: bool) -> Result<(), Error> {
        Ok(self.0.key(key.0, down)?)
    }

    /// Nothing has to be changed for it: the server finds out how to type what a key stands for.
    fn prepare(&self, text: &[Key], _: &CancellationToken) -> Result<usize, Error> {
        Ok(text.len().min(AT_ONCE))
    }

    fn tap(&self, key: Key) -> Result<(), Error> {
        self.0.tap(key.0)?;
        if self.0.goes_by_place() {
            std::thread::sleep(STROKE);
        }
        Ok(())
    }

    fn settle(&self) -> Result<(), Error> {
        Ok(())
    }

    /// What is sent arrives in its order, and before whatever is asked for afterwards; no answer says that it has.
    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}
