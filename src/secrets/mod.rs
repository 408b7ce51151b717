//! Secrets: named values that scripts and workflows use and nobody reads.
//!
//! A value goes in ([`Vault::set`]) and comes out only for a run that may use it ([`Vault::get`] takes the proof of that). At rest it is
//! encrypted with age for the identity of the data folder ([`identity`]), together with its name, so that no value can be passed off as
//! another. Whatever is read here is masked from then on wherever it would be shown ([`crate::mask`]).

mod error;
mod identity;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use age::x25519;

pub use error::Error;

use crate::mask;
use crate::policy::AllowedSecret;
use crate::store::Store;
use crate::store::secrets::SecretRow;

/// Bytes of the longest value.
pub const LONGEST: usize = 64 << 10;
/// Letters of the longest name.
const LONGEST_NAME: usize = 128;

/// Where the identity is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder: it is kept there where `identity` names no other place.
    pub data: PathBuf,
    /// Its file, where it is one's own.
    pub identity: Option<PathBuf>,
    /// What encrypts the file.
    pub passphrase: Option<String>,
}

/// What may be known of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970: when its value was set.
    pub updated_at: i64,
}

impl From<SecretRow> for Secret {
    fn from(row: SecretRow) -> Self {
        Self { name: row.name, created_at: row.created_at, updated_at: row.updated_at }
    }
}

/// The secrets of a data folder. Another process may set and remove them (`trae secrets`) while a server runs.
pub struct Vault {
    store: Store,
    settings: Settings,
    identity: tokio::sync::Mutex<Option<Arc<x25519::Identity>>>,
    /// Values that were opened, and when they were set.
    opened: Mutex<HashMap<String, (i64, Arc<str>)>>,
}

impl Vault {
    /// The secrets in `store`. Nothing is read yet.
    pub fn new(store: Store, settings: Settings) -> Self {
        Self { store, settings, identity: tokio::sync::Mutex::default(), opened: Mutex::default() }
    }

    /// Opens all of them, so that they are masked from now on, whoever shows them.
    ///
    /// # Errors
    /// [`Error::Identity`]; [`Error::Sealed`] for the first that cannot be opened, after all the others were.
    pub async fn learn(&self) -> Result<(), Error> {
        let rows = self.store.secrets().await?;
        let mut failed = Ok(());
        for row in rows {
            match self.open(row).await {
                Ok(_) => {}
                Err(error @ Error::Sealed { .. }) => failed = failed.and(Err(error)),
                Err(error) => return Err(error),
            }
        }
        failed
    }

    /// Keeps a value under a name; `true` where there was none of that name.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Identity`], [`Error::Store`].
    pub async fn set(&self, name: &str, value: &str) -> Result<(Secret, bool), Error> {
        check(name, value)?;
        mask::learn([value]);
        let known = self.store.secrets().await?;
        let is_new = known.iter().all(|row| row.name != name);
        let identity = self.identity(known.is_empty()).await?;
        let sealed = age::encrypt(&identity.to_public(), format!("{name}\n{value}").as_bytes())
            .map_err(|error| Error::Sealed { name: name.to_owned(), reason: error.to_string() })?;
        let row = self.store.put_secret(name.to_owned(), sealed, now()).await?;
        Ok((row.into(), is_new))
    }

    /// All of them, by name, without their values.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self) -> Result<Vec<Secret>, Error> {
        Ok(self.store.secrets().await?.into_iter().map(Secret::from).collect())
    }

    /// Removes one. Its value stays masked until the process ends.
    ///
    /// # Errors
    /// [`Error::Store`] with `NOT_FOUND`.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        self.store.delete_secret(name.to_owned()).await?;
        self.opened().remove(name);
        Ok(())
    }

    /// The value of one, as it is now.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Sealed`], [`Error::Identity`], [`Error::Store`].
    pub async fn get(&self, secret: &AllowedSecret) -> Result<Arc<str>, Error> {
        let row = self.store.secret(secret.name().to_owned()).await?;
        self.open(row.ok_or_else(|| Error::Missing(secret.name().to_owned()))?).await
    }

    async fn open(&self, row: SecretRow) -> Result<Arc<str>, Error> {
        if let Some((_, value)) = self.opened().get(&row.name).filter(|(set, _)| *set == row.updated_at) {
            return Ok(Arc::clone(value));
        }
        let failed = |reason: String| Error::Sealed { name: row.name.clone(), reason };
        let identity = self.identity(false).await?;
        let plain = age::decrypt(&*identity, &row.sealed).map_err(|error| failed(error.to_string()))?;
        let plain = String::from_utf8(plain).map_err(|_| failed("it is no text".to_owned()))?;
        let named = plain.split_once('\n').filter(|(name, _)| *name == row.name);
        let value: Arc<str> = named.ok_or_else(|| failed("it was stored under another name".to_owned()))?.1.into();
        mask::learn([&*value]);
        self.opened().insert(row.name.clone(), (row.updated_at, Arc::clone(&value)));
        Ok(value)
    }

    /// The identity; with `make`, a new one where there is none.
    async fn identity(&self, make: bool) -> Result<Arc<x25519::Identity>, Error> {
        let mut known = self.identity.lock().await;
        if let Some(identity) = &*known {
            return Ok(Arc::clone(identity));
        }
        let settings = self.settings.clone();
        let path = || self.settings.identity.clone().unwrap_or_else(|| self.settings.data.clone());
        let failed = |reason: &str| Error::Identity { path: path(), reason: reason.to_owned() };
        let loaded = tokio::task::spawn_blocking(move || identity::load(&settings, make)).await;
        let loaded = loaded.map_err(|_| failed("reading it failed; the server's log has the reason"))??;
        let gone = || failed("it is gone, and the secrets there are cannot be opened without it: bring it back, or remove them");
        let identity = Arc::new(loaded.ok_or_else(gone)?);
        *known = Some(Arc::clone(&identity));
        Ok(identity)
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<String, (i64, Arc<str>)>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a name and a value can be those of a secret. The value is never repeated.
fn check(name: &str, value: &str) -> Result<(), Error> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let well_formed = name.starts_with(first) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !well_formed || name.len() > LONGEST_NAME {
        let message =
            format!("a secret's name has up to {LONGEST_NAME} letters, digits, `_` and `-`, and begins with a letter or `_`: API_KEY");
        return Err(Error::Invalid { path: "/name", message });
    }
    let wrong = if value.len() < mask::SHORTEST {
        format!("a secret has at least {} bytes: a shorter one could not be masked where it would be shown", mask::SHORTEST)
    } else if value.len() > LONGEST {
        format!("a secret has at most {LONGEST} bytes")
    } else if value.contains('\0') {
        "a secret cannot contain NUL characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid { path: "/value", message: wrong })
}

/// The present, in microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Grant, Permissions};

    fn vault(store: &Store, data: &std::path::Path) -> Vault {
        Vault::new(store.clone(), Settings { data: data.to_path_buf(), identity: None, passphrase: None })
    }

    fn allowed(name: &str) -> AllowedSecret {
        Grant::new(vec![Permissions::all()], "/").secret(name).unwrap()
    }

    #[tokio::test]
    async fn a_value_comes_back_for_who_may_and_lies_encrypted() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(&data.path().join("trae.db")).unwrap();
        let secrets = vault(&store, data.path());
        assert!(secrets.set("TOKEN", "opens-sesame").await.unwrap().1);
        assert_eq!(&*secrets.get(&allowed("TOKEN")).await.unwrap(), "opens-sesame");
        // Another process replaces it.
        let (replaced, is_new) = vault(&store, data.path()).set("TOKEN", "line one\nline two").await.unwrap();
        assert!(!is_new && replaced.updated_at > replaced.created_at);
        assert_eq!(&*secrets.get(&allowed("TOKEN")).await.unwrap(), "line one\nline two");
        assert_eq!(mask::text("x line one\nline two opens-sesame"), "x *** ***");
        secrets.remove("TOKEN").await.unwrap();
        assert!(matches!(secrets.get(&allowed("TOKEN")).await, Err(Error::Missing(_))));
        assert!(secrets.remove("TOKEN").await.is_err());
        secrets.set("KEPT", "opens-sesame").await.unwrap();
        store.close();
        for file in ["trae.db", "trae.db-wal"] {
            let bytes = std::fs::read(data.path().join(file)).unwrap_or_default();
            assert!(!bytes.windows(12).any(|window| window == b"opens-sesame"), "it is in {file}");
        }
    }

    #[tokio::test]
    async fn names_and_values_are_checked_and_values_not_repeated() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::in_memory().unwrap();
        let secrets = vault(&store, data.path());
        let (long, longer) = ("x".repeat(129), "y".repeat(LONGEST + 1));
        for (name, value, path) in [
            ("", "long enough", "/name"),
            ("1A", "long enough", "/name"),
            ("a b", "long enough", "/name"),
            ("a.b", "long enough", "/name"),
            (&long, "long enough", "/name"),
            ("OK", "12345", "/value"),
            ("OK", "with\0nul", "/value"),
            ("OK", &longer, "/value"),
        ] {
            let error = secrets.set(name, value).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { path: at, .. } if *at == path), "{name:?}: {error}");
            assert!(!error.to_string().contains(value), "{error}");
        }
        assert!(secrets.list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_value_cannot_be_passed_off_as_another_nor_opened_without_its_identity() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::in_memory().unwrap();
        let secrets = vault(&store, data.path());
        secrets.set("ONE", "value of one").await.unwrap();
        let sealed = store.secret("ONE".to_owned()).await.unwrap().unwrap().sealed;
        store.put_secret("TWO".to_owned(), sealed, 1).await.unwrap();
        let error = secrets.get(&allowed("TWO")).await.unwrap_err();
        assert!(matches!(error, Error::Sealed { .. }) && error.to_string().contains("another name"), "{error}");
        std::fs::remove_file(data.path().join("secrets.identity")).unwrap();
        let later = vault(&store, data.path());
        // A new identity would leave those there are closed for good.
        for error in [later.get(&allowed("ONE")).await.unwrap_err(), later.set("THREE", "long enough").await.unwrap_err()] {
            assert!(matches!(error, Error::Identity { .. }), "{error}");
        }
    }
}
