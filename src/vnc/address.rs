//! Where a VNC server is.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// The port of a server whose address names none.
const PORT: u16 = 5900;

/// Where a VNC server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Its name, or its IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for Address {
    type Err = Error;

    /// Reads `vnc://host:port`; the port may be left out. A password has no place in it: addresses are shown.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Address(text.chars().take(200).filter(|letter| *letter != '@').collect());
        let url = url::Url::parse(text).map_err(|_| wrong())?;
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| !host.is_empty() && host.len() <= 253).ok_or_else(wrong)?;
        if url.scheme() != "vnc" || !bare || !matches!(url.path(), "" | "/") || url.port() == Some(0) {
            return Err(wrong());
        }
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port: url.port().unwrap_or(PORT) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "vnc://[{}]:{}", self.host, self.port),
            false => write!(f, "vnc://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, host, port, written) in [
            ("vnc://desk.example:5901", "desk.example", 5901, "vnc://desk.example:5901"),
            ("vnc://10.0.0.1", "10.0.0.1", 5900, "vnc://10.0.0.1:5900"),
            ("vnc://[::1]:5902/", "::1", 5902, "vnc://[::1]:5902"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port, address.to_string().as_str()), (host, port, written));
        }
        for bad in
            ["", "desk:5900", "http://desk:5900", "vnc://", "vnc://user:secret@desk", "vnc://desk/x", "vnc://desk:0", "vnc://desk?x=1"]
        {
            assert!(matches!(bad.parse::<Address>(), Err(Error::Address(_))), "{bad}");
        }
    }
}
