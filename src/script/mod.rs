//! stub

pub mod expression;
pub mod header;
