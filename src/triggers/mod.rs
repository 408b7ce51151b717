//! What starts runs by itself: so far, webhooks.

mod awaited;
mod error;
mod list;
mod signature;
mod webhook;

pub use error::Error;
pub use list::{Source, Trigger};
pub use webhook::{Delivery, Fired, Respond, Webhooks};
