//! What the kernel holds back: tried from inside by real processes.

mod commands;
mod runner;
