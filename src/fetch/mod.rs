//! Calls other machines over HTTP.
//!
//! Redirects are followed only to where the permission was proved: the same host. Addresses of cloud metadata services and
//! link-local ones are refused whatever name they hide behind, the address at which this server listens as well, those of this machine and of private networks where the settings do not
//! open them ([`Private`]), by looking at the address that is really connected to. Proxies of
//! the environment are not used, as they would resolve names themselves. Clients are built when first needed: a plain call pays for no
//! certificates. They can be built anew ([`Fetch::rebuild`]): connections that are kept open are then closed.

mod address;
mod error;
mod request;
mod response;
mod words;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::policy::AllowedUrl;
pub use address::Private;
pub use error::Error;
use request::Prepared;
pub use words::*;

/// Redirects that are followed at most.
const REDIRECTS: usize = 10;

/// The HTTP client.
#[derive(Debug, Default)]
pub struct Fetch {
    names: address::Names,
    private: Private,
    own: OnceLock<SocketAddr>,
    plain: Mutex<Option<Client>>,
    secure: Mutex<Option<Client>>,
}

impl Fetch {
    /// A client that has connected nowhere yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, which calls addresses of this machine and of private networks for these hosts only.
    pub fn within(private: Private) -> Self {
        Self { private, ..Self::default() }
    }

    /// From now on this address, at which the server itself listens, is not called. The first one counts.
    pub fn never(&self, own: SocketAddr) {
        let _ = self.own.set(own);
    }

    /// Lets both clients and their connections go, and builds the plain one anew; the other one is built when it is needed.
    ///
    /// # Errors
    /// Where none can be built.
    pub fn rebuild(&self) -> Result<(), Error> {
        self.close();
        self.client("http", None).map(drop)
    }

    /// Lets both clients and the connections that nobody uses go.
    pub fn close(&self) {
        for slot in [&self.plain, &self.secure] {
            drop(slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// Sends one request and reads the whole answer, of at most 10 MiB.
    ///
    /// Any answer is a success, whatever its status. A redirect is followed to the same host and port (or from `http` to `https` at their
    /// usual ports) at most ten times; one that leads elsewhere is the answer. `url` is what is called; `request.url` is not looked at.
    pub async fn send(&self, url: AllowedUrl, request: Request, cancel: &CancellationToken) -> Result<Response, Error> {
        let limit = request::time_limit(request.timeout)?;
        let prepared = Prepared::new(url.as_url(), request)?;
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            answer = tokio::time::timeout(limit, self.exchange(prepared)) => {
                answer.unwrap_or(Err(Error::Timeout { host: host(url.as_url()), seconds: limit.as_secs_f64() }))
            }
        }
    }

    async fn exchange(&self, mut request: Prepared) -> Result<Response, Error> {
        for _ in 0..=REDIRECTS {
            let port = request.url.port_or_known_default();
            let own = self.own.get().copied().filter(|own| port == Some(own.port()));
            address::check(&request.url, &self.private, own)?;
            let client = self.client(request.url.scheme(), own)?;
            let answer = request.build(&client).send().await.map_err(|error| Error::from_exchange(&request.url, &error))?;
            match redirect(&request.url, &answer) {
                Some(next) => request.redirected(next, answer.status()),
                None => return response::read(&request.url, answer).await,
            }
        }
        Err(Error::Redirects { host: host(&request.url) })
    }

    /// The client for a scheme. Calls to the port of this server, which are rare, get one of their own, whose resolver knows it.
    fn client(&self, scheme: &str, own: Option<SocketAddr>) -> Result<Client, Error> {
        let (slot, secure) = if scheme == "https" { (&self.secure, true) } else { (&self.plain, false) };
        if own.is_some() {
            return self.build(secure, own);
        }
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        Ok(slot.insert(self.build(secure, None)?).clone())
    }

    fn build(&self, secure: bool, own: Option<SocketAddr>) -> Result<Client, Error> {
        let builder = ClientBuilder::new()
            .user_agent(concat!("trae/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(address::Resolver { names: self.names.clone(), private: self.private.clone(), own }))
            .pool_idle_timeout(Duration::from_secs(30));
        let provider = rustls::crypto::ring::default_provider();
        let built = if secure {
            // An error means that one is installed already, which serves as well.
            let _ = provider.install_default();
            builder.build()
        } else {
            rustls::ClientConfig::builder_with_provider(Arc::new(provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| Error::Client(error.to_string()))
                .map(|tls| tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
                .map(|tls| builder.tls_backend_preconfigured(tls).build())?
        };
        built.map_err(|error| Error::Client(error::chain(&error)))
    }
}

/// Where a redirect leads, if that is where the permission was proved.
fn redirect(from: &Url, answer: &reqwest::Response) -> Option<Url> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let next = from.join(answer.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    let same_port = next.scheme() == from.scheme() && next.port_or_known_default() == from.port_or_known_default();
    let upgrade = from.scheme() == "http" && next.scheme() == "https" && from.port().is_none() && next.port().is_none();
    (next.host() == from.host() && (same_port || upgrade)).then_some(next)
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
