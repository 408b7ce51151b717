//! The part `proxmox`: a host that is asked now and then whether it is still there.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::config;
use crate::error::Failure;
use crate::integrations::proxmox::{Error, Proxmox, Settings};
use crate::services::Service;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(60);
/// So many questions in a row may stay without an answer.
const MISSES: u32 = 3;
/// After it refused us, it is left alone for so long: another refusal might lock the account.
const SULK: Duration = Duration::from_secs(300);

/// The client for the host that the settings name. None where they name none.
pub(crate) fn client(config: &config::Proxmox) -> Option<Result<Proxmox, Error>> {
    let host = config.host.clone()?;
    Some(Proxmox::new(Settings {
        host,
        port: config.port,
        username: config.username.clone().unwrap_or_default(),
        password: config.password.as_ref().map(|password| password.0.clone()).unwrap_or_default(),
        fingerprint: config.fingerprint.map(|fingerprint| fingerprint.0),
    }))
}

/// The host.
pub(super) struct Host {
    config: config::Proxmox,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    details: String,
    /// It was asked once, whatever came of it.
    asked: bool,
    /// It refused us, then and with these words.
    refused: Option<(Instant, Failure)>,
}

impl Host {
    pub(super) fn new(config: config::Proxmox) -> Self {
        Self { config, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the host, unless it refused us a moment ago.
    async fn ask(&self) -> Result<(), Failure> {
        if let Some((at, failure)) = &self.state().refused
            && at.elapsed() < SULK
        {
            return Err(failure.clone());
        }
        let Some(client) = client(&self.config) else { return Ok(()) };
        let client = client?;
        match client.check().await {
            Ok(version) => {
                let mut state = self.state();
                state.refused = None;
                state.details = format!("Proxmox VE {} at {}", version.version, client.place());
                Ok(())
            }
            Err(error) => {
                let refusal = error.is_refusal();
                let failure = Failure::from(error);
                if refusal {
                    self.state().refused = Some((Instant::now(), failure.clone()));
                }
                Err(failure)
            }
        }
    }
}

impl Service for Host {
    /// The first time nothing is waited for: the server is not to start later because another machine is slow.
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async {
            if self.state().asked {
                return self.ask().await;
            }
            let host = self.config.host.as_deref().unwrap_or_default();
            self.state().details = format!("{host} is being asked");
            Ok(())
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        // Whoever starts it again by hand has mended something.
        Box::pin(async { self.state().refused = None })
    }

    fn crashed(&self) -> BoxFuture<'_, Failure> {
        Box::pin(async {
            let first = !std::mem::replace(&mut self.state().asked, true);
            if first && let Err(failure) = self.ask().await {
                return failure;
            }
            let mut missed = 0;
            loop {
                tokio::time::sleep(INTERVAL).await;
                match self.ask().await {
                    Ok(()) => missed = 0,
                    Err(failure) => {
                        missed += 1;
                        if missed >= MISSES {
                            return failure;
                        }
                    }
                }
            }
        })
    }

    fn details(&self) -> String {
        self.state().details.clone()
    }
}
