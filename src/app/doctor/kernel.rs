//! What the kernel has for the sandbox.

use super::Finding;

/// Landlock and seccomp. Without them scripts run all the same, held by their process limits and by what they are refused.
#[cfg(target_os = "linux")]
pub(super) fn sandbox() -> Vec<Finding> {
    let newer = "a kernel from 5.13 on, with landlock in its `lsm=` boot parameter";
    let landlock = match landlock_abi() {
        Ok(abi) => Finding::ok("landlock", format!("ABI {abi}")),
        Err(reason) => Finding::missing("landlock", reason, newer),
    };
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let seccomp = if actions.split_whitespace().any(|action| action == "kill_process") {
        Finding::ok("seccomp", format!("with {}", actions.trim()))
    } else {
        Finding::missing("seccomp", "this kernel filters no system calls", "a kernel from 4.14 on, built with CONFIG_SECCOMP_FILTER")
    };
    vec![landlock.optional(), seccomp.optional()]
}

/// Tried on a thread that ends at once: what it gave up of its rights goes with it.
#[cfg(target_os = "linux")]
fn landlock_abi() -> Result<i32, String> {
    use landlock::{AccessFs, LandlockStatus, Ruleset, RulesetAttr};
    let tried = std::thread::spawn(|| {
        let rules = Ruleset::default().handle_access(AccessFs::Execute).map_err(|error| error.to_string())?;
        let restricted = rules.create().and_then(landlock::RulesetCreated::restrict_self).map_err(|error| error.to_string())?;
        match restricted.landlock {
            LandlockStatus::Available { effective_abi, kernel_abi } => Ok(kernel_abi.unwrap_or(effective_abi as i32)),
            LandlockStatus::NotEnabled => Err("built into this kernel, but not switched on".to_owned()),
            LandlockStatus::NotImplemented => Err("not in this kernel".to_owned()),
        }
    });
    tried.join().unwrap_or_else(|_| Err("it could not be tried".to_owned()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn sandbox() -> Vec<Finding> {
    Vec::new()
}
