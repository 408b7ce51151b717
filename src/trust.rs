//! Whose certificate is believed: the one that is known by its fingerprint, or those that authorities vouch for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a certificate.
pub type Fingerprint = [u8; 32];

/// Who is believed.
#[derive(Debug)]
pub enum Believed {
    /// The one with this fingerprint, and nobody else.
    One(Fingerprint),
    /// Whoever this machine's authorities vouch for.
    System,
    /// Whoever these authorities vouch for.
    Authorities(RootCertStore),
}

/// Believes as it was told, and remembers the last certificate that it did not believe.
#[derive(Debug)]
pub struct Verifier {
    pin: Option<Fingerprint>,
    usual: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
    refused: Mutex<Option<Fingerprint>>,
}

impl Verifier {
    /// One for connections to a server.
    ///
    /// # Errors
    /// A sentence, where the authorities cannot be used.
    pub fn new(believed: Believed) -> Result<Arc<Self>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (pin, usual): (_, Option<Arc<dyn ServerCertVerifier>>) = match believed {
            Believed::One(pin) => (Some(pin), None),
            Believed::System => {
                let usual = rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(|error| error.to_string())?;
                (None, Some(Arc::new(usual)))
            }
            Believed::Authorities(roots) => {
                let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
                (None, Some(usual.map_err(|error| error.to_string())?))
            }
        };
        Ok(Arc::new(Self { pin, usual, provider, refused: Mutex::default() }))
    }

    /// How to connect with it.
    ///
    /// # Errors
    /// A sentence, where TLS cannot be used at all.
    pub fn client(self: &Arc<Self>) -> Result<ClientConfig, String> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider)).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.dangerous();
        Ok(config.with_custom_certificate_verifier(Arc::clone(self) as _).with_no_client_auth())
    }

    /// The certificate that was shown last and was not believed.
    pub fn refused(&self) -> Option<Fingerprint> {
        *self.last()
    }

    /// Forgets it.
    pub fn forget(&self) {
        *self.last() = None;
    }

    fn last(&self) -> MutexGuard<'_, Option<Fingerprint>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let shown: Fingerprint = Sha256::digest(end_entity).into();
        let verified = match (&self.usual, self.pin) {
            (_, Some(pin)) if pin == shown => Ok(ServerCertVerified::assertion()),
            (Some(usual), None) => usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            _ => Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure)),
        };
        if verified.is_err() {
            *self.last() = Some(shown);
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
