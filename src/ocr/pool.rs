//! Warm engines, and how many read at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::tesseract::Tesseract;
use super::traineddata::Checked;
use super::{Error, LOOK};

/// Engines kept while nobody uses them; each holds some 20 to 50 MB.
const IDLE: usize = 4;

/// The engines that nobody uses, and the turns.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<(String, Tesseract)>>,
    checked: Checked,
    turns: Arc<Turns>,
}

/// How many may read at once.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<Free>,
    given_back: Condvar,
}

/// Turns that nobody has, and how many wait for one.
#[derive(Debug)]
struct Free {
    turns: usize,
    waiting: usize,
}

/// The right to read, which keeps a core busy; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<Turns>);

impl Pool {
    /// One that lets so many read at once.
    pub(super) fn new(at_once: usize) -> Self {
        Self { idle: Mutex::default(), checked: Checked::default(), turns: Turns::new(at_once) }
    }

    /// A turn for each core.
    pub(super) fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    /// An engine for `language`, a warm one where there is.
    pub(super) fn engine(&self, folder: &str, language: &str) -> Result<Tesseract, Error> {
        let mut idle = lock(&self.idle);
        if let Some(place) = idle.iter().rposition(|(of, _)| of == language) {
            return Ok(idle.remove(place).1);
        }
        drop(idle);
        self.start(folder, language)
    }

    /// Loads engines for `language` as long as there are cores that nobody wants, until there are as many as can be used, or kept. One that does
    /// not load is a matter of whoever reads.
    pub(super) fn warm(&self, folder: &str, language: &str, cores: usize, over: &dyn Fn() -> bool) {
        for _ in 0..cores.min(IDLE) {
            let there = lock(&self.idle).iter().filter(|(of, _)| of == language).count();
            let turn = self.turns.spare().filter(|_| there < cores.min(IDLE) && !over());
            let Some(engine) = turn.as_ref().and_then(|_| self.start(folder, language).ok()) else { return };
            if !over() {
                self.put_back(language.to_owned(), engine);
            }
        }
    }

    fn start(&self, folder: &str, language: &str) -> Result<Tesseract, Error> {
        self.checked.check(folder, language)?;
        Tesseract::start(folder, language)
    }

    /// Lets the engines go that nobody uses.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        drop(idle);
    }

    /// Keeps an engine warm; the one unused for longest makes room.
    pub(super) fn put_back(&self, language: String, engine: Tesseract) {
        let mut idle = lock(&self.idle);
        idle.push((language, engine));
        let oldest = (idle.len() > IDLE).then(|| idle.remove(0));
        drop(idle);
        drop(oldest);
    }
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(Free { turns: at_once, waiting: 0 }), given_back: Condvar::new() })
    }

    /// A turn, if one is free at once.
    pub(super) fn spare(self: &Arc<Self>) -> Option<Turn> {
        let mut free = lock(&self.free);
        free.turns = free.turns.checked_sub(1)?;
        Some(Turn(Arc::clone(self)))
    }

    /// Whether somebody waits for a turn.
    pub(super) fn wanted(&self) -> bool {
        lock(&self.free).waiting > 0
    }

    /// Waits for a turn; none when the time is over or somebody cancelled.
    pub(super) fn take(self: &Arc<Self>, deadline: Instant, cancel: &CancellationToken) -> Option<Turn> {
        let mut free = lock(&self.free);
        loop {
            if cancel.is_cancelled() || Instant::now() >= deadline {
                return None;
            }
            if free.turns > 0 {
                free.turns -= 1;
                return Some(Turn(Arc::clone(self)));
            }
            free.waiting += 1;
            free = self.given_back.wait_timeout(free, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            free.waiting -= 1;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.0.free).turns += 1;
        self.0.given_back.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocr::languages;

    #[test]
    fn engines_are_loaded_for_the_cores_that_are_free_and_no_more() {
        let (folder, language) = languages::chosen(Some("eng"), &[]).unwrap();
        let pool = Pool::new(2);
        let idle = || lock(&pool.idle).len();
        pool.warm(&folder, &language, 2, &|| true);
        assert_eq!(idle(), 0, "it was over before it began");
        let taken = [pool.turns().spare(), pool.turns().spare()];
        pool.warm(&folder, &language, 2, &|| false);
        assert_eq!(idle(), 0, "no core was free");
        drop(taken);
        pool.warm(&folder, &language, 2, &|| false);
        pool.warm(&folder, &language, 2, &|| false);
        assert_eq!(idle(), 2);
        pool.engine(&folder, &language).unwrap();
        assert_eq!(idle(), 1, "a reading takes one of them");
    }
}
