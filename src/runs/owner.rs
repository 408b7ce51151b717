//! Which process works on a run, so that another one can tell whether it still does.

/// Names this process: also after a restart no other has this name.
pub(super) fn this_process() -> String {
    name(std::process::id()).unwrap_or_else(|| format!("{}:{}", std::process::id(), uuid::Uuid::now_v7()))
}

/// Whether the process of that name still lives.
pub(super) fn is_alive(owner: &str) -> bool {
    let pid = owner.split(':').next().and_then(|pid| pid.parse().ok());
    pid.and_then(name).is_some_and(|name| name == owner)
}

/// Process id, when it started (in ticks since boot), and which boot that was: a process id alone is given out again.
#[cfg(target_os = "linux")]
fn name(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let started = fields.nth(18)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{pid}:{started}:{}", boot.trim()))
}

#[cfg(not(target_os = "linux"))]
fn name(_pid: u32) -> Option<String> {
    None
}
