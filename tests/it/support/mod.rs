//! What tests of several areas use.

pub mod certificate;
