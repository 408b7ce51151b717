//! Named places at which a debug build can be told to die, and ways in which it can be told to be wrong: what the crash harness
//! (`tests/crash`) uses to try every moment, and is itself tried with. In a release build all of it is nothing.
//!
//! - `TRAE_FAIL_AT=store.commit.before:3` ends the process, as `kill -9` does, when it passes that place for the third time (the first,
//!   where no number is given).
//! - `TRAE_MUTANT=ack_before_commit` or `rerun_finished_step` makes it break a promise: see [`Mutant`].

/// A promise that a debug build can be told to break, so that whoever looks for broken promises can be seen to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Whoever waits for a commit is told before it, and the commit takes its time.
    AckBeforeCommit,
    /// A run that goes on is not told which steps are over.
    RerunFinishedStep,
}

/// The process passes the place of that name, and dies there if that is what it was told.
#[inline]
pub fn here(name: &str) {
    #[cfg(debug_assertions)]
    armed::here(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Whether this process is to break that promise.
#[inline]
pub fn is_mutant(mutant: Mutant) -> bool {
    #[cfg(debug_assertions)]
    return armed::mutant() == Some(mutant);
    #[cfg(not(debug_assertions))]
    {
        let _ = mutant;
        false
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Mutant;

    /// Where the process is to die, and how often it may still come by.
    struct Point {
        name: String,
        left: AtomicU32,
    }

    static POINT: LazyLock<Option<Point>> = LazyLock::new(|| {
        let told = std::env::var("TRAE_FAIL_AT").ok()?;
        let (name, times) = told.split_once(':').unwrap_or((&told, "1"));
        Some(Point { name: name.to_owned(), left: AtomicU32::new(times.parse().unwrap_or(1)) })
    });

    static MUTANT: LazyLock<Option<Mutant>> = LazyLock::new(|| match std::env::var("TRAE_MUTANT").ok()?.as_str() {
        "ack_before_commit" => Some(Mutant::AckBeforeCommit),
        "rerun_finished_step" => Some(Mutant::RerunFinishedStep),
        _ => None,
    });

    pub(super) fn here(name: &str) {
        if let Some(point) = &*POINT
            && point.name == name
            && point.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // Whatever the other threads still do, this one does no more.
            loop {
                std::thread::park();
            }
        }
    }

    pub(super) fn mutant() -> Option<Mutant> {
        *MUTANT
    }
}
