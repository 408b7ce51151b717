//! The windows of another machine: VNC knows of none.

use tokio_util::sync::CancellationToken;

use super::{Act, Backend, Error, Window};

pub(super) struct Remote;

impl Backend for Remote {
    fn list(&self) -> Result<Vec<Window>, Error> {
        Err(Error::Unknowable)
    }

    fn get(&self, _: u32) -> Result<Window, Error> {
        Err(Error::Unknowable)
    }

    fn act(&self, _: u32, _: Act, _: &CancellationToken) -> Result<Option<Window>, Error> {
        Err(Error::Unknowable)
    }
}
