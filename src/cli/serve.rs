//! `trae serve`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use trae::api::Tls;
use trae::app::{self, App};
use trae::config::{Config, Source};
use trae::{logging, mask};

use super::{Place, exit, print, runtime};

/// Serve the API until SIGTERM or Ctrl-C.
#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    place: Place,
    /// The address to listen on [HOST]
    #[arg(long)]
    host: Option<IpAddr>,
    /// The port to listen on [PORT]
    #[arg(long)]
    port: Option<u16>,
}

impl Serve {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        let mut flags = BTreeMap::new();
        flags.extend(self.host.map(|host| ("HOST".to_owned(), host.to_string())));
        flags.extend(self.port.map(|port| ("PORT".to_owned(), port.to_string())));
        let config = self.place.config(flags)?;
        let tls = Tls::load(&config.server).map_err(|failure| {
            print::complaint(&failure.message);
            ExitCode::from(exit::CONFIG)
        })?;
        app::allowed(&config).map(drop).and_then(|()| app::commands(&config).map(drop)).map_err(|failure| {
            print::complaint(&failure.message);
            ExitCode::from(exit::CONFIG)
        })?;
        mask::learn(config.secrets());
        let _log = logging::to_file(&config.logging).map_err(|error| failed(&error.into()))?;
        runtime(config.server.workers)?.block_on(async {
            let address = SocketAddr::new(config.server.host, config.server.port);
            let listener = TcpListener::bind(address).await.map_err(|error| {
                print::complaint(&format!("{address} cannot be listened on: {error}; end what uses it, or set PORT to another one"));
                ExitCode::from(exit::UNAVAILABLE)
            })?;
            let _lock = lock(&config.storage.data_dir)?;
            let scheme = if tls.is_some() { "https" } else { "http" };
            let (name, environment) = (config.application.name.clone(), config.application.environment.clone());
            let address = listener.local_addr().unwrap_or(address);
            let beside = beside(&config, address.port()).await;
            warn_of_listeners(&config);
            let app = App::new(config).await.map_err(|failure| failed(&failure))?;
            let also = beside.as_ref().map(|_| format!(" and {scheme}://[::1]:{}", address.port())).unwrap_or_default();
            tracing::info!(name, environment, "serving on {scheme}://{address}{also}");
            tokio::select! {
                () = app.listen(std::iter::once(listener).chain(beside)) => {}
                () = asked_to_end() => tracing::info!("ending"),
            }
            app.shutdown().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// The same port at `::1`, where nobody says which address is meant: `localhost` may stand for either. None on a machine without IPv6.
async fn beside(config: &Config, port: u16) -> Option<TcpListener> {
    let is_default = config.settings().iter().any(|setting| setting.name == "HOST" && setting.source == Source::Default);
    if !is_default || !config.server.host.is_loopback() {
        return None;
    }
    match TcpListener::bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            if error.kind() == ErrorKind::AddrInUse {
                tracing::warn!(
                    "another program listens on [::1]:{port}: what calls localhost may come to that one; end it, or call 127.0.0.1"
                );
            }
            None
        }
    }
}

/// Says what whoever listens to the network could read, where that is so.
fn warn_of_listeners(config: &Config) {
    let server = &config.server;
    if server.host.is_loopback() || server.tls_cert.is_some() || !server.trusted_proxies.is_empty() {
        return;
    }
    tracing::warn!(
        "{} is reached over the network without TLS: whoever listens there can read every key and token, what is on the screen, what is \
         typed and what commands print, and can use the keys; set TLS_CERT and TLS_KEY, or serve through a proxy with TLS and name it in \
         TRUSTED_PROXIES",
        server.host
    );
}

/// Says what went wrong, and gives its exit code.
pub(super) fn failed(failure: &trae::error::Failure) -> ExitCode {
    print::complaint(&failure.message);
    exit::code(failure.code)
}

/// Keeps a second server off the data folder. The lock goes with the process, however that ends.
fn lock(data: &Path) -> Result<Option<File>, ExitCode> {
    let file = std::fs::create_dir_all(data).and_then(|()| File::create(data.join("server.lock"))).map_err(|error| {
        print::complaint(&format!("the data folder {} cannot be written: {error}; free space there, or set DATA_DIR", data.display()));
        ExitCode::from(exit::CANNOT_WRITE)
    })?;
    // A child that a killed server was just starting holds on to its files for a moment.
    let until = Instant::now() + Duration::from_secs(1);
    let mut locked = file.try_lock();
    while matches!(locked, Err(std::fs::TryLockError::WouldBlock)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => {
            print::complaint(&format!("another server uses the data folder {}: end it, or set DATA_DIR to another folder", data.display()));
            Err(exit::IN_USE.into())
        }
        // A file system without locks: better served than not.
        Err(std::fs::TryLockError::Error(_)) => Ok(None),
    }
}

/// Resolves once somebody asks the process to end.
pub(super) async fn asked_to_end() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
