//! The screen of any platform that xcap knows. Slower than a path of one's own: a copy of every picture.

use std::sync::Arc;

use super::frame::{Frame, PIXEL, Pixels};
use super::{Backend, Bell, Error, Extent, Monitor, Region, Watch};

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
            let Some(shared) = region.overlap(monitor.region()) else { continue };
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

    fn portrait(&self, window: u32, region: Region) -> Result<(Frame, Extent), Error> {
        let windows = xcap::Window::all().map_err(|error| unavailable(&error))?;
        let found = windows.into_iter().find(|handle| handle.id().is_ok_and(|id| id == window)).ok_or(Error::NoWindow(window))?;
        if found.is_minimized().unwrap_or(false) {
            return Err(Error::Unseen(window));
        }
        let picture = found.capture_image().map_err(|error| Error::Failed(format!("window {window}: {error}")))?;
        let place = Region { width: picture.width(), height: picture.height(), ..region };
        let pixels = picture.pixels().flat_map(|pixel| [pixel.0[2], pixel.0[1], pixel.0[0], 0]).collect();
        Ok((Frame::new(Pixels::Owned(pixels), place)?, Extent::Whole))
    }

    fn watch(&self, bell: Arc<Bell>, _: bool) -> Result<Watch, Error> {
        #[cfg(target_os = "linux")]
        return Ok(Watch::new(bell, None));
        #[cfg(not(target_os = "linux"))]
        Ok(Watch::new(bell))
    }
}
