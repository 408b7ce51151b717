//! TLS for the server: a certificate and its key, read once, at the start.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Server;
use crate::error::{Failure, Kind};

/// How connections are encrypted.
#[derive(Clone)]
pub struct Tls(pub(crate) TlsAcceptor);

impl Tls {
    /// Reads the files that `TLS_CERT` and `TLS_KEY` name. None where they name none.
    ///
    /// # Errors
    /// A file that cannot be read, holds something else, or does not fit the other.
    pub fn load(server: &Server) -> Result<Option<Self>, Failure> {
        let (Some(certificate), Some(key)) = (&server.tls_cert, &server.tls_key) else { return Ok(None) };
        let failed = |name: &str, path: &Path, reason: String| {
            Failure::new(Kind::ValidationError, format!("{name}={} cannot be used: {reason}", path.display()))
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| failed("TLS_CERT", certificate, format!("it is no PEM file with a certificate ({error})")))?;
        if chain.is_empty() {
            return Err(failed("TLS_CERT", certificate, "there is no certificate in it".to_owned()));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| failed("TLS_KEY", key, format!("it is no PEM file with a private key ({error})")))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|error| failed("TLS_KEY", key, format!("it does not go with the certificate ({error})")))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self(TlsAcceptor::from(Arc::new(config)))))
    }
}
