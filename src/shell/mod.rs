//! TODO head

mod words;

pub use words::*;
