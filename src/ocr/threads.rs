//! One thread for one reading. Tesseract would start four for each, which makes every one of them slower.

/// Sets `OMP_THREAD_LIMIT=1` where it is not set. To be called before any thread is started.
pub fn init_threads() {}

pub(super) fn one_only() {}
