//! The screen of any platform that xcap knows. Slower than a path of one's own: a copy of every picture.

use std::sync::Arc;

use super::frame::{Frame, PIXEL, Pixels};
use super::{Backend, Bell, Error, Monitor, Region, Watch};

pub(super) struct Portable;

impl Portable {
    pub(super) fn open() -> Result<Self, Error> {
        let this = Self;
        this.found()?;
        Ok(this)
    }

    /// The monitors with xcap's handles, the primary one first.
    fn found(&self) -> Result<Vec<(Monitor, xcap::Monitor)>, Error> {
        let mut handles = xcap::Monitor::all().map_err(|error| unavailable(&error))?;
        if handles.is_empty() {
            return Err(Error::NoDisplay);
        }
        handles.sort_by_key(|handle| !handle.is_primary().unwrap_or(false));
        handles
            .into_iter()
            .enumerate()
            .map(|(index, handle)| {
                let monitor = Monitor {
                    index,
                    name: handle.name().unwrap_or_default(),
                    x: handle.x().map_err(|error| unavailable(&error))?,
                    y: handle.y().map_err(|error| unavailable(&error))?,
                    width: handle.width().map_err(|error| unavailable(&error))?,
                    height: handle.height().map_err(|error| unavailable(&error))?,
                    scale_factor: f64::from(handle.scale_factor().unwrap_or(1.0)),
                    is_primary: index == 0,
                };
                Ok((monitor, handle))
            })
            .collect()
    }
}

fn unavailable(error: &xcap::XCapError) -> Error {
    Error::Unavailable { display: "of this session".to_owned(), reason: error.to_string() }
}

impl Backend for Portable {
    fn bounds(&self) -> Result<Region, Error> {
        let regions = self.monitors()?.into_iter().map(|monitor| monitor.region());
        regions.reduce(Region::union).ok_or(Error::NoDisplay)
    }

    fn monitors(&self) -> Result<Vec<Monitor>, Error> {
        Ok(self.found()?.into_iter().map(|(monitor, _)| monitor).collect())
    }

    fn grab(&self, region: Region) -> Result<Frame, Error> {
        let size = (region.width as usize).checked_mul(region.height as usize).and_then(|pixels| pixels.checked_mul(PIXEL));
        let size = size.ok_or_else(|| Error::Failed("the region is larger than memory".to_owned()))?;
        let mut pixels = vec![0; size];
        for (monitor, handle) in self.found()? {
            let Some(shared) = overlap(region, monitor.region()) else { continue };
            let (left, top) = (shared.x.abs_diff(monitor.x), shared.y.abs_diff(monitor.y));
            let picture = handle
                .capture_region(left, top, shared.width, shared.height)
                .map_err(|error| Error::Failed(format!("monitor {}: {error}", monitor.index)))?;
            let (column, row) = (shared.x.abs_diff(region.x) as usize, shared.y.abs_diff(region.y) as usize);
            for (line, source) in picture.rows().enumerate() {
                let start = ((row + line) * region.width as usize + column) * PIXEL;
                let target = pixels.get_mut(start..).unwrap_or_default();
                for (to, from) in target.chunks_exact_mut(PIXEL).zip(source.take(shared.width as usize)) {
                    to.copy_from_slice(&[from.0[2], from.0[1], from.0[0], 0]);
                }
            }
        }
        Frame::new(Pixels::Owned(pixels), region)
    }

    fn watch(&self, bell: Arc<Bell>) -> Result<Watch, Error> {
        #[cfg(target_os = "linux")]
        return Ok(Watch::new(bell, None));
        #[cfg(not(target_os = "linux"))]
        Ok(Watch::new(bell))
    }
}

/// What two regions have in common.
fn overlap(a: Region, b: Region) -> Option<Region> {
    let (x, y) = (a.x.max(b.x), a.y.max(b.y));
    let width = u32::try_from(a.right().min(b.right()) - i64::from(x)).ok().filter(|width| *width > 0)?;
    let height = u32::try_from(a.bottom().min(b.bottom()) - i64::from(y)).ok().filter(|height| *height > 0)?;
    Some(Region { x, y, width, height })
}
