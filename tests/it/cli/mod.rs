//! The command line as its users see it: what it prints where, and how it ends.

mod attach;
mod audit;
mod check;
mod command;
mod config;
mod doctor;
mod hello;
mod keys;
mod killed;
mod languages;
mod log;
mod models;
mod new;
mod reload;
mod run;
mod runs;
mod secrets;
mod settings;
pub mod trae;
