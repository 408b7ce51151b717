//! Other systems: stand-ins that answer as they do.

mod proxmox;
