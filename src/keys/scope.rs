//! What a key opens: scopes, and what each lets a run do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::policy::Permissions;

/// One thing that a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at everything that the API shows.
    Read,
    /// Screenshots, mouse, keyboard, clipboard, snapshots.
    Desktop,
    /// Commands, shell sessions, processes.
    Shell,
    /// Write and run scripts, node types and node configs.
    Scripts,
    /// Write and run workflows; runs and triggers.
    Workflows,
    /// Everything, and what only an administrator may: keys, restarts, settings.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Read, Self::Desktop, Self::Shell, Self::Scripts, Self::Workflows, Self::Admin];

    /// As it is written: `read`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Desktop => "desktop",
            Self::Shell => "shell",
            Self::Scripts => "scripts",
            Self::Workflows => "workflows",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }

    /// What a run may do at most that was started with this scope alone.
    fn permissions(self) -> Permissions {
        let any = || vec!["*".to_owned()];
        let below = || vec!["**".to_owned()];
        match self {
            Self::Read => Permissions::default(),
            Self::Desktop => Permissions { screen: true, input: true, clipboard: true, ..Permissions::default() },
            Self::Shell => Permissions { shell: any(), process: true, ..Permissions::default() },
            Self::Scripts | Self::Workflows => {
                Permissions { http: any(), read: below(), write: below(), scripts: below(), workflows: any(), ..Permissions::default() }
            }
            Self::Admin => Permissions::all(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|scope| scope.as_str()).collect();
            format!("{text:?} is no scope: there are {}", all.join(", "))
        })
    }
}

/// Some scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Everything.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `scope` is opened: by itself, or by `admin`, which opens all.
    pub fn open(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Those that both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Scope::ALL.into_iter().filter(|scope| self.open(*scope) && other.open(*scope)).collect()
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }

    /// What a run may do at most that was started with them.
    pub fn permissions(self) -> Permissions {
        let mut sum = Permissions::default();
        self.iter().for_each(|scope| sum.merge(&scope.permissions()));
        sum
    }

    /// Reads scopes separated by blanks. What is no scope opens nothing.
    pub(super) fn read(text: &str) -> Self {
        text.split(' ').filter_map(|name| name.parse().ok()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

impl Serialize for Scopes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Scope>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_opens_all_and_the_others_only_themselves() {
        let read: Scopes = [Scope::Read].into_iter().collect();
        let admin: Scopes = [Scope::Admin].into_iter().collect();
        assert!(read.open(Scope::Read) && !read.open(Scope::Shell) && !read.open(Scope::Admin));
        assert!(Scope::ALL.into_iter().all(|scope| admin.open(scope)));
        assert_eq!(admin.and(read), read);
        assert_eq!(Scopes::read("shell nonsense read"), [Scope::Read, Scope::Shell].into_iter().collect());
        assert_eq!(Scopes::all().to_string(), "read desktop shell scripts workflows admin");
    }

    #[test]
    fn a_run_gets_what_the_scopes_stand_for() {
        let of = |scopes: &[Scope]| scopes.iter().copied().collect::<Scopes>().permissions();
        assert!(of(&[Scope::Read]).is_empty());
        let desktop = of(&[Scope::Desktop, Scope::Workflows]);
        assert!(desktop.screen && desktop.input && desktop.http == ["*"] && desktop.shell.is_empty() && !desktop.process);
        let shell = of(&[Scope::Shell]);
        assert!(shell.shell == ["*"] && shell.process && !shell.input && shell.write.is_empty());
        assert_eq!(of(&[Scope::Admin]), Permissions::all());
    }
}
