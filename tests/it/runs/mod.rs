//! Runs, their journal and their history; stored workflows; webhooks. The host is played by a fake: what a script really does is
//! tested elsewhere.

mod fakes;
mod history;
mod journal;
mod kept;
mod recovery;
mod storage;
mod webhooks;
mod workflows;
