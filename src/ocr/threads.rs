//! One thread for one reading. Tesseract would start four for each, which makes every one of them slower.

use std::ffi::{c_char, c_int, c_void};

/// Sets `OMP_THREAD_LIMIT=1` where it is not set, for OpenMP libraries that are loaded later, and for child processes.
///
/// Call it first thing in `main`. What is loaded already does not look at the variable again; each reading therefore also
/// tells its own thread.
#[expect(unsafe_code, reason = "changing the environment is only sound while there is one thread, as it is first thing in main")]
pub fn init_threads() {
    if std::env::var_os("OMP_THREAD_LIMIT").is_none() {
        // SAFETY: the caller is the only thread there is.
        unsafe { std::env::set_var("OMP_THREAD_LIMIT", "1") };
    }
}

/// Tells OpenMP to start no threads for what the calling thread does, where Tesseract was built with it.
#[cfg(unix)]
#[expect(unsafe_code, reason = "OpenMP's settings are reached by name, as nothing here links to it")]
pub(super) fn one_only() {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // SAFETY: the default handle of glibc and musl is null; the name ends with NUL; the function has this shape in every OpenMP since 3.0.
    unsafe {
        let set_levels = dlsym(std::ptr::null_mut(), c"omp_set_max_active_levels".as_ptr());
        if !set_levels.is_null() {
            let set_levels: extern "C" fn(c_int) = std::mem::transmute(set_levels);
            set_levels(0);
        }
    }
}

/// Tesseract has no such threads here.
#[cfg(not(unix))]
pub(super) fn one_only() {}
