//! What starts runs by itself: when schedules are due, what a clock that jumps does to them, and folders into which files are dropped.

mod clock;
mod crash;
mod declared;
mod due;
mod folders;
mod house;
mod webhooks;
