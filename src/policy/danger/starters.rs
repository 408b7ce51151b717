//! Programs that start the program that their arguments name: `sudo`, `env`, `xargs`.

use super::words::program;

/// One of them.
pub(super) struct Starter {
    name: &'static str,
    /// Options whose value is the next word, or hangs on.
    valued: &'static [&'static str],
    /// Options without a value. The others that it has are passed over, too, where nothing hangs on it.
    flags: &'static [&'static str],
    /// So many words of its own stand before the program.
    own: usize,
    /// Without a program it starts nothing.
    idle_alone: bool,
}

const fn plain(name: &'static str) -> Starter {
    Starter { name, valued: &[], flags: &[], own: 0, idle_alone: false }
}

/// All that are known.
const STARTERS: &[Starter] = &[
    Starter { idle_alone: true, ..plain("builtin") },
    plain("busybox"),
    Starter { valued: &["-l", "-s", "-i", "-b", "--lib"], flags: &["-u"], ..plain("fakeroot") },
    Starter { own: 1, valued: &["--userspec", "--groups"], ..plain("chroot") },
    Starter { own: 1, flags: &["-b", "-f", "-i", "-o", "-r"], ..plain("chrt") },
    Starter { idle_alone: true, flags: &["-p"], ..plain("command") },
    Starter { valued: &["-u", "-C"], flags: &["-n"], ..plain("doas") },
    Starter { idle_alone: true, valued: &["-u", "-C", "--unset", "--chdir"], flags: &["-i", "-", "--ignore-environment"], ..plain("env") },
    Starter { idle_alone: true, valued: &["-a"], flags: &["-c", "-l"], ..plain("exec") },
    Starter { own: 1, valued: &["-w", "-E"], flags: &["-n", "-s", "-x", "-u"], ..plain("flock") },
    Starter { valued: &["-c", "-n"], flags: &["-t"], ..plain("ionice") },
    Starter { idle_alone: true, valued: &["-n", "--adjustment"], ..plain("nice") },
    Starter { idle_alone: true, ..plain("nohup") },
    Starter { valued: &["--user"], ..plain("pkexec") },
    Starter { valued: &["-t", "-S", "-G"], ..plain("nsenter") },
    Starter { valued: &["--reuid", "--regid", "--groups"], ..plain("setpriv") },
    Starter { flags: &["-f", "-w"], ..plain("setsid") },
    Starter { valued: &["-i", "-o", "-e"], ..plain("stdbuf") },
    Starter { valued: &["-e", "-o", "-p", "-s", "-u", "-E"], ..plain("strace") },
    Starter {
        valued: &["-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "-U", "-r", "-t"],
        flags: &["-n", "-E", "-H", "-k"],
        ..plain("sudo")
    },
    Starter { valued: &["-p", "-u", "-M", "--unit", "--slice"], ..plain("systemd-run") },
    Starter { own: 1, flags: &["-a", "-c"], ..plain("taskset") },
    Starter { idle_alone: true, valued: &["-f", "-o"], flags: &["-p", "-v", "-a"], ..plain("time") },
    Starter {
        own: 1,
        valued: &["-k", "-s", "--signal", "--kill-after"],
        flags: &["--foreground", "--preserve-status", "-v"],
        ..plain("timeout")
    },
    Starter { valued: &["-S", "-G", "-R", "-w"], ..plain("unshare") },
    Starter {
        idle_alone: true,
        valued: &["-a", "-d", "-E", "-I", "-L", "-n", "-P", "-s", "--max-args", "--max-procs", "--delimiter"],
        flags: &["-0", "-r", "-t", "-x", "--null", "--no-run-if-empty"],
        ..plain("xargs")
    },
    Starter {
        valued: &["-e", "-f", "-n", "-p", "-s", "-w", "--error-file", "--auth-file", "--server-num", "--server-args", "--wait"],
        flags: &["-a", "--auto-servernum", "-l"],
        ..plain("xvfb-run")
    },
];

/// What a starter is told.
pub(super) struct Started {
    /// Where the program stands that it starts; behind the last word where there is none.
    pub(super) at: usize,
    /// Whether all that stands before is known, and sets no variable.
    pub(super) known: bool,
    /// Whether starting it without a program starts nothing.
    pub(super) idle_alone: bool,
}

/// Reads the words of a starter; none where the first names another program.
pub(super) fn started(words: &[String]) -> Option<Started> {
    let name = program(words.first()?);
    let starter = STARTERS.iter().find(|starter| starter.name == name)?;
    let (mut at, mut known) = (1, true);
    while let Some(word) = words.get(at) {
        if word == "--" {
            at += 1;
            break;
        }
        if word.starts_with('-') {
            let hangs_on = |option: &&&str| {
                word.strip_prefix(**option).is_some_and(|value| value.starts_with('=') || (!value.is_empty() && !option.starts_with("--")))
            };
            let clustered =
                !word.starts_with("--") && word.chars().last().is_some_and(|last| starter.valued.contains(&format!("-{last}").as_str()));
            if starter.valued.contains(&word.as_str()) {
                at += 1;
            } else if !starter.flags.contains(&word.as_str()) && !starter.valued.iter().any(|option| hangs_on(&option)) {
                // `-Eu root`: several in one word, the last of which takes the next.
                known = false;
                at += usize::from(clustered);
            }
        } else if word.contains('=') && matches!(name.as_str(), "env" | "sudo" | "doas") {
            known = false;
        } else {
            break;
        }
        at += 1;
    }
    Some(Started { at: (at + starter.own).min(words.len()), known, idle_alone: starter.idle_alone })
}
