//! The screen of another machine, through VNC: its picture is here already, and its server tells of changes.

use std::sync::Arc;
use std::time::Instant;

use super::frame::{Frame, Pixels};
use super::{Backend, Bell, Error, Extent, Heard, Monitor, Pointer, Region, Shape, Watch, Woken};
use crate::vnc::{Area, Vnc, Watcher};

pub(super) struct Remote(pub(super) Arc<Vnc>);

impl Backend for Remote {
    fn bounds(&self) -> Result<Region, Error> {
        let (width, height) = self.0.size()?;
        Ok(Region { x: 0, y: 0, width, height })
    }

    /// One: what lies where on it, VNC does not say.
    fn monitors(&self) -> Result<Vec<Monitor>, Error> {
        let (width, height) = self.0.size()?;
        let name = self.0.address().to_string();
        Ok(vec![Monitor { index: 0, name, x: 0, y: 0, width, height, scale_factor: 1.0, is_primary: true }])
    }

    fn grab(&self, region: Region) -> Result<Frame, Error> {
        let Region { x, y, width, height } = region;
        // Not negative: it was found to lie on a screen that begins at 0.
        let pixels = self.0.grab(Area { x: x.unsigned_abs(), y: y.unsigned_abs(), width, height })?;
        Frame::new(Pixels::Owned(pixels), region)
    }

    fn portrait(&self, window: u32, _: Region) -> Result<(Frame, Extent), Error> {
        Err(Error::NoWindow(window))
    }

    fn watch(&self, bell: Arc<Bell>, _: bool) -> Result<Watch, Error> {
        let ring = Arc::clone(&bell);
        let watcher = self.0.watch(Arc::new(move || ring.ring()))?;
        Ok(Watch::of_remote(bell, Listener { vnc: Arc::clone(&self.0), watcher, shape: None }))
    }
}

/// Listens to what the server says.
pub(super) struct Listener {
    vnc: Arc<Vnc>,
    watcher: Watcher,
    /// The pointer's, until it looks otherwise.
    shape: Option<Arc<Shape>>,
}

impl Listener {
    /// Waits until there is something new, the bell rings, or `until`.
    pub(super) fn wait(&self, bell: &Bell, until: Option<Instant>) -> Result<Heard, Error> {
        let (picture, pointer) = self.watcher.heard()?;
        if picture || pointer {
            return Ok(Heard { picture, pointer });
        }
        let woken = bell.rest(until).map_err(|error| Error::Failed(format!("waiting failed: {error}")))?;
        // It rings for news as it does for those who watch.
        let (picture, pointer) = if woken == Woken::Late { (false, false) } else { self.watcher.heard()? };
        Ok(Heard { picture, pointer })
    }

    /// The pointer, as far as it was moved from here; none where the server paints it into the picture.
    pub(super) fn pointer(&mut self) -> Option<Pointer> {
        let cursor = self.vnc.cursor()?;
        let (x, y) = self.vnc.pointer();
        let shape = match &self.shape {
            Some(shape) if shape.id == cursor.id => Arc::clone(shape),
            _ => {
                let (size, hotspot, rgba) = (cursor.size, cursor.hotspot, cursor.rgba.clone());
                Arc::clone(self.shape.insert(Arc::new(Shape { id: cursor.id, size, hotspot, rgba })))
            }
        };
        let place = |at: u32| i32::try_from(at).unwrap_or(0);
        Some(Pointer { x: place(x), y: place(y), shape })
    }

    /// Where the picture has changed.
    pub(super) fn take(&self) -> Result<Vec<Region>, Error> {
        let place = |at: u32| i32::try_from(at).unwrap_or(0);
        let region = |area: Area| Region { x: place(area.x), y: place(area.y), width: area.width, height: area.height };
        Ok(self.watcher.changes()?.into_iter().map(region).filter(|region| region.width > 0 && region.height > 0).collect())
    }
}
