//! Which process started which, as the kernel's table has it.

use std::collections::HashMap;

/// One line of the table.
#[derive(Debug, Clone, Copy)]
struct Entry {
    parent: u32,
    /// In the kernel's ticks since it started.
    began: u64,
}

/// All processes below one, parents before their children, each with the ticks at which it began.
pub(super) fn below(root: u32) -> Vec<(u32, u64)> {
    let mut children: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(Entry { parent, began }) = entry(pid) {
            children.entry(parent).or_default().push((pid, began));
        }
    }
    let mut found: Vec<(u32, u64)> = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        let below = children.remove(&parent).unwrap_or_default();
        next.extend(below.iter().map(|(pid, _)| *pid));
        found.extend(below);
    }
    found
}

/// Which process started another one, or took it over.
pub(super) fn parent_of(pid: u32) -> Option<u32> {
    entry(pid).map(|entry| entry.parent)
}

/// When a process began, in the kernel's ticks since it started.
pub(super) fn began(pid: u32) -> Option<u64> {
    entry(pid).map(|entry| entry.began)
}

fn entry(pid: u32) -> Option<Entry> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold parentheses and blanks; what counts follows the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let began = fields.nth(17)?.parse().ok()?;
    Some(Entry { parent, began })
}
