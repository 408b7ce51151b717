//! The list of processes. What each used until the last look is kept, so that no call has to wait to tell a share of a processor.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, ThreadKind, UpdateKind};

use super::{Process, rounded, share};

/// Processor time is counted in hundredths of a second: over less than this a share says nothing.
const SHORTEST: Duration = Duration::from_millis(200);

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    samples: HashMap<u32, Sample>,
    users: HashMap<u32, String>,
}

#[derive(Debug)]
struct Sample {
    began: u64,
    used: u64,
    at: Instant,
    percent: f64,
}

impl Sampler {
    /// Looks at every process, and compares with the last look.
    pub(super) fn look(&mut self, machine: &mut sysinfo::System) -> Vec<Process> {
        machine.refresh_memory();
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().with_user(UpdateKind::OnlyIfNotSet).without_tasks();
        machine.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let (total, now) = (machine.total_memory(), Instant::now());
        let mut listed = Vec::with_capacity(machine.processes().len());
        for process in machine.processes().values() {
            if process.thread_kind() == Some(ThreadKind::Userland) {
                continue;
            }
            listed.push(Process {
                pid: process.pid().as_u32(),
                name: process.name().to_string_lossy().into_owned(),
                cpu_percent: rounded(self.percent(process, now)),
                memory_percent: share(process.memory(), total),
                status: status(process.status()).to_owned(),
                ppid: process.parent().map(sysinfo::Pid::as_u32),
                start_time: process.start_time(),
                user: process.user_id().map(|id| self.user(id)),
            });
        }
        self.samples.retain(|pid, _| machine.process(sysinfo::Pid::from_u32(*pid)).is_some());
        listed.sort_by_key(|process| process.pid);
        listed
    }

    fn percent(&mut self, process: &sysinfo::Process, now: Instant) -> f64 {
        let (pid, began, used) = (process.pid().as_u32(), process.start_time(), process.accumulated_cpu_time());
        match self.samples.get_mut(&pid).filter(|sample| sample.began == began) {
            Some(sample) => {
                let passed = now - sample.at;
                if passed >= SHORTEST {
                    sample.percent = used.saturating_sub(sample.used) as f64 / 10.0 / passed.as_secs_f64();
                    (sample.used, sample.at) = (used, now);
                }
                sample.percent
            }
            None => {
                let percent = mean(process);
                self.samples.insert(pid, Sample { began, used, at: now, percent });
                percent
            }
        }
    }

    /// The user's name; the number where nobody knows one.
    fn user(&mut self, id: &sysinfo::Uid) -> String {
        let text = id.to_string();
        let Ok(number) = text.parse() else { return text };
        if let Some(known) = self.users.get(&number) {
            return known.clone();
        }
        let name = name_of(number).unwrap_or(text);
        self.users.insert(number, name.clone());
        name
    }
}

/// As the machine's own list of users has it.
fn name_of(number: u32) -> Option<String> {
    let list = std::fs::read_to_string("/etc/passwd").ok()?;
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

fn mean(process: &sysinfo::Process) -> f64 {
    match process.run_time() {
        0 => 0.0,
        seconds => process.accumulated_cpu_time() as f64 / 10.0 / seconds as f64,
    }
}

fn status(status: ProcessStatus) -> &'static str {
    match status {
        ProcessStatus::Run => "running",
        ProcessStatus::Sleep => "sleeping",
        ProcessStatus::Idle => "idle",
        ProcessStatus::Stop => "stopped",
        ProcessStatus::Zombie => "zombie",
        ProcessStatus::Tracing => "traced",
        ProcessStatus::Dead => "dead",
        ProcessStatus::UninterruptibleDiskSleep => "waiting",
        _ => "unknown",
    }
}
