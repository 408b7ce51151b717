//! The identity that opens all secrets: a file of age's own, which `age` and `age-keygen` read and write as well.
//!
//! It holds a line `AGE-SECRET-KEY-1…`, or is encrypted with a passphrase. One in the data folder is made when the first secret is set;
//! one that the settings name is its owner's to make.

use std::io::{ErrorKind, Write};
use std::path::Path;

use age::secrecy::{ExposeSecret, SecretString};
use age::{scrypt, x25519};

use super::{Error, Settings};

/// Its name in the data folder.
const FILE: &str = "secrets.identity";
/// How an encrypted file begins.
const ENCRYPTED: &[u8] = b"age-encryption.org/v1";
/// No larger file is one.
const LARGEST: u64 = 64 << 10;
/// What a guess at a passphrase costs, as a power of two: 128 MiB, and some tenths of a second. Measured on a busy machine, as age does by
/// itself, it would be less.
const WORK: u8 = 17;
/// The dearest passphrase that is tried, as a power of two: about a minute, for what another machine made.
const DEAREST: u8 = 22;

/// The identity, if there is one; with `make`, one is made in the data folder where there is none. Blocks: a passphrase costs a second.
pub(super) fn load(settings: &Settings, make: bool) -> Result<Option<x25519::Identity>, Error> {
    let path = settings.identity.clone().unwrap_or_else(|| settings.data.join(FILE));
    match read(&path, settings)? {
        Some(identity) => Ok(Some(identity)),
        None if settings.identity.is_some() => {
            Err(failed(&path, "there is no such file: make it with `age-keygen -o FILE`, or unset SECRETS_IDENTITY"))
        }
        None if make => {
            let identity = x25519::Identity::generate();
            let content = written(&identity, settings).map_err(|reason| failed(&path, reason))?;
            match create(&path, &content) {
                Ok(()) => Ok(Some(identity)),
                // Another process was faster: its identity counts.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => read(&path, settings),
                Err(error) => Err(failed(&path, error)),
            }
        }
        None => Ok(None),
    }
}

fn failed(path: &Path, reason: impl ToString) -> Error {
    Error::Identity { path: path.to_path_buf(), reason: reason.to_string() }
}

fn read(path: &Path, settings: &Settings) -> Result<Option<x25519::Identity>, Error> {
    let data = match std::fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    if !data.is_file() || data.len() > LARGEST {
        return Err(failed(path, "it is no file of an identity"));
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o077 != 0 {
        return Err(failed(path, format!("others than its owner may read or write it: chmod 600 {}", path.display())));
    }
    let content = std::fs::read(path).map_err(|error| failed(path, error))?;
    let is_encrypted = content.starts_with(ENCRYPTED);
    let text = match (is_encrypted, &settings.passphrase) {
        (false, _) => content,
        (true, Some(passphrase)) => {
            let mut opener = scrypt::Identity::new(SecretString::from(passphrase.clone()));
            opener.set_max_work_factor(DEAREST);
            let wrong = |error| failed(path, format!("{error}; is SECRETS_PASSPHRASE the one it was encrypted with?"));
            age::decrypt(&opener, &content).map_err(wrong)?
        }
        (true, None) => return Err(failed(path, "it is encrypted with a passphrase: set SECRETS_PASSPHRASE")),
    };
    let text = String::from_utf8(text).map_err(|_| failed(path, "it is no text"))?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    let identity: x25519::Identity =
        line.parse().map_err(|_| failed(path, "it holds no line AGE-SECRET-KEY-1…, which is the one kind that is known here"))?;
    // It lay open before the passphrase was set. Somebody's own file is left as it is.
    if !is_encrypted && settings.passphrase.is_some() && settings.identity.is_none() {
        let content = written(&identity, settings).map_err(|reason| failed(path, reason))?;
        let aside = path.with_extension("new");
        let _ = std::fs::remove_file(&aside);
        create(&aside, &content).and_then(|()| std::fs::rename(&aside, path)).map_err(|error| failed(path, error))?;
    }
    Ok(Some(identity))
}

/// What the file of an identity holds.
fn written(identity: &x25519::Identity, settings: &Settings) -> Result<Vec<u8>, String> {
    let secret = identity.to_string();
    let text = format!("# Opens the secrets of this data folder. Whoever has it has them.\n{}\n", secret.expose_secret());
    match &settings.passphrase {
        Some(passphrase) => {
            let mut sealer = scrypt::Recipient::new(SecretString::from(passphrase.clone()));
            sealer.set_work_factor(WORK);
            age::encrypt(&sealer, text.as_bytes()).map_err(|error| error.to_string())
        }
        None => Ok(text.into_bytes()),
    }
}

/// Writes a file that was not there, for its owner only.
fn create(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(data: &Path, passphrase: Option<&str>) -> Settings {
        Settings { data: data.to_path_buf(), identity: None, passphrase: passphrase.map(str::to_owned) }
    }

    fn public(settings: &Settings) -> String {
        load(settings, false).unwrap().unwrap().to_public().to_string()
    }

    #[test]
    fn it_is_made_when_it_is_needed_and_for_its_owner_only() {
        let data = tempfile::tempdir().unwrap();
        let open = settings(data.path(), None);
        assert!(load(&open, false).unwrap().is_none());
        load(&open, true).unwrap().unwrap();
        let made = public(&open);
        assert_eq!(public(&open), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let file = data.path().join(FILE);
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert!(load(&open, false).err().unwrap().to_string().contains("chmod 600"));
        }
    }

    #[test]
    fn a_passphrase_closes_what_lay_open() {
        let data = tempfile::tempdir().unwrap();
        let open = settings(data.path(), None);
        load(&open, true).unwrap();
        let made = public(&open);
        let closed = settings(data.path(), Some("correct horse"));
        assert_eq!(public(&closed), made);
        let file = std::fs::read(data.path().join(FILE)).unwrap();
        assert!(file.starts_with(ENCRYPTED) && !String::from_utf8_lossy(&file).contains("AGE-SECRET-KEY"));
        assert_eq!(public(&closed), made);
        for wrong in [open, settings(data.path(), Some("wrong"))] {
            assert!(load(&wrong, true).err().unwrap().to_string().contains("SECRETS_PASSPHRASE"));
        }
    }

    #[test]
    fn one_that_the_settings_name_is_there_or_it_is_said() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("mine.txt");
        let named = Settings { identity: Some(file.clone()), ..settings(data.path(), None) };
        assert!(load(&named, true).err().unwrap().to_string().contains("age-keygen"));
        create(&file, b"# created: today\nnonsense\n").unwrap();
        assert!(load(&named, true).err().unwrap().to_string().contains("AGE-SECRET-KEY-1"));
    }
}
