//! The desktops that somebody can ask for beside the default one, in words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DEFAULT, Error, Settings};
use crate::vnc::{self, Trust};

/// The longest name.
const LONGEST_NAME: usize = 64;
/// Sides of a virtual desktop, in pixels.
pub(super) const SIDES: std::ops::RangeInclusive<u32> = 64..=16384;
/// Words of a command line, and bytes of all of them.
const WORDS: (usize, usize) = (64, 4096);
/// What is started to move windows where nothing else is asked for, if it is there.
const WINDOW_MANAGER: [&str; 2] = ["openbox", "--sm-disable"];

/// What a desktop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// That of the session.
    Local,
    /// One of TRAE's own, in an Xvfb.
    Virtual,
    /// Another machine's, through VNC.
    Vnc,
}

impl Kind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Virtual => "virtual",
            Self::Vnc => "vnc",
        }
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A desktop of TRAE's own, in an Xvfb.
    Virtual,
    /// Another machine's, or that of a virtual machine, through VNC.
    Vnc,
}

/// A password. It is kept with the desktop it opens; no answer and no log shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// A desktop beside the default one, as it is asked for and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "vm1", "kind": "virtual", "width": 1280, "height": 800 }))]
pub struct TargetSpec {
    /// What it is called: letters, digits, `_` and `-`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub name: String,
    /// What it is.
    pub kind: TargetKind,
    /// Width of a virtual one, in pixels; without it that of `VIRTUAL_SIZE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 64, maximum = 16384)]
    pub width: Option<u32>,
    /// Height of a virtual one, in pixels; without it that of `VIRTUAL_SIZE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 64, maximum = 16384)]
    pub height: Option<u32>,
    /// The window manager of a virtual one, as a command line in words; empty for none. Without it openbox, if that is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 64)]
    pub window_manager: Option<Vec<String>>,
    /// What else is started on a virtual one, as a command line in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 64)]
    pub startup: Option<Vec<String>>,
    /// Where another machine's is: `vnc://host:port`, 5900 where no port is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300, example = "vnc://host:5900")]
    pub address: Option<String>,
    /// Who comes in, where the VNC server asks for a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    pub username: Option<String>,
    /// What opens it, where the VNC server asks for a password. It is kept, and shown to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024, value_type = Option<String>)]
    pub password: Option<Password>,
    /// Go in with TLS and a certificate (VeNCrypt) or not at all. It is so anyway where one of the next two is given; with neither of them
    /// the server's certificate must be one that this machine trusts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// Whom to believe that it is the right server: certificates of authorities, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65536)]
    pub ca: Option<String>,
    /// The only certificate to believe, by its SHA-256 in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub fingerprint: Option<String>,
}

/// What is to be opened.
pub(super) enum Plan {
    /// A desktop of TRAE's own.
    Virtual(Own),
    /// Another machine's.
    Vnc(vnc::Settings),
}

/// A desktop of TRAE's own.
pub(super) struct Own {
    pub(super) size: (u32, u32),
    /// A command line in words; the first of them is a program that need not be there.
    pub(super) window_manager: Vec<String>,
    pub(super) startup: Vec<String>,
}

impl Own {
    /// The default desktop, where that is a virtual one.
    pub(super) fn of(settings: &Settings) -> Self {
        Self { size: settings.virtual_size, window_manager: usual_manager(), startup: settings.virtual_startup.clone() }
    }
}

fn usual_manager() -> Vec<String> {
    WINDOW_MANAGER.map(str::to_owned).to_vec()
}

impl TargetSpec {
    /// The command lines that opening it starts. What is none is refused when it is made.
    pub fn commands(&self) -> impl Iterator<Item = &Vec<String>> {
        self.window_manager.iter().chain(&self.startup).filter(|words| words.first().is_some_and(|name| !name.is_empty()))
    }

    /// It with what was left out filled in.
    ///
    /// # Errors
    /// [`Error::Spec`] for what no desktop can be.
    pub(super) fn checked(mut self, settings: &Settings) -> Result<Self, Error> {
        let wrong = |path: &'static str, message: String| Err(Error::Spec(path, message));
        if !is_name(&self.name) {
            return wrong("/name", format!("a desktop's name has 1 to {LONGEST_NAME} letters, digits, _ and -"));
        }
        if self.name == DEFAULT {
            return wrong("/name", format!("{DEFAULT} is the desktop that DISPLAY_MODE chooses: take another name"));
        }
        for (path, words) in [("/window_manager", &self.window_manager), ("/startup", &self.startup)] {
            let words = words.as_deref().unwrap_or_default();
            if words.len() > WORDS.0 || words.iter().map(String::len).sum::<usize>() > WORDS.1 {
                return wrong(path, format!("a command line here has at most {} words and {} bytes", WORDS.0, WORDS.1));
            }
            if words.first().is_some_and(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
                return wrong(path, "a command line begins with a program, and has no NUL characters".to_owned());
            }
        }
        let own = [
            ("/width", self.width.is_some()),
            ("/height", self.height.is_some()),
            ("/window_manager", self.window_manager.is_some()),
            ("/startup", self.startup.is_some()),
        ];
        let others = [
            ("/address", self.address.is_some()),
            ("/username", self.username.is_some()),
            ("/password", self.password.is_some()),
            ("/tls", self.tls),
            ("/ca", self.ca.is_some()),
            ("/fingerprint", self.fingerprint.is_some()),
        ];
        let (foreign, kind): (&[(&'static str, bool)], _) = match self.kind {
            TargetKind::Virtual => (&others, "virtual"),
            TargetKind::Vnc => (&own, "vnc"),
        };
        if let Some((path, _)) = foreign.iter().find(|(_, given)| *given) {
            return wrong(path, format!("a desktop of the kind {kind} has no such thing: leave it out"));
        }
        match self.kind {
            TargetKind::Virtual => self.settle_size(settings)?,
            TargetKind::Vnc => drop(self.remote(settings.max_size)?),
        }
        Ok(self)
    }

    fn settle_size(&mut self, settings: &Settings) -> Result<(), Error> {
        let (usual, most) = (settings.virtual_size, settings.max_size);
        for (path, side, usual, most) in [("/width", &mut self.width, usual.0, most.0), ("/height", &mut self.height, usual.1, most.1)] {
            let most = most.min(*SIDES.end());
            let length = *side.get_or_insert(usual.min(most));
            if !SIDES.contains(&length) || length > most {
                let message = format!("write a number from {} to {most}, which MAX_TARGET_SIZE bounds", SIDES.start());
                return Err(Error::Spec(path, message));
            }
        }
        Ok(())
    }

    /// What is to be opened. It was checked before, and can be.
    pub(super) fn plan(&self, max_size: (u32, u32)) -> Result<Plan, Error> {
        Ok(match self.kind {
            TargetKind::Virtual => Plan::Virtual(Own {
                size: self.size(),
                window_manager: self.window_manager.clone().unwrap_or_else(usual_manager),
                startup: self.startup.clone().unwrap_or_default(),
            }),
            TargetKind::Vnc => Plan::Vnc(self.remote(max_size)?),
        })
    }

    fn remote(&self, max_size: (u32, u32)) -> Result<vnc::Settings, Error> {
        let at = |path: &'static str| move |error: vnc::Error| Error::Spec(path, error.to_string());
        let Some(address) = &self.address else {
            return Err(Error::Spec("/address", "write where it is: vnc://host:port".to_owned()));
        };
        let trust = match (&self.ca, &self.fingerprint) {
            (Some(_), Some(_)) => return Err(Error::Spec("/fingerprint", "give either `ca` or `fingerprint`".to_owned())),
            (Some(ca), None) => Trust::authorities(ca).map_err(at("/ca"))?,
            (None, Some(fingerprint)) => Trust::fingerprint(fingerprint).map_err(at("/fingerprint"))?,
            (None, None) if self.tls => Trust::System,
            (None, None) => Trust::Unencrypted,
        };
        Ok(vnc::Settings {
            name: self.name.clone(),
            address: address.parse().map_err(at("/address"))?,
            username: self.username.clone(),
            password: self.password.as_ref().map(|password| password.0.clone()),
            trust,
            max_size,
        })
    }

    fn size(&self) -> (u32, u32) {
        (self.width.unwrap_or_default(), self.height.unwrap_or_default())
    }

    /// What it is once it is open.
    pub(super) fn becomes(&self) -> Kind {
        match self.kind {
            TargetKind::Virtual => Kind::Virtual,
            TargetKind::Vnc => Kind::Vnc,
        }
    }

    /// How large it will be, where that is known before.
    pub(super) fn known_size(&self) -> Option<(u32, u32)> {
        match self.kind {
            TargetKind::Virtual => Some(self.size()),
            TargetKind::Vnc => None,
        }
    }
}

/// Whether a desktop may be called that.
pub(super) fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(spec: Value) -> Result<TargetSpec, Error> {
        serde_json::from_value::<TargetSpec>(spec).unwrap().checked(&Settings { max_size: (2000, 1000), ..Settings::default() })
    }

    #[test]
    fn what_no_desktop_can_be_is_named_by_its_place() {
        for (spec, path) in [
            (json!({ "name": "", "kind": "virtual" }), "/name"),
            (json!({ "name": "a b", "kind": "virtual" }), "/name"),
            (json!({ "name": "x".repeat(65), "kind": "virtual" }), "/name"),
            (json!({ "name": "default", "kind": "virtual" }), "/name"),
            (json!({ "name": "a", "kind": "virtual", "width": 63 }), "/width"),
            (json!({ "name": "a", "kind": "virtual", "width": 2001 }), "/width"),
            (json!({ "name": "a", "kind": "virtual", "height": 1001 }), "/height"),
            (json!({ "name": "a", "kind": "virtual", "startup": [""] }), "/startup"),
            (json!({ "name": "a", "kind": "virtual", "address": "vnc://host" }), "/address"),
            (json!({ "name": "a", "kind": "virtual", "tls": true }), "/tls"),
            (json!({ "name": "a", "kind": "vnc" }), "/address"),
            (json!({ "name": "a", "kind": "vnc", "address": "http://host" }), "/address"),
            (json!({ "name": "a", "kind": "vnc", "address": "vnc://me:secret@host" }), "/address"),
            (json!({ "name": "a", "kind": "vnc", "address": "vnc://host", "width": 800 }), "/width"),
            (json!({ "name": "a", "kind": "vnc", "address": "vnc://host", "fingerprint": "12" }), "/fingerprint"),
            (json!({ "name": "a", "kind": "vnc", "address": "vnc://host", "ca": "nothing" }), "/ca"),
            (json!({ "name": "a", "kind": "virtual", "startup": ["x\0"] }), "/startup"),
            (json!({ "name": "a", "kind": "virtual", "window_manager": vec!["x"; 65] }), "/window_manager"),
        ] {
            match checked(spec.clone()) {
                Err(Error::Spec(at, _)) => assert_eq!(at, path, "{spec}"),
                other => panic!("{spec}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_left_out_is_as_the_settings_say_within_their_bounds() {
        let spec = checked(json!({ "name": "a", "kind": "virtual" })).unwrap();
        assert_eq!((spec.width, spec.height), (Some(1920), Some(1000)));
        let Ok(Plan::Virtual(own)) = spec.plan((2000, 1000)) else { panic!("another plan") };
        assert_eq!(own.window_manager, ["openbox", "--sm-disable"]);
        let bare = checked(json!({ "name": "a", "kind": "virtual", "window_manager": [] })).unwrap();
        let Ok(Plan::Virtual(own)) = bare.plan((2000, 1000)) else { panic!("another plan") };
        assert!(own.window_manager.is_empty());
    }
}
