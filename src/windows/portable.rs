//! Windows of any platform that xcap knows. They can be looked at, and nothing else.

use tokio_util::sync::CancellationToken;

use super::{Act, Backend, Error, Margins, Window};

pub(super) struct Portable;

impl Backend for Portable {
    fn list(&self) -> Result<Vec<Window>, Error> {
        let windows = xcap::Window::all().map_err(|error| unavailable(&error))?;
        let mut monitors = xcap::Monitor::all().map_err(|error| unavailable(&error))?;
        // As the screen numbers them.
        monitors.sort_by_key(|monitor| !monitor.is_primary().unwrap_or(false));
        let numbers: Vec<_> = monitors.iter().map(xcap::Monitor::id).collect();
        // One that has closed meanwhile has no place any more.
        let mut listed: Vec<_> = windows.iter().filter_map(|window| Some((window.z().ok()?, look(window, &numbers).ok()?))).collect();
        listed.sort_by_key(|(height, _)| std::cmp::Reverse(*height));
        Ok(listed.into_iter().map(|(_, window)| window).collect())
    }

    fn get(&self, id: u32) -> Result<Window, Error> {
        self.list()?.into_iter().find(|window| window.id == id).ok_or(Error::Gone(id))
    }

    fn act(&self, id: u32, _: Act, _: &CancellationToken) -> Result<Option<Window>, Error> {
        self.get(id)?;
        Err(Error::LookOnly)
    }
}

fn look(window: &xcap::Window, numbers: &[xcap::XCapResult<u32>]) -> xcap::XCapResult<Window> {
    let on = window.current_monitor().and_then(|monitor| monitor.id()).ok();
    let is_minimized = window.is_minimized()?;
    let program = window.app_name()?;
    Ok(Window {
        id: window.id()?,
        title: window.title()?,
        class: program.clone(),
        instance: program,
        pid: window.pid().ok(),
        x: window.x()?,
        y: window.y()?,
        width: window.width()?,
        height: window.height()?,
        frame: Margins::default(),
        monitor: numbers.iter().position(|number| on.is_some() && number.as_ref().ok() == on.as_ref()),
        is_focused: window.is_focused().unwrap_or(false),
        is_visible: !is_minimized,
        is_minimized,
        is_maximized: window.is_maximized().unwrap_or(false),
        is_fullscreen: false,
    })
}

fn unavailable(error: &xcap::XCapError) -> Error {
    Error::Unavailable { display: "of this session".to_owned(), reason: error.to_string() }
}
