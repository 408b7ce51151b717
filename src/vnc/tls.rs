//! TLS below VNC, as VeNCrypt asks for it: with certificates. What is anonymous proves nothing about who is at the other end.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Error;
use super::wire::Broken;

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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: rustls::Error| format!("TLS cannot be used: {error}");
    let usual: Option<Arc<dyn ServerCertVerifier>> = match trust {
        Trust::Fingerprint(_) => None,
        Trust::Authorities(pem) => {
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(pem)?), Arc::clone(&provider)).build();
            Some(built.map_err(|error| format!("TLS cannot be used: {error}"))?)
        }
        Trust::System | Trust::Unencrypted => {
            Some(Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(failed)?))
        }
    };
    let pin = if let Trust::Fingerprint(pin) = trust { Some(*pin) } else { None };
    let verifier = Arc::new(Verifier { pin, usual, provider: Arc::clone(&provider), refused: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(failed)?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::clone(&verifier) as _).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("TLS cannot be used: {error}"))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
        let refused = verifier.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        match refused {
            Some(shown) => format!("its certificate is not trusted ({error}); if it is the right one, give its `fingerprint`: {shown}"),
            None => format!("TLS did not begin: {error}"),
        }
    })
}

/// Trusts one certificate, or those that somebody vouches for; remembers one that it does not trust.
#[derive(Debug)]
struct Verifier {
    pin: Option<[u8; 32]>,
    usual: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
    refused: Mutex<Option<String>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown: [u8; 32] = Sha256::digest(end_entity).into();
        let verified = match (&self.usual, self.pin) {
            (_, Some(pin)) if pin == shown => Ok(ServerCertVerified::assertion()),
            (Some(usual), None) => usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            _ => Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure)),
        };
        if verified.is_err() {
            let digits: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(digits);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
