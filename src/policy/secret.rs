//! Secrets whose use was checked.

/// A secret that the grant allows to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSecret(String);

impl AllowedSecret {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    pub(super) fn new(name: &str) -> Self {
        Self(name.to_owned())
    }
}
