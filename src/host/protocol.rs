//! The seam between a script and the machine: everything a script can ask for, and everything a runner says, on one page.
//!
//! A runner is a child process that holds the script engine and nothing else. It and the server exchange length-prefixed JSON
//! messages over one socket ([`super::wire`]): the server sends [`ToRunner`], the runner [`FromRunner`]. The runner is not trusted:
//! whatever it sends is checked against the run's grant before anything happens.
//!
//! What a step did travels ahead of, or together with, the next message that needs an answer, so that pure steps cost no round trip.

#![expect(missing_docs, reason = "the variants of Call carry the words of their rooms, which are documented there")]

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clipboard::ClipboardText;
use crate::error::Failure;
use crate::policy::Permissions;
use crate::{fetch, files, input, ocr, screen, shell};

/// JSON text that the server passes on without looking into it.
pub type Json = Box<RawValue>;

/// Everything a script can ask for. The answer's shape stands behind each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    // screen
    /// → list of [`screen::Monitor`]
    ScreenMonitors,
    /// → [`ImageRef`]
    ScreenCapture(screen::Capture),
    /// → [`files::Written`]; the format is the path's ending: `.png`, `.jpg`, `.webp`
    ImageSave {
        image: u64,
        path: String,
        quality: u8,
    },
    /// → `[red, green, blue]`, counted from the picture's corner
    ImagePixel {
        image: u64,
        x: i32,
        y: i32,
    },
    /// → [`ImageRef`], counted from the picture's corner
    ImageCrop {
        image: u64,
        region: screen::Region,
    },

    // mouse; each → null but the last
    MouseMove(input::Move),
    MouseClick(input::Click),
    MouseDrag(input::Drag),
    MouseScroll(input::Scroll),
    MouseDown(input::Hold),
    MouseUp(input::Hold),
    /// → [`input::Point`]
    MousePosition,

    // keyboard; each → null but the first
    /// → the number of characters typed
    KeyboardType(input::TypeText),
    KeyboardPress(input::Press),
    KeyboardHotkey(input::Hotkey),
    KeyboardDown(input::KeyHold),
    KeyboardUp(input::KeyHold),

    // clipboard
    /// → text
    ClipboardGet,
    /// → null
    ClipboardSet(ClipboardText),

    // ocr
    /// → [`ocr::Text`]; boxes count from the corner of the virtual screen, or of the picture where one is given
    OcrRead {
        image: Option<u64>,
        capture: screen::Capture,
        reading: ocr::Reading,
    },
    /// → list of texts
    OcrLanguages,

    // shell
    /// → [`shell::CommandOutput`]
    ShellRun {
        shell: String,
        command: String,
        options: shell::CommandOptions,
    },
    /// → [`shell::CommandOutput`]; no shell reads the arguments
    ShellArgv {
        argv: Vec<String>,
        options: shell::CommandOptions,
    },

    // http
    /// → [`fetch::Response`]
    HttpRequest(fetch::Request),

    // files
    /// → text
    FileRead {
        path: String,
    },
    /// → [`files::Written`]
    FileWrite {
        path: String,
        content: String,
        options: files::WriteOptions,
    },
    /// → list of [`files::Entry`]
    FileList {
        path: String,
    },
    /// → bool
    FileExists {
        path: String,
    },
    /// → null
    FileRemove {
        path: String,
    },

    // system
    /// → [`crate::system::Load`]
    SystemLoad,
    /// → list of [`crate::system::Process`]
    SystemProcesses,
    /// → null
    SystemKill {
        pid: u32,
        force: bool,
    },
    /// → text or null
    SystemEnv {
        name: String,
    },

    // time
    /// → null, once `seconds` have passed
    TimeSleep {
        seconds: f64,
    },

    // flow
    /// → the script's result
    FlowRunScript {
        path: String,
        parameters: Json,
    },
}

impl Call {
    /// Whether it changes something outside the run: then all steps so far must be durable first.
    pub fn has_effect(&self) -> bool {
        match self {
            Self::ScreenMonitors
            | Self::ScreenCapture(_)
            | Self::ImagePixel { .. }
            | Self::ImageCrop { .. }
            | Self::MousePosition
            | Self::ClipboardGet
            | Self::OcrRead { .. }
            | Self::OcrLanguages
            | Self::FileRead { .. }
            | Self::FileList { .. }
            | Self::FileExists { .. }
            | Self::SystemLoad
            | Self::SystemProcesses
            | Self::SystemEnv { .. }
            | Self::TimeSleep { .. } => false,
            Self::ImageSave { .. }
            | Self::MouseMove(_)
            | Self::MouseClick(_)
            | Self::MouseDrag(_)
            | Self::MouseScroll(_)
            | Self::MouseDown(_)
            | Self::MouseUp(_)
            | Self::KeyboardType(_)
            | Self::KeyboardPress(_)
            | Self::KeyboardHotkey(_)
            | Self::KeyboardDown(_)
            | Self::KeyboardUp(_)
            | Self::ClipboardSet(_)
            | Self::ShellRun { .. }
            | Self::ShellArgv { .. }
            | Self::HttpRequest(_)
            | Self::FileWrite { .. }
            | Self::FileRemove { .. }
            | Self::SystemKill { .. }
            | Self::FlowRunScript { .. } => true,
        }
    }
}

/// A picture that stays with the server; a script holds its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// Its number within the run.
    pub image: u64,
    /// Left edge on the virtual screen.
    pub x: i32,
    /// Top edge on the virtual screen.
    pub y: i32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The answer to a [`Call`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It was done.
    Value(Json),
    /// It was not.
    Failed(Failure),
}

/// What the server tells a runner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToRunner {
    /// Compile this; the runner serves nothing else from now on. Answered by `Loaded`.
    Load(Program),
    /// Run the loaded program once.
    Start(Start),
    /// The answer to the one open call.
    Reply(Reply),
    /// Compile this and say what is wrong with it; nothing is kept. Answered by `Checked`.
    Check(Program),
}

/// What a runner tells the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromRunner {
    /// The program compiled, or not.
    Loaded(Result<(), ScriptError>),
    /// Everything that is wrong with a program.
    Checked(Vec<ScriptError>),
    /// Something to be done, within so many seconds where the step has a time limit; the runner waits for the `Reply`.
    Call(Call, Option<f64>),
    /// Something to be put on record; nobody waits.
    Record(Record),
    /// The answer of the webhook that started the run; nobody waits. It leaves once everything before it is on record.
    Respond(Answer),
    /// The run is over. All records of it came before.
    Finished(Result<Json, ScriptError>),
}

/// What a webhook's caller gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: std::collections::BTreeMap<String, String>,
    /// The body: a text is sent as it is, anything else as JSON.
    pub body: Json,
}

/// Everything a runner needs to compile a script: sources only, no paths it could open.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Program {
    /// How errors and history name it, such as `reports/daily.rhai`.
    pub name: String,
    /// Its source.
    pub source: String,
    /// The node types it uses.
    pub node_types: Vec<NodeSource>,
    /// The scripts it may import, by the path an `import` names.
    pub modules: Vec<(String, String)>,
    /// What it may call: what is missing here is not even registered.
    pub permissions: Permissions,
    /// How much it may use.
    pub limits: Limits,
}

/// One node type as a runner needs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeSource {
    /// Its name, such as `click_action`.
    pub name: String,
    /// The file it comes from, for errors.
    pub file: String,
    /// Its source.
    pub source: String,
    /// JSON Schema of its config; the defaults in it are filled in before the node runs.
    pub schema: serde_json::Value,
}

/// One run of the loaded program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// Its id.
    pub run_id: String,
    /// What the script sees as `params`.
    pub parameters: Json,
    /// What the script sees as `input`: its trigger's event, or null.
    pub input: Json,
    /// The trigger node that fired; without it the graph's own choice.
    pub start_node: Option<String>,
    /// When it was created, RFC 3339.
    pub started_at: String,
}

/// How much a run may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Operations of the engine.
    pub operations: u64,
    /// Seconds of computing; waiting for an answer does not count.
    pub seconds: f64,
    /// Bytes of memory above what an idle runner needs.
    pub memory: u64,
    /// Nested calls.
    pub depth: usize,
    /// Bytes of source.
    pub source: usize,
    /// Seconds for the whole run, waiting included.
    #[serde(default)]
    pub timeout: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { operations: 50_000_000, seconds: 60.0, memory: 256 << 20, depth: 64, source: 256 << 10, timeout: None }
    }
}

/// What happened in a run, in the order in which it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A step began and is about to do something outside the engine, or takes long.
    StepStarted(StepStarted),
    /// A step is over. Where no `StepStarted` came before, it says it all.
    StepFinished(StepFinished),
    /// A line of log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// At most 4 KiB.
        message: String,
        /// Microseconds since 1970.
        at: i64,
    },
}

/// A step that began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepStarted {
    /// The step's id: the node's, with the loops' indexes behind it (`log[2]`), or the one a script gave.
    pub step_id: String,
    /// The graph's node, where it is one.
    pub node_id: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// 1 for the first try.
    pub attempt: u32,
    /// What it works on.
    pub input: StepInput,
    /// Microseconds since 1970.
    pub started_at: i64,
}

/// A step that is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepFinished {
    /// The step, as it began.
    pub step: StepStarted,
    /// What came of it.
    pub outcome: StepOutcome,
    /// Microseconds since 1970.
    pub finished_at: i64,
}

/// What a step works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepInput {
    /// Nothing was given.
    None,
    /// Exactly what that step put out: not sent twice, not stored twice.
    OutputOf(String),
    /// This.
    Value(Json),
}

/// What came of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It did its work.
    Succeeded {
        /// What it puts out.
        output: Json,
        /// The output it chose, where it is not the first.
        handle: Option<String>,
    },
    /// It did not.
    Failed {
        /// Why.
        error: ScriptError,
        /// The output it goes on at (`error`), where its settings say that it goes on.
        handle: Option<String>,
    },
    /// Left out: it is disabled.
    Skipped,
}

/// An error of a script, with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptError {
    /// What a caller may branch on.
    pub code: crate::error::Kind,
    /// A sentence.
    pub message: String,
    /// The graph's node in which it arose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// The file in which it arose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Facts beside the sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
}

impl From<Failure> for ScriptError {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, node_id: None, file: None, line: None, column: None, details: failure.details }
    }
}
