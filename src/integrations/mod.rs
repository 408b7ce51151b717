//! Other systems that TRAE works with, each in a file of its own.
//!
//! What calls a machine on behalf of a script is `fetch`, under the script's grant; here are the hosts that the settings name.

pub mod proxmox;
