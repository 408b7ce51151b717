//! Which processes belong together, whatever group or session they moved to: found before they are ended.

/// A process, as the kernel's table has it.
#[cfg(target_os = "linux")]
struct Entry {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
}

#[cfg(target_os = "linux")]
fn table() -> Vec<Entry> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses may itself hold parentheses and blanks; what counts follows the last one.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            if fields.next()? == "Z" {
                return None;
            }
            let mut number = || fields.next()?.parse().ok();
            Some(Entry { pid, parent: number()?, group: number()?, session: number()? })
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn below(table: &[Entry], roots: &[i32]) -> Vec<i32> {
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(table.iter().filter(|entry| entry.parent == parent && !roots.contains(&entry.pid)).map(|entry| entry.pid));
        next += 1;
    }
    found
}

/// Every process below `root`.
#[cfg(target_os = "linux")]
pub(super) fn descendants(root: i32) -> Vec<i32> {
    below(&table(), &[root]).split_off(1)
}

/// Every process of a group, and all below them.
#[cfg(target_os = "linux")]
pub(super) fn of_group(group: i32) -> Vec<i32> {
    let table = table();
    let members: Vec<i32> = table.iter().filter(|entry| entry.group == group).map(|entry| entry.pid).collect();
    below(&table, &members)
}

/// Every process of a terminal's session, all below them, and all that carry its `mark` in their environment, wherever they went.
#[cfg(target_os = "linux")]
pub(super) fn of_session(session: i32, mark: &str) -> Vec<i32> {
    let table = table();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let carries = |pid: i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let roots: Vec<i32> =
        table.iter().filter(|entry| entry.pid != own && (entry.session == session || carries(entry.pid))).map(|entry| entry.pid).collect();
    below(&table, &roots)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn descendants(_root: i32) -> Vec<i32> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of_group(group: i32) -> Vec<i32> {
    vec![group]
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of_session(session: i32, _mark: &str) -> Vec<i32> {
    vec![session]
}

/// Sends a signal to each; what is gone already is no error. They were found just now: numbers are not given again so soon.
#[cfg(unix)]
pub(super) fn signal(pids: &[i32], signal: rustix::process::Signal) {
    for pid in pids.iter().filter(|pid| **pid > 1).filter_map(|pid| rustix::process::Pid::from_raw(*pid)) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
