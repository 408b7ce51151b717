//! TLS below VNC, as VeNCrypt asks for it: with certificates. What is anonymous proves nothing about who is at the other end.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Error;
use super::wire::Broken;
use crate::trust::{Believed, Verifier};

/// Whether the connection is to be encrypted, and whom to believe that it is the right server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// It is not.
    #[default]
    Unencrypted,
    /// Whoever this machine's authorities vouch for.
    System,
    /// Whoever these authorities vouch for: certificates in PEM.
    Authorities(String),
    /// The one whose certificate has this SHA-256.
    Fingerprint([u8; 32]),
}

impl Trust {
    /// The authorities in a PEM text.
    ///
    /// # Errors
    /// [`Error::Trust`] where there is none in it.
    pub fn authorities(pem: &str) -> Result<Self, Error> {
        roots(pem).map_err(Error::Trust)?;
        Ok(Self::Authorities(pem.to_owned()))
    }

    /// A fingerprint, as 64 hexadecimal digits; colons do not count.
    ///
    /// # Errors
    /// [`Error::Trust`] where it is something else.
    pub fn fingerprint(text: &str) -> Result<Self, Error> {
        let wrong =
            || Error::Trust("a fingerprint is the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons".to_owned());
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self::Fingerprint(bytes))
    }
}

fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let read = certificate.map_err(|error| error.to_string()).and_then(|found| store.add(found).map_err(|error| error.to_string()));
        read.map_err(|error| format!("the authorities are no certificates in PEM: {error}"))?;
    }
    if store.is_empty() { Err("there is no certificate in PEM among the authorities".to_owned()) } else { Ok(store) }
}

/// Encrypts a connection.
pub(super) async fn encrypt<S: AsyncRead + AsyncWrite + Unpin>(stream: S, host: &str, trust: &Trust) -> Result<TlsStream<S>, Broken> {
    let unusable = |reason: String| format!("TLS cannot be used: {reason}");
    let believed = match trust {
        Trust::Fingerprint(pin) => Believed::One(*pin),
        Trust::Authorities(pem) => Believed::Authorities(roots(pem)?),
        Trust::System | Trust::Unencrypted => Believed::System,
    };
    let verifier = Verifier::new(believed).map_err(unusable)?;
    let config = verifier.client().map_err(unusable)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("TLS cannot be used: {error}"))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| match verifier.refused() {
        Some(shown) => {
            let shown: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("its certificate is not trusted ({error}); if it is the right one, give its `fingerprint`: {shown}")
        }
        None => format!("TLS did not begin: {error}"),
    })
}
