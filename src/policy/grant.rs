//! The grant of one run: every layer must allow a thing, or it is denied.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::command::{AllowedCommand, AllowedProcess, Program};
use super::danger::Commands;
use super::glob::{matches, path_matches};
use super::kept::Kept;
use super::path::{Access, AllowedPath};
use super::permissions::Permissions;
use super::reach::{self, Place, Reach};
use super::secret::AllowedSecret;
use super::url::AllowedUrl;
use crate::error::{Classify, Kind};

/// What was refused, and what to add where.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The manifest does not declare it, or the caller may not grant it.
    #[error(
        "{what} needs a permission that this run does not have: add `{line}` to [permissions] in the script's header, and run it with a key or settings that allow it"
    )]
    Permission {
        /// What was tried, as the subject of the sentence.
        what: String,
        /// The header line that would declare it.
        line: String,
    },
    /// The thing asked for is malformed.
    #[error("{0}")]
    Invalid(String),
    /// The server itself, or a file in which it keeps what is its own.
    #[error("{0:?} is this server itself or what it keeps, which no permission opens")]
    Ours(String),
    /// A URL of a kind that nothing is called by.
    #[error("only http and https URLs are called, and {0:?} is another kind")]
    Scheme(String),
    /// The command is one of those that destroy, or not on the list of what is allowed; it was not started.
    #[error("the command was refused and nothing was started: it {reason}; if that is meant, do it by hand")]
    Unsafe {
        /// The rule it breaks.
        rule: &'static str,
        /// What it does.
        reason: &'static str,
    },
}

impl Classify for Denied {
    fn kind(&self) -> Kind {
        match self {
            Self::Permission { .. } | Self::Ours(_) | Self::Scheme(_) => Kind::PermissionDenied,
            Self::Invalid(_) => Kind::ValidationError,
            Self::Unsafe { .. } => Kind::UnsafeCommand,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Permission { line, .. } => Some(json!({ "permission": line })),
            Self::Invalid(_) | Self::Ours(_) | Self::Scheme(_) => None,
            Self::Unsafe { rule, .. } => Some(json!({ "rule": rule, "is_safe": false })),
        }
    }
}

/// What one run may do: the intersection of its layers (declared by the script, allowed by the key, allowed by the settings).
#[derive(Debug, Clone)]
pub struct Grant {
    layers: Arc<[Permissions]>,
    files: Arc<Path>,
    kept: Arc<Kept>,
    commands: Commands,
    learned: Option<Learned>,
}

/// Notes what was asked of a grant and given, for whoever writes a manifest.
#[derive(Debug, Clone, Default)]
pub struct Learned(Arc<Mutex<Permissions>>);

impl Learned {
    /// What was asked for until now.
    pub fn permissions(&self) -> Permissions {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, asked: &Permissions) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).merge(asked);
    }
}

impl Grant {
    /// The intersection of `layers`; relative paths lie in `files`. No layers at all grant nothing.
    pub fn new(layers: impl Into<Arc<[Permissions]>>, files: impl Into<PathBuf>) -> Self {
        let (kept, commands) = (Arc::default(), Commands::default());
        Self { layers: layers.into(), files: files.into().into(), kept, commands, learned: None }
    }

    /// The same, for which only these commands may be started.
    #[must_use]
    pub fn with_commands(self, commands: Commands) -> Self {
        Self { commands, ..self }
    }

    /// The same, which opens none of these places.
    #[must_use]
    pub fn keeping(self, kept: Arc<Kept>) -> Self {
        Self { kept, ..self }
    }

    /// The same, and what is asked of it is noted.
    #[must_use]
    pub fn learning(self, learned: Learned) -> Self {
        Self { learned: Some(learned), ..self }
    }

    /// This grant, narrowed further by what another script declares.
    #[must_use]
    pub fn narrowed(&self, declared: &Permissions) -> Self {
        let layers: Vec<_> = self.layers.iter().cloned().chain([declared.clone()]).collect();
        Self { layers: layers.into(), ..self.clone() }
    }

    /// Its layers, for whoever puts on record what a run may do.
    pub fn layers(&self) -> &[Permissions] {
        &self.layers
    }

    /// The folder in which relative paths lie.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// May look at the screen.
    pub fn screen(&self) -> Result<(), Denied> {
        self.flag(|p| p.screen, "looking at the screen", "screen = true")
    }

    /// May move the mouse and type.
    pub fn input(&self) -> Result<(), Denied> {
        self.flag(|p| p.input, "using the mouse or the keyboard", "input = true")
    }

    /// May read and set the clipboard.
    pub fn clipboard(&self) -> Result<(), Denied> {
        self.flag(|p| p.clipboard, "using the clipboard", "clipboard = true")
    }

    /// May list processes, and end one of them.
    pub fn process(&self, pid: u32) -> Result<AllowedProcess, Denied> {
        self.flag(|p| p.process, "working with processes", "process = true")?;
        Ok(AllowedProcess::new(pid))
    }

    /// May start `program`.
    pub fn command(&self, program: Program) -> Result<AllowedCommand, Denied> {
        let name = program.name().to_owned();
        self.listed(|p| &p.shell, &name, &format!("starting {name:?}"), &format!("shell = [{name:?}]"))?;
        AllowedCommand::new(program, &self.commands)
    }

    /// May type `text` at the prompt of a session. What is no whole line yet is looked at as far as it goes.
    pub fn typed(&self, shell: &str, text: &str) -> Result<(), Denied> {
        AllowedCommand::check_typed(shell, text)
    }

    /// May have commands find the variable `name` in their environment.
    pub fn variable(&self, name: &str) -> Result<(), Denied> {
        AllowedCommand::check_variable(&self.commands, name)
    }

    /// What the commands of a run may touch; none where that is everything.
    pub fn reach(&self) -> Option<Reach> {
        let read = reach::common(self.layers.iter().map(|p| &p.read), &self.files);
        let write = reach::common(self.layers.iter().map(|p| &p.write), &self.files);
        let everything = |places: &[Place]| places.iter().any(|place| place.path.parent().is_none());
        if everything(&read) && everything(&write) {
            return None;
        }
        Some(Reach {
            read,
            write,
            desktop: self.all(|p| p.screen) || self.all(|p| p.input),
            processes: self.all(|p| p.process),
            files: self.files.to_path_buf(),
            kept: self.kept.own.clone(),
        })
    }

    /// May call `url`.
    pub fn url(&self, url: &str) -> Result<AllowedUrl, Denied> {
        let allowed = AllowedUrl::parse(url)?;
        let host = allowed.host();
        let with_port = allowed.host_and_port();
        let granted = |p: &Permissions| p.http.iter().any(|pattern| matches(pattern, &host) || matches(pattern, &with_port));
        if self.all(granted) {
            self.learn("http", Some(&host));
            return Ok(allowed);
        }
        Err(Denied::Permission { what: format!("calling {host:?}"), line: format!("http = [{host:?}]") })
    }

    /// May read or write `path`; relative paths lie in the data folder's `files/`.
    pub fn path(&self, path: &str, access: Access) -> Result<AllowedPath, Denied> {
        let allowed = AllowedPath::resolve(&self.files, &self.kept, path, access)?;
        let shown = allowed.shown(&self.files);
        let list = |p: &Permissions| match access {
            Access::Read => p.read.clone(),
            Access::Write => p.write.clone(),
        };
        let granted = |p: &Permissions| list(p).iter().any(|pattern| path_matches(pattern, &shown));
        let (verb, name) = match access {
            Access::Read => ("reading", "read"),
            Access::Write => ("writing", "write"),
        };
        if self.all(granted) {
            self.learn(name, Some(&shown));
            return Ok(allowed);
        }
        Err(Denied::Permission { what: format!("{verb} {shown:?}"), line: format!("{name} = [{shown:?}]") })
    }

    /// May follow what happens in the folder `path`: it may be read, or what is in it.
    pub fn folder(&self, path: &str) -> Result<AllowedPath, Denied> {
        self.path(path, Access::Read).or_else(|denied| {
            // `read = ["reports/**"]` names what is in the folder, not the folder.
            self.path(&format!("{}/x", path.trim_end_matches('/')), Access::Read).map_err(|_| denied)?;
            AllowedPath::resolve(&self.files, &self.kept, path, Access::Read)
        })
    }

    /// May read the environment variable `name`.
    pub fn env(&self, name: &str) -> Result<(), Denied> {
        self.listed(|p| &p.env, name, &format!("reading the variable {name:?}"), &format!("env = [{name:?}]"))
    }

    /// May use the secret `name`.
    pub fn secret(&self, name: &str) -> Result<AllowedSecret, Denied> {
        self.listed(|p| &p.secrets, name, &format!("using the secret {name:?}"), &format!("secrets = [{name:?}]"))?;
        Ok(AllowedSecret::new(name))
    }

    /// May start the library's script at `path`.
    pub fn script(&self, path: &str) -> Result<(), Denied> {
        self.listed(|p| &p.scripts, path, &format!("running the script {path:?}"), &format!("scripts = [{path:?}]"))
    }

    /// May start the stored workflow `id`.
    pub fn workflow(&self, id: &str) -> Result<(), Denied> {
        self.listed(|p| &p.workflows, id, &format!("running the workflow {id:?}"), &format!("workflows = [{id:?}]"))
    }

    /// Whether every layer has it.
    fn all(&self, has: impl Fn(&Permissions) -> bool) -> bool {
        !self.layers.is_empty() && self.layers.iter().all(has)
    }

    fn flag(&self, get: impl Fn(&Permissions) -> bool, what: &str, line: &str) -> Result<(), Denied> {
        if self.all(get) {
            self.learn(line, None);
            return Ok(());
        }
        Err(Denied::Permission { what: what.to_owned(), line: line.to_owned() })
    }

    fn listed(&self, get: impl Fn(&Permissions) -> &Vec<String>, name: &str, what: &str, line: &str) -> Result<(), Denied> {
        if self.all(|p| get(p).iter().any(|pattern| matches(pattern, name))) {
            self.learn(line, Some(name));
            return Ok(());
        }
        Err(Denied::Permission { what: what.to_owned(), line: line.to_owned() })
    }

    /// Notes what `line` declares, where that is wanted; `item` is the one thing in its list.
    fn learn(&self, line: &str, item: Option<&str>) {
        let Some(learned) = &self.learned else { return };
        let name = line.split(' ').next().unwrap_or_default();
        let asked = item.map_or_else(|| json!({ name: true }), |item| json!({ name: [item] }));
        if let Ok(asked) = serde_json::from_value(asked) {
            learned.note(&asked);
        }
    }
}
