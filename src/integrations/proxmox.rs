//! A Proxmox VE host: whether it is there, and lets us in.
//!
//! The host answers at `https://host:8006/api2/json`, each answer in `{"data": …}`. It takes a ticket (name and password) or an API token.
//! Most hosts have a certificate that no authority vouches for: then its fingerprint has to be configured, and nothing else is trusted.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::trust::{Believed, Verifier};

/// How long one answer may take. A refused login is answered after 3 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the host is, and who we are there.
#[derive(Clone)]
pub struct Settings {
    /// Its name or address.
    pub host: String,
    /// Its port: 8006.
    pub port: u16,
    /// `root@pam`; for an API token `root@pam!id`, or nothing where the password holds all of it.
    pub username: String,
    /// The password, or an API token: `USER@REALM!ID=SECRET`, or the secret alone.
    pub password: String,
    /// The SHA-256 of its certificate, where no authority vouches for it.
    pub fingerprint: Option<[u8; 32]>,
}

/// What it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Such as `8.2.4`.
    pub version: String,
    /// Such as `8.2`.
    #[serde(default)]
    pub release: String,
}

/// Why it cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers.
    #[error("the Proxmox host {host} cannot be reached ({reason}): check PROXMOX_HOST and PROXMOX_PORT, and that it runs")]
    Unreachable {
        /// Name and port.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// Its certificate is not the one that is expected, or nobody vouches for it.
    #[error(
        "TLS: the certificate of the Proxmox host {host} is not trusted; if it is its own (`pvenode cert info` there shows it), set PROXMOX_FINGERPRINT={seen}"
    )]
    Untrusted {
        /// Name and port.
        host: String,
        /// The fingerprint of the certificate that it showed.
        seen: String,
    },
    /// It does not let us in.
    #[error("the Proxmox host {host} refuses {username:?}: check PROXMOX_USERNAME (with its realm, as in root@pam) and PROXMOX_PASSWORD")]
    Refused {
        /// Name and port.
        host: String,
        /// Who asked.
        username: String,
    },
    /// It asks for a second factor.
    #[error("the Proxmox host {host} asks {username:?} for a second factor: use an API token in PROXMOX_PASSWORD (USER@REALM!ID=SECRET)")]
    SecondFactor {
        /// Name and port.
        host: String,
        /// Who asked.
        username: String,
    },
    /// It answers, but not as Proxmox does.
    #[error("{host} does not answer as a Proxmox host does ({reason}): check PROXMOX_HOST and PROXMOX_PORT")]
    Strange {
        /// Name and port.
        host: String,
        /// What was wrong.
        reason: String,
    },
    /// No client could be made on this machine.
    #[error("HTTPS cannot be used on this machine ({0}): install its root certificates (Debian: apt-get install ca-certificates)")]
    Client(String),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        Kind::ServiceUnavailable
    }

    fn details(&self) -> Option<Value> {
        let code = match self {
            Self::Untrusted { .. } => Some("TLS_UNTRUSTED"),
            _ => None,
        };
        Some(json!({ "service": "proxmox", "hint": self.to_string(), "reason": code }))
    }
}

impl Error {
    /// Whether trying again soon would only be refused again, and might lock the account.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::SecondFactor { .. })
    }
}

/// A host.
pub struct Proxmox {
    settings: Settings,
    client: Client,
    trust: Arc<Verifier>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Ticket {
    ticket: String,
    #[serde(rename = "NeedTFA", default)]
    need_tfa: Value,
}

impl Proxmox {
    /// A client for that host. Calls nobody yet.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let trust = Verifier::new(settings.fingerprint.map_or(Believed::System, Believed::One)).map_err(Error::Client)?;
        let tls = trust.client().map_err(Error::Client)?;
        let client = Client::builder()
            .user_agent(concat!("trae/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| Error::Client(chain(&error)))?;
        Ok(Self { settings, client, trust })
    }

    /// Name and port.
    pub fn place(&self) -> String {
        let Settings { host, port, .. } = &self.settings;
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Logs in, and asks for the version: it is there, it is Proxmox, and it knows us.
    ///
    /// # Errors
    /// Each with what to do about it. One that [`Error::is_refusal`] should not be tried again at once.
    pub async fn check(&self) -> Result<Version, Error> {
        let request = self.client.get(self.url("version"));
        let request = match self.token() {
            Some(token) => request.header(AUTHORIZATION, format!("PVEAPIToken={token}")),
            None => request.header(COOKIE, format!("PVEAuthCookie={}", self.ticket().await?)),
        };
        self.ask(request).await
    }

    /// `USER@REALM!ID=SECRET`, if that is what is configured.
    fn token(&self) -> Option<String> {
        let Settings { username, password, .. } = &self.settings;
        let whole = password.split_once('=').is_some_and(|(who, _)| who.contains('@') && who.contains('!'));
        if whole {
            return Some(password.clone());
        }
        username.contains('!').then(|| format!("{username}={password}"))
    }

    /// A ticket for name and password, as a cookie takes it.
    async fn ticket(&self) -> Result<String, Error> {
        let Settings { username, password, .. } = &self.settings;
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("username", username)
            .append_pair("password", password)
            .finish();
        let request = self.client.post(self.url("access/ticket"));
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let Ticket { ticket, need_tfa } = self.ask(request).await?;
        if need_tfa == json!(1) || need_tfa == json!("1") || need_tfa == json!(true) {
            return Err(Error::SecondFactor { host: self.place(), username: username.clone() });
        }
        Ok(url::form_urlencoded::byte_serialize(ticket.as_bytes()).collect())
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        self.trust.forget();
        let answer = request.send().await.map_err(|error| self.failed(&error))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let username = self
                    .token()
                    .map_or_else(|| self.settings.username.clone(), |token| token.split('=').next().unwrap_or_default().to_owned());
                return Err(Error::Refused { host: self.place(), username });
            }
            status => return Err(Error::Strange { host: self.place(), reason: format!("status {status}") }),
        }
        let answer: Data<T> = answer.json().await.map_err(|error| Error::Strange { host: self.place(), reason: chain(&error) })?;
        Ok(answer.data)
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        match self.trust.refused() {
            Some(shown) => {
                let pairs: Vec<String> = shown.iter().map(|byte| format!("{byte:02X}")).collect();
                Error::Untrusted { host: self.place(), seen: pairs.join(":") }
            }
            None => Error::Unreachable { host: self.place(), reason: chain(error) },
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}/api2/json/{path}", self.place())
    }
}

/// The innermost causes, which say more than the outermost.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.pop().unwrap_or_else(|| error.to_string())
}
