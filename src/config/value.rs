//! What kinds of values settings have, and how each is written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use super::{Corner, DisplayMode, LogFormat};

/// A kind of value.
pub(super) trait Value: Sized {
    /// Reads it; a sentence otherwise.
    fn parse(text: &str) -> Result<Self, String>;
    /// How `trae config` shows it.
    fn show(&self) -> String;
}

/// An address to listen at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host(pub(super) IpAddr);

/// Width and height.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) u32, pub(super) u32);

/// A command line, cut into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words(pub(super) Vec<String>);

/// What is logged.
#[derive(Debug, Clone)]
pub(super) struct LogLevel(pub(super) String);

/// Where the log is written.
#[derive(Debug, Clone)]
pub(super) struct LogFile(pub(super) Option<PathBuf>);

/// Keys that are pressed together, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HotKey(pub(super) Option<String>);

/// A corner of the screen, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScreenCorner(pub(super) Option<Corner>);

/// An address, or a network of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u128::from(own.to_bits()), u128::from(other.to_bits()), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        (own ^ other).checked_shr(width - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let wrong = || format!("{text:?} is neither an address nor a network: write it like 10.0.0.1, ::1 or 172.16.0.0/12");
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong))?;
        Ok(Self { address, bits })
    }
}

/// The SHA-256 of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&pairs.join(":"))
    }
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Value for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("{text:?} is not a number from {} to {}", <$type>::MIN, <$type>::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

number!(u16, u32, u64, usize);

impl Value for f64 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| format!("{text:?} is not a number"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for Secret {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        "***".to_owned()
    }
}

/// Separated by commas.
impl Value for Vec<String> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn show(&self) -> String {
        self.join(",")
    }
}

/// Separated by blanks; quotes of either kind keep a word together.
impl Value for Words {
    fn parse(text: &str) -> Result<Self, String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in text.chars() {
            match (c, quote) {
                ('"' | '\'', None) => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (c, Some(mark)) if c == mark => quote = None,
                (c, None) if c.is_whitespace() => words.extend(word.take()),
                ('\0', _) => return Err("a command line has no NUL characters".to_owned()),
                (c, _) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        if quote.is_some() {
            return Err(format!("{text:?} has a quote that is not closed"));
        }
        if words.first().is_none_or(String::is_empty) {
            return Err("a command line begins with a program".to_owned());
        }
        Ok(Self(words))
    }

    fn show(&self) -> String {
        self.0.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// A word of a command line, in quotes where it needs them.
pub(super) fn quoted(word: &str) -> String {
    if !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')) {
        return word.to_owned();
    }
    let mark = if word.contains('"') { '\'' } else { '"' };
    format!("{mark}{word}{mark}")
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains('\0') { Err("a path has no NUL characters".to_owned()) } else { Ok(text.into()) }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// Separated like `PATH`.
impl Value for Vec<PathBuf> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(std::env::split_paths(text).filter(|path| !path.as_os_str().is_empty()).collect())
    }

    fn show(&self) -> String {
        std::env::join_paths(self).map(|joined| joined.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Separated by commas.
impl Value for Vec<Network> {
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::parse).collect()
    }

    fn show(&self) -> String {
        let shown: Vec<_> = self.iter().map(|network| format!("{}/{}", network.address, network.bits)).collect();
        shown.join(",")
    }
}

impl Value for LogFile {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") { Ok(Self(None)) } else { PathBuf::parse(text).map(|path| Self(Some(path))) }
    }

    fn show(&self) -> String {
        self.0.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())
    }
}

impl Value for LogLevel {
    fn parse(text: &str) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let is_level = |level: &str| LEVELS.iter().any(|known| level.trim().eq_ignore_ascii_case(known));
        for part in text.split(',').map(str::trim) {
            // A word alone would be taken for the name of a module, and nothing else would be logged.
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            if !is_level(level) {
                return Err(format!("{part:?} is no level: write one of {}, or like info,trae::runs=debug", LEVELS.join(", ")));
            }
        }
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Value for Fingerprint {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a SHA-256 fingerprint: write 32 pairs of hexadecimal digits, with or without colons between".to_owned();
        let digits: Vec<u32> = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect::<Option<_>>().ok_or_else(wrong)?;
        let bytes: Vec<u8> = digits.chunks(2).filter_map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok()).collect();
        if digits.len() == 64 { bytes.try_into().map(Self).map_err(|_| wrong()) } else { Err(wrong()) }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Host {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(Self(Ipv4Addr::LOCALHOST.into()));
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        bare.parse().map(Self).map_err(|_| format!("{text:?} is not an address: write it like 127.0.0.1, ::1 or 0.0.0.0"))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Value for Size {
    fn parse(text: &str) -> Result<Self, String> {
        let sides = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)));
        match sides {
            Some((width, height)) if (64..=16_384).contains(&width) && (64..=16_384).contains(&height) => Ok(Self(width, height)),
            _ => Err(format!("{text:?} is not a size: write it like 1920x1080, each side from 64 to 16384")),
        }
    }

    fn show(&self) -> String {
        format!("{}x{}", self.0, self.1)
    }
}

impl Value for DisplayMode {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "local" => Ok(Self::Local),
            "virtual" => Ok(Self::Virtual),
            "none" => Ok(Self::None),
            _ => Err(format!("{text:?} is none of auto, local, virtual, none")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto",
            Self::Local => "local",
            Self::Virtual => "virtual",
            Self::None => "none",
        }
        .to_owned()
    }
}

impl Value for HotKey {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        // Which keys there are, `app` asks the keyboard's room.
        if text.split('+').any(|key| key.trim().is_empty()) {
            return Err(format!("{text:?} is no combination of keys: write it like ctrl+alt+shift+esc, or none"));
        }
        Ok(Self(Some(text.to_owned())))
    }

    fn show(&self) -> String {
        self.0.clone().unwrap_or_else(|| "none".to_owned())
    }
}

impl Value for ScreenCorner {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(match text.to_ascii_lowercase().as_str() {
            "none" => None,
            "top_left" => Some(Corner::TopLeft),
            "top_right" => Some(Corner::TopRight),
            "bottom_left" => Some(Corner::BottomLeft),
            "bottom_right" => Some(Corner::BottomRight),
            _ => return Err(format!("{text:?} is none of top_left, top_right, bottom_left, bottom_right, none")),
        }))
    }

    fn show(&self) -> String {
        match self.0 {
            None => "none",
            Some(Corner::TopLeft) => "top_left",
            Some(Corner::TopRight) => "top_right",
            Some(Corner::BottomLeft) => "bottom_left",
            Some(Corner::BottomRight) => "bottom_right",
        }
        .to_owned()
    }
}

impl Value for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is neither text nor json")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
        .to_owned()
    }
}
