//! A process that is loaded already: a copy of this one.

/// The process of the copy; none in the copy itself. Only for a process of one thread.
///
/// # Errors
/// Where there is no memory or no process number left.
#[expect(unsafe_code, reason = "the one way to have a process that is loaded already")]
pub fn fork() -> std::io::Result<Option<u32>> {
    // SAFETY: with one thread, the copy finds every lock free and everything whole.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid.unsigned_abs())),
    }
}
