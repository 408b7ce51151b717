//! Runs, their journal and their history; stored workflows. The host is played by a fake: what a script really does is
//! tested elsewhere.

pub mod fakes;
mod history;
mod journal;
mod kept;
mod recovery;
pub mod storage;
mod workflows;
