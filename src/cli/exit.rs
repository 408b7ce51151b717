//! What a command's exit code says: the numbers of `sysexits.h`, where they have one.

use std::process::ExitCode;

use trae::error::Kind;

/// A run failed.
pub(super) const FAILED: u8 = 1;
/// The command line makes no sense, or names a file that is not there.
pub(super) const USAGE: u8 = 2;
/// A workflow, a script or a parameter is broken.
pub(super) const DATA: u8 = 65;
/// This machine lacks something, or a port is taken.
pub(super) const UNAVAILABLE: u8 = 69;
/// The disk is full, or the data folder cannot be written.
pub(super) const CANNOT_WRITE: u8 = 73;
/// Another server uses the data folder.
pub(super) const IN_USE: u8 = 75;
/// The settings cannot be used.
pub(super) const CONFIG: u8 = 78;

/// The exit code that tells of a failure of this kind.
pub(super) fn code(kind: Kind) -> ExitCode {
    ExitCode::from(number(kind))
}

fn number(kind: Kind) -> u8 {
    match kind {
        Kind::InvalidJson | Kind::ValidationError | Kind::InvalidWorkflow | Kind::LimitSource | Kind::PayloadTooLarge => DATA,
        Kind::ServiceUnavailable => UNAVAILABLE,
        Kind::StorageFull => CANNOT_WRITE,
        Kind::ScriptError
        | Kind::Unauthenticated
        | Kind::PermissionDenied
        | Kind::UnsafeCommand
        | Kind::ApprovalRequired
        | Kind::OriginNotAllowed
        | Kind::HostNotAllowed
        | Kind::NotFound
        | Kind::MethodNotAllowed
        | Kind::Conflict
        | Kind::UnsupportedMediaType
        | Kind::RateLimited
        | Kind::Timeout
        | Kind::Cancelled
        | Kind::LimitOps
        | Kind::LimitTime
        | Kind::LimitDepth
        | Kind::LimitMemory
        | Kind::RunnerCrashed
        | Kind::Internal => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_says_what_to_look_at() {
        assert_eq!(number(Kind::InvalidWorkflow), 65);
        assert_eq!(number(Kind::ServiceUnavailable), 69);
        assert_eq!(number(Kind::StorageFull), 73);
        assert_eq!(number(Kind::Timeout), 1);
    }
}
