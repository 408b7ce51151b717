//! The secret that signs tokens: the configured one, or one of our own in the data folder.

use std::io::{ErrorKind, Write};
use std::path::Path;

use super::Error;

/// Bytes of a secret.
const BYTES: usize = 32;
/// The file in the data folder, which only its owner may read.
const FILE: &str = "jwt.secret";

/// Reads the secret in `data`; makes one where there is none.
pub(super) fn kept(data: &Path) -> Result<Vec<u8>, Error> {
    let path = data.join(FILE);
    let failed = |reason: String| Error::Secret { path: path.clone(), reason };
    match std::fs::read(&path) {
        Ok(secret) if secret.len() >= BYTES => return Ok(secret),
        Ok(_) => return Err(failed(format!("it holds less than {BYTES} bytes"))),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    let secret = random::<BYTES>()?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&path).and_then(|mut file| file.write_all(&secret).and_then(|()| file.sync_all())) {
        Ok(()) => Ok(secret.to_vec()),
        // Another process was faster: its secret counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => std::fs::read(&path).map_err(|error| failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// So many random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner_only() {
        let data = tempfile::tempdir().unwrap();
        let secret = kept(data.path()).unwrap();
        assert_eq!(secret.len(), 32);
        assert_eq!(kept(data.path()).unwrap(), secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(data.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(data.path().join(FILE), "short").unwrap();
        assert!(kept(data.path()).is_err());
    }
}
