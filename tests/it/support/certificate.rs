//! A certificate that nobody vouches for, as most have at home.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use trae::api::Tls;
use trae::config::Config;

pub struct Certificate {
    folder: tempfile::TempDir,
    der: Vec<u8>,
}

impl Certificate {
    pub fn new(host: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self { folder, der: made.cert.der().to_vec() }
    }

    pub fn cert(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    pub fn pem(&self) -> Vec<u8> {
        std::fs::read(self.cert()).unwrap()
    }

    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// As a server uses it.
    pub fn tls(&self) -> Tls {
        let mut server = Config::default().server;
        server.host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        (server.tls_cert, server.tls_key) = (Some(self.cert()), Some(self.key()));
        Tls::load(&server).unwrap().unwrap()
    }
}
