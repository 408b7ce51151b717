//! Why there is no answer.

use std::error::Error as _;

use serde_json::{Value, json};
use url::Url;

use super::address::Refused;
use crate::error::{Classify, Kind};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// An address that is never called.
    #[error("{host} is at a link-local or cloud metadata address, which is never called: these hand out the machine's own secrets")]
    Refused {
        /// The host.
        host: String,
    },
    /// Where this server itself listens.
    #[error(
        "{host} is this server's own address, which what it runs does not call: it would do there what it may not do itself; use the script functions instead"
    )]
    Own {
        /// The host.
        host: String,
    },
    /// An address of this machine or of a private network, which the settings do not open.
    #[error(
        "{host} is at an address of this machine or of a private network, which scripts may not call here: add it to HTTP_PRIVATE_HOSTS if they should"
    )]
    Private {
        /// The host.
        host: String,
    },
    /// No connection, or it broke.
    #[error("{host} could not be reached ({reason}): check that it runs and that its name and port are right")]
    Unreachable {
        /// The host.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// Redirects without end.
    #[error("{host} redirected more than 10 times: its redirects may run in a circle")]
    Redirects {
        /// The host.
        host: String,
    },
    /// It took too long.
    #[error("{host} did not answer within {seconds} s: raise `timeout`, or look at why it is slow")]
    Timeout {
        /// The host.
        host: String,
        /// The limit, in seconds.
        seconds: f64,
    },
    /// More than is kept.
    #[error("the answer of {host} is larger than the 10 MiB that are read: ask for less, or download it with a shell command")]
    TooLarge {
        /// The host.
        host: String,
    },
    /// Somebody asked for it to stop.
    #[error("the request was cancelled")]
    Cancelled,
    /// No client could be made on this machine.
    #[error("HTTPS cannot be used on this machine ({0}): install its root certificates (Debian: apt-get install ca-certificates)")]
    Client(String),
}

impl Error {
    pub(super) fn refused(host: String, why: Refused) -> Self {
        match why {
            Refused::Never => Self::Refused { host },
            Refused::Private => Self::Private { host },
            Refused::Own => Self::Own { host },
        }
    }

    pub(super) fn from_exchange(url: &Url, error: &reqwest::Error) -> Self {
        let host = super::host(url);
        let mut cause = error.source();
        while let Some(source) = cause {
            if let Some(why) = source.downcast_ref::<Refused>() {
                return Self::refused(host, *why);
            }
            cause = source.source();
        }
        if error.is_builder() {
            return Self::Invalid(format!("the request to {host} cannot be sent: {}", chain(error)));
        }
        Self::Unreachable { host, reason: chain(error) }
    }
}

/// The innermost causes, which say more than the outermost; without the URL, which may hold a password.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last().is_none_or(|last: &String| !last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    if causes.is_empty() { "no reason was given".to_owned() } else { causes.join(": ") }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::ValidationError,
            Self::Refused { .. } | Self::Private { .. } | Self::Own { .. } => Kind::PermissionDenied,
            Self::Unreachable { .. } | Self::Redirects { .. } | Self::Client(_) => Kind::ServiceUnavailable,
            Self::Timeout { .. } => Kind::Timeout,
            Self::TooLarge { .. } => Kind::PayloadTooLarge,
            Self::Cancelled => Kind::Cancelled,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Unreachable { host, .. } => {
                Some(json!({ "service": host, "hint": "check that the host runs and that its name and port are right" }))
            }
            Self::Redirects { host } => Some(json!({ "service": host, "hint": "its redirects may run in a circle" })),
            Self::Client(_) => Some(json!({ "service": "https", "hint": "apt-get install ca-certificates" })),
            _ => None,
        }
    }
}
