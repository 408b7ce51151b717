//! URLs that were checked.

use url::Url;

use super::grant::Denied;

/// A URL that the grant allows: `http` or `https`, with a host.
#[derive(Debug, Clone)]
pub struct AllowedUrl(Url);

impl AllowedUrl {
    /// The URL itself.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    pub(super) fn parse(text: &str) -> Result<Self, Denied> {
        let url = Url::parse(text)
            .map_err(|error| Denied::Invalid(format!("{text:?} is not a URL ({error}): write it like https://example.org/path")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Denied::Scheme(text.chars().take(64).collect()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(Denied::Invalid(format!("{text:?} has no host: write it like https://example.org/path")));
        }
        Ok(Self(url))
    }

    pub(super) fn host(&self) -> String {
        self.0.host_str().unwrap_or_default().to_owned()
    }

    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host(), self.0.port_or_known_default().unwrap_or_default())
    }
}
