//! The command line as its users see it: what it prints where, and how it ends.

mod check;
mod command;
mod hello;
mod run;
