//! What several shells have in common: folders that everything depends on, disks, files of the system.

/// The last part of a program's path, in lower case.
pub(super) fn program(word: &str) -> String {
    word.rsplit(['/', '\\']).next().unwrap_or(word).to_ascii_lowercase()
}

/// Folders directly below the root that the system lives in.
const SYSTEM: &[&str] = &[
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib32",
    "lib64",
    "media",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "srv",
    "sys",
    "usr",
    "var",
    // macOS
    "applications",
    "library",
    "private",
    "system",
    "users",
    "volumes",
];

/// Folders of the second level that are as dear.
const BELOW: &[&str] = &["usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "usr/share", "usr/local", "var/lib"];

/// Whether a path (as a Unix shell reads it) is the root, a folder of the system, or somebody's whole home, with or without `/*`.
pub(super) fn is_root(word: &str) -> bool {
    let path = word.replace("${HOME}", "~").replace("$HOME", "~");
    let path = ["/*", "/.*", "/."].iter().fold(path.as_str(), |path, tail| path.strip_suffix(tail).unwrap_or(path));
    if matches!(path, "~" | "~/") {
        return true;
    }
    if !word.starts_with('/') {
        return false;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let joined = parts.join("/").to_ascii_lowercase();
    match parts.len() {
        0 => true,
        1 => joined == "*" || SYSTEM.contains(&joined.as_str()),
        2 => BELOW.contains(&joined.as_str()) || ["home/", "users/"].iter().any(|home| joined.starts_with(home)),
        _ => false,
    }
}

/// Whether a path is a Windows drive's root, or a folder that Windows or all files of somebody live in, with or without `\*`.
pub(super) fn is_windows_root(word: &str) -> bool {
    let path = word.trim_matches('"').replace('/', "\\").to_ascii_lowercase();
    let path = path.trim_end_matches("*.*").trim_end_matches('*').trim_end_matches('\\');
    let bare = path.strip_prefix("\\\\?\\").unwrap_or(path);
    if bare.len() == 2 && bare.ends_with(':') && bare.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return true;
    }
    if word.starts_with(['/', '\\']) && bare.is_empty() {
        return true;
    }
    let variables = ["%systemroot%", "%systemdrive%", "%windir%", "%userprofile%", "%programfiles%", "%homedrive%"];
    let of_powershell =
        ["$env:systemroot", "$env:systemdrive", "$env:windir", "$env:userprofile", "$env:programfiles", "$env:home", "$home", "~"];
    if variables.contains(&bare) || of_powershell.contains(&bare) {
        return true;
    }
    let Some((drive, rest)) = bare.split_once(":\\") else { return false };
    let first = rest.split('\\').next().unwrap_or_default();
    let deep = rest.contains('\\');
    drive.len() == 1
        && match first {
            "windows" => !rest.contains("\\temp\\"),
            "users" => rest.split('\\').count() <= 2,
            "program files" | "program files (x86)" | "programdata" | "boot" => !deep,
            _ => false,
        }
}

/// Whether a path is a disk, or the machine's memory.
pub(super) fn is_disk(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    if lower.starts_with("\\\\.\\physicaldrive") || lower.starts_with("//./physicaldrive") {
        return true;
    }
    let Some(device) = word.strip_prefix("/dev/") else { return false };
    let kinds = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "disk", "rdisk", "mapper/", "dm-", "md", "loop", "zd", "nbd"];
    kinds.iter().any(|kind| device.starts_with(kind)) || matches!(device, "mem" | "kmem" | "port")
}

/// Whether a file is one without which nobody can log in or nothing starts.
pub(super) fn is_system_file(word: &str) -> bool {
    let files = ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/sudoers", "/etc/fstab", "/proc/sysrq-trigger"];
    files.contains(&word) || word.starts_with("/boot/") || word.starts_with("/etc/sudoers.d/")
}

/// Programs that run what they are given on their standard input.
pub(super) fn is_interpreter(program: &str) -> bool {
    let bare = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    matches!(
        bare,
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash" | "fish" | "python" | "perl" | "ruby" | "node" | "php" | "pwsh" | "powershell"
    )
}
