//! What a script declares it needs, or a key allows: one table of names, the same in headers, graphs and settings.

use serde::{Deserialize, Serialize};

/// A manifest. Absent means no; an empty manifest may compute and log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    /// Look at the screen: captures, OCR, pixels.
    #[serde(skip_serializing_if = "is_false")]
    pub screen: bool,
    /// Move the mouse and type.
    #[serde(skip_serializing_if = "is_false")]
    pub input: bool,
    /// Read and set the clipboard.
    #[serde(skip_serializing_if = "is_false")]
    pub clipboard: bool,
    /// List and end processes.
    #[serde(skip_serializing_if = "is_false")]
    pub process: bool,
    /// Shells and programs that may be started: `"bash"`, `"git"`, `"*"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Hosts that may be called: `"example.org"`, `"example.org:8080"`, `"*.example.org"`, `"*"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<String>,
    /// Files that may be read: globs, relative ones below the data folder's `files/`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Files that may be written: globs, relative ones below the data folder's `files/`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Environment variables that may be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Secrets that may be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Scripts of the library that may be started: globs of their paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<String>,
    /// Stored workflows that may be started: their ids, `*` for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workflows: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Permissions {
    /// Everything there is: what a person at their own terminal grants with `--allow-all`.
    pub fn all() -> Self {
        let any = || vec!["*".to_owned()];
        Self {
            screen: true,
            input: true,
            clipboard: true,
            process: true,
            shell: any(),
            http: any(),
            read: vec!["**".to_owned()],
            write: vec!["**".to_owned()],
            env: any(),
            secrets: any(),
            scripts: vec!["**".to_owned()],
            workflows: any(),
        }
    }

    /// Adds what `other` has and this has not.
    pub fn merge(&mut self, other: &Self) {
        self.screen |= other.screen;
        self.input |= other.input;
        self.clipboard |= other.clipboard;
        self.process |= other.process;
        for (mine, theirs) in [
            (&mut self.shell, &other.shell),
            (&mut self.http, &other.http),
            (&mut self.read, &other.read),
            (&mut self.write, &other.write),
            (&mut self.env, &other.env),
            (&mut self.secrets, &other.secrets),
            (&mut self.scripts, &other.scripts),
            (&mut self.workflows, &other.workflows),
        ] {
            for item in theirs {
                if !mine.contains(item) {
                    mine.push(item.clone());
                }
            }
        }
    }

    /// Whether all that `other` has is within this. What cannot be told from the patterns is not.
    pub fn covers(&self, other: &Self) -> bool {
        let flags =
            [(self.screen, other.screen), (self.input, other.input), (self.clipboard, other.clipboard), (self.process, other.process)];
        let lists = [
            (&self.shell, &other.shell),
            (&self.http, &other.http),
            (&self.read, &other.read),
            (&self.write, &other.write),
            (&self.env, &other.env),
            (&self.secrets, &other.secrets),
            (&self.scripts, &other.scripts),
            (&self.workflows, &other.workflows),
        ];
        let within = |mine: &[String], item: &String| mine.iter().any(|pattern| pattern == "*" || pattern == "**" || pattern == item);
        // `*` of files stays within one folder, and covers no other pattern.
        let files = |mine: &[String], item: &String| mine.iter().any(|pattern| pattern == "**" || pattern == item);
        flags.iter().all(|(mine, theirs)| *mine || !theirs)
            && lists.iter().enumerate().all(|(at, (mine, theirs))| {
                theirs.iter().all(|item| if matches!(at, 2 | 3) { files(mine, item) } else { within(mine, item) })
            })
    }

    /// The lines that declare it in a header: `shell = ["bash"]`.
    pub fn lines(&self) -> Vec<String> {
        let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(self) else { return Vec::new() };
        fields.iter().map(|(name, value)| format!("{name} = {value}")).collect()
    }

    /// Whether nothing at all is declared.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
