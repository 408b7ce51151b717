//! The desktops that somebody can ask for beside the default one, in words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DEFAULT, Error, Settings};

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
}

impl Kind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Virtual => "virtual",
        }
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A desktop of TRAE's own, in an Xvfb.
    Virtual,
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
}

/// What is to be opened.
pub(super) enum Plan {
    /// A desktop of TRAE's own.
    Virtual(Own),
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
    /// The command lines that opening it starts.
    pub fn commands(&self) -> impl Iterator<Item = &Vec<String>> {
        self.window_manager.iter().chain(&self.startup).filter(|words| !words.is_empty())
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
        let sides = [
            ("/width", &mut self.width, settings.virtual_size.0, settings.max_size.0),
            ("/height", &mut self.height, settings.virtual_size.1, settings.max_size.1),
        ];
        for (path, side, usual, most) in sides {
            let length = *side.get_or_insert(usual.min(most));
            if !SIDES.contains(&length) || length > most {
                let most = most.min(*SIDES.end());
                return wrong(path, format!("write a number from {} to {most}, which MAX_TARGET_SIZE bounds", SIDES.start()));
            }
        }
        Ok(self)
    }

    /// What is to be opened.
    pub(super) fn plan(&self) -> Plan {
        match self.kind {
            TargetKind::Virtual => Plan::Virtual(Own {
                size: self.size(),
                window_manager: self.window_manager.clone().unwrap_or_else(usual_manager),
                startup: self.startup.clone().unwrap_or_default(),
            }),
        }
    }

    fn size(&self) -> (u32, u32) {
        (self.width.unwrap_or_default(), self.height.unwrap_or_default())
    }

    /// What it is once it is open.
    pub(super) fn becomes(&self) -> Kind {
        match self.kind {
            TargetKind::Virtual => Kind::Virtual,
        }
    }

    /// How large it will be, where that is known before.
    pub(super) fn known_size(&self) -> Option<(u32, u32)> {
        match self.kind {
            TargetKind::Virtual => Some(self.size()),
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
        let Plan::Virtual(own) = spec.plan();
        assert_eq!(own.window_manager, ["openbox", "--sm-disable"]);
        let bare = checked(json!({ "name": "a", "kind": "virtual", "window_manager": [] })).unwrap();
        let Plan::Virtual(own) = bare.plan();
        assert!(own.window_manager.is_empty());
    }
}
