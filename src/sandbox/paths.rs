//! Landlock for the process itself: after it, only what is open already, and what it was left to read.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// The newest version whose rights are known here. A kernel with an older one is asked for what it has.
pub(super) const NEWEST: ABI = ABI::V10;

/// Takes all paths but `readable` from the calling thread and those it starts from now on, and TCP, and signals to others. The version
/// that holds, none where the kernel has no Landlock.
pub fn close_paths(readable: &[PathBuf]) -> Option<i32> {
    restrict(readable).ok().and_then(|status| version(&status).ok())
}

/// The same, for whoever only wants to know whether it works: on a thread that ends with what it gave up.
///
/// # Errors
/// Why it does not.
pub fn try_paths() -> Result<i32, String> {
    let tried = std::thread::spawn(|| restrict(&[]).map_err(|error| error.to_string()).and_then(|status| version(&status)));
    tried.join().unwrap_or_else(|_| Err("it could not be tried".to_owned()))
}

fn restrict(readable: &[PathBuf]) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(readable, read))?
        .restrict_self()
}

/// The version that holds.
pub(super) fn version(status: &RestrictionStatus) -> Result<i32, String> {
    match status.landlock {
        LandlockStatus::Available { .. } if status.ruleset == RulesetStatus::NotEnforced => Err("it is there and does not hold".to_owned()),
        LandlockStatus::Available { effective_abi, kernel_abi } => Ok(kernel_abi.unwrap_or(effective_abi as i32)),
        LandlockStatus::NotEnabled => Err("built into this kernel, but not switched on".to_owned()),
        LandlockStatus::NotImplemented => Err("not in this kernel".to_owned()),
    }
}
