//! What kinds of values settings have, and how each is written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::{DisplayMode, LogFormat};

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
