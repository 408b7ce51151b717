//! What the kernel has for the sandbox.

use super::Finding;
use crate::config::Config;
use crate::sandbox;

/// Landlock and seccomp, each put on and seen to hold. Without one of them scripts run all the same, held by the other, and their runs say so.
pub(super) fn sandbox(config: &Config) -> Vec<Finding> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let landlock = match sandbox::try_paths() {
        Ok(abi) if config.shell.sandbox => {
            Finding::ok("landlock", format!("ABI {abi}: scripts open no files, and their commands only granted ones"))
        }
        Ok(abi) => {
            let details = format!("ABI {abi}; commands of scripts are not held by it, as SHELL_SANDBOX=false says");
            Finding::broken("landlock", details, "set SHELL_SANDBOX=true, or leave it out")
        }
        Err(reason) => {
            let details = format!("{reason}; commands of scripts are limited by file permissions only");
            Finding::missing("landlock", details, "a kernel from 5.13 on, with landlock in its `lsm=` boot parameter")
        }
    };
    let seccomp = match sandbox::try_calls() {
        Ok(()) => Finding::ok("seccomp", "scripts make no system calls but a few"),
        Err(reason) => Finding::missing("seccomp", reason, "a kernel from 4.14 on, built with CONFIG_SECCOMP_FILTER"),
    };
    vec![landlock.optional(), seccomp.optional()]
}
