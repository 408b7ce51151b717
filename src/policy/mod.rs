//! What a run may do.
//!
//! A script or graph *declares* [`Permissions`]; a key and the configuration *allow*; the run gets the intersection as a [`Grant`].
//! The capabilities that touch files, the network or processes take a proof ([`AllowedPath`], [`AllowedUrl`], [`AllowedCommand`],
//! [`AllowedProcess`], [`AllowedSecret`]) that only this room can make, so that forgetting a check does not compile.

mod command;
pub mod danger;
mod glob;
mod grant;
mod kept;
mod path;
mod permissions;
mod reach;
mod secret;
mod url;

pub use command::{AllowedCommand, AllowedProcess, Program};
pub use danger::Commands;
pub use grant::{Denied, Grant, Learned};
pub use kept::Kept;
pub use path::{Access, AllowedPath, is_device};
pub use permissions::Permissions;
pub use reach::{Place, Reach};
pub use secret::AllowedSecret;
pub use url::AllowedUrl;
