//! Why a picture cannot be looked for, or compared.

use crate::error::{Classify, Kind};

/// Why a picture cannot be looked for, or compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no picture, or one that cannot be used.
    #[error("the picture cannot be used: {0}")]
    Picture(String),
    /// A mask that is not one of its picture.
    #[error("the mask is {}×{} pixels large, and its picture {}×{}: give one of the same size", .0.0, .0.1, .1.0, .1.1)]
    Mask((u32, u32), (u32, u32)),
    /// Two pictures of different sizes.
    #[error("the pictures have different sizes, {}×{} and {}×{}: only equal ones can be compared", .0.0, .0.1, .1.0, .1.1)]
    Sizes((u32, u32), (u32, u32)),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        Kind::ValidationError
    }
}
