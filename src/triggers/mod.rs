//! What starts runs by itself: so far, webhooks.

mod error;
mod signature;
mod webhook;

pub use error::Error;
pub use webhook::{Delivery, Fired, Respond, Webhooks};
