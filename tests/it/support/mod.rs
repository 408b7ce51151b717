//! What tests of several areas use.

pub mod browser;
pub mod certificate;
