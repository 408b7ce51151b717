//! The secrets of the data folder, as `host` wants them.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::config::{Config, Secret};
use crate::error::Failure;
use crate::host;
use crate::policy::AllowedSecret;
use crate::secrets::{Settings, Vault};

/// The vault, for runs.
pub(super) struct Kept(pub(super) Arc<Vault>);

impl host::Secrets for Kept {
    fn get(&self, secret: AllowedSecret) -> BoxFuture<'_, Result<String, Failure>> {
        Box::pin(async move { Ok(self.0.get(&secret).await?.to_string()) })
    }
}

pub(super) fn settings(config: &Config, data: &Path) -> Settings {
    let passphrase = config.security.secrets_passphrase.as_ref().map(|Secret(text)| text.clone());
    Settings { data: data.to_path_buf(), identity: config.security.secrets_identity.clone(), passphrase }
}
