//! The seam between a script and the machine: everything a script can ask for, and everything a runner says, on one page.
//!
//! A runner is a child process that holds the script engine and nothing else. It and the server exchange length-prefixed JSON
//! messages over one socket ([`super::wire`]): the server sends [`ToRunner`], the runner [`FromRunner`]. The runner is not trusted:
//! whatever it sends is checked against the run's grant before anything happens.
//!
//! What a step did travels ahead of, or together with, the next message that needs an answer, so that pure steps cost no round trip.

#![expect(missing_docs, reason = "the variants of Call carry the words of their rooms, which are documented there")]

mod expect;
mod record;
mod start;
mod wait;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use expect::{Before, Expectation, Met, PixelColour, Verdict};
pub use record::{Record, ScriptError, StepFinished, StepInput, StepOutcome, StepStarted};
pub use start::{Limits, Mode, NodeSource, Past, PastStep, PastWait, Program, Start};
pub use wait::{Approval, AwaitedCall, Decision, Pause, Wait, WaitFor};

use crate::clipboard::ClipboardText;
use crate::error::Failure;
use crate::sandbox::Sandbox;
use crate::{fetch, files, input, ocr, screen, shell, sight, windows};

/// JSON text that the server passes on without looking into it.
pub type Json = Box<RawValue>;

/// Everything a script can ask for. The answer's shape stands behind each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    // desktop
    /// → list of [`crate::desktop::TargetInfo`]
    DesktopTargets,
    /// → null, where there is a desktop of that name
    DesktopUse {
        name: String,
    },

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

    /// → list of the names of zones
    ZoneList,
    /// → [`screen::Region`], where a zone that has a name is now
    ZoneFind {
        name: String,
    },
    /// → [`sight::PictureDifference`]
    ImageDifference {
        first: u64,
        second: u64,
        tolerance: u8,
    },
    /// → `[red, green, blue]` of the virtual screen
    ScreenPixel {
        x: i32,
        y: i32,
    },
    /// → [`sight::Stillness`], once nothing changes
    ScreenStill(sight::StillSearch),
    /// → [`sight::Stillness`], once something changes, or shows something else than the picture
    ScreenChange {
        before: Option<u64>,
        search: sight::StillSearch,
    },
    /// → [`sight::PictureSought`]; places count from the corner of the virtual screen, or of the picture where one is given
    PictureFind {
        /// The picture that is looked for, where it is one of the run's; else the search names it.
        needle: Option<u64>,
        /// Its mask, likewise.
        mask: Option<u64>,
        image: Option<u64>,
        search: sight::PictureSearch,
        /// With a picture of what comes closest, where it is not there.
        explain: bool,
    },

    // windows
    /// → list of [`windows::Window`], the top-most first
    WindowList(windows::Filter),
    /// → [`windows::Window`]
    WindowGet {
        id: u32,
    },
    /// → [`windows::Window`] as it is afterwards, or null where it has closed
    WindowAct {
        id: u32,
        act: windows::Act,
    },
    /// → [`ImageRef`]
    WindowCapture {
        id: u32,
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
        zone: sight::Zone,
        reading: ocr::Reading,
        /// The desktop, where another one is meant.
        target: Option<String>,
    },
    /// → map of [`ocr::Text`] by zone, each with its `name`
    TemplateRead {
        /// Its id or name.
        template: String,
        /// On which its zones are; none is the first.
        monitor: Option<usize>,
        /// The desktop, where another one is meant.
        target: Option<String>,
    },
    /// → [`sight::TextSought`]; places count from the corner of the virtual screen, or of the picture where one is given
    TextFind {
        image: Option<u64>,
        search: Box<sight::TextSearch>,
        /// With a picture of what comes closest, where it is not there.
        explain: bool,
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

    /// → [`shell::SessionPlace`], at its beginning
    ShellOpen(shell::OpenSession),
    /// → [`shell::SessionPlace`], behind everything that was printed
    ShellSession {
        session_id: String,
    },
    /// → null
    ShellSend {
        session_id: String,
        text: String,
    },
    /// → [`shell::Found`]
    ShellWaitFor {
        session_id: String,
        wait: shell::WaitFor,
    },
    /// → [`shell::ScreenText`]
    ShellScreen {
        session_id: String,
    },
    /// → null
    ShellClose {
        session_id: String,
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
        /// With all that it started.
        tree: bool,
    },
    /// → text or null
    SystemEnv {
        name: String,
    },

    // expectations
    /// → [`Before`], of what is to change
    ExpectBefore(Box<Expectation>),
    /// → [`Verdict`]
    Expect {
        expectation: Box<Expectation>,
        before: Option<Before>,
    },

    // secrets
    /// → text
    SecretGet {
        name: String,
    },

    // flow
    /// → whatever the wait is for. Answered with [`Reply::Rest`] where the run is let go meanwhile.
    Wait(Wait),
    /// → null, once whoever goes through the run step by step lets it go on
    FlowPause(Pause),
    /// → list of what each round came to: rounds of a loop that run at the same time, each in a runner of its own
    FlowRounds {
        /// The loop's step id.
        step_id: String,
        rounds: u32,
        at_once: u32,
    },
    /// → the number of the next round that this runner is to do, or null. Only of a runner that works on [`Start::round_of`].
    FlowNextRound {
        /// The round that is done, and what it came to.
        done: Option<(u32, Json)>,
    },
}

impl Call {
    /// Whether it changes something outside the run: then all steps so far must be durable first.
    pub fn has_effect(&self) -> bool {
        match self {
            Self::DesktopTargets
            | Self::DesktopUse { .. }
            | Self::ScreenMonitors
            | Self::ScreenCapture(_)
            | Self::ImagePixel { .. }
            | Self::ImageCrop { .. }
            | Self::ImageDifference { .. }
            | Self::ZoneList
            | Self::ZoneFind { .. }
            | Self::ExpectBefore(_)
            | Self::Expect { .. }
            | Self::ScreenPixel { .. }
            | Self::ScreenStill(_)
            | Self::ScreenChange { .. }
            | Self::PictureFind { .. }
            | Self::WindowList(_)
            | Self::WindowGet { .. }
            | Self::WindowCapture { .. }
            | Self::MousePosition
            | Self::ClipboardGet
            | Self::OcrRead { .. }
            | Self::TemplateRead { .. }
            | Self::TextFind { .. }
            | Self::OcrLanguages
            | Self::FileRead { .. }
            | Self::FileList { .. }
            | Self::FileExists { .. }
            | Self::SystemLoad
            | Self::SystemProcesses
            | Self::SystemEnv { .. }
            | Self::SecretGet { .. }
            | Self::ShellSession { .. }
            | Self::ShellScreen { .. }
            | Self::FlowPause(_)
            | Self::FlowRounds { .. }
            | Self::FlowNextRound { .. } => false,
            Self::Wait(wait) => wait.what.has_effect(),
            Self::ImageSave { .. }
            | Self::WindowAct { .. }
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
            | Self::ShellOpen(_)
            | Self::ShellSend { .. }
            | Self::ShellWaitFor { .. }
            | Self::ShellClose { .. }
            | Self::HttpRequest(_)
            | Self::FileWrite { .. }
            | Self::FileRemove { .. }
            | Self::SystemKill { .. } => true,
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
    /// It takes long: the run ends here for now, and begins again, with what it has done so far, once it is done.
    Rest,
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
    Reply {
        /// What became of it.
        reply: Reply,
        /// For how long of it a person held the run up: that counts for no step's limit.
        stood: Duration,
    },
    /// Compile this and say what is wrong with it; nothing is kept. Answered by `Checked`.
    Check(Program),
}

/// A call, and what holds for it whatever it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    /// What is to be done.
    pub call: Call,
    /// Within so many seconds, where the step has a time limit.
    pub within: Option<f64>,
    /// On the desktop of this name; none is the default one. Calls that touch no desktop do not heed it.
    pub target: Option<String>,
}

/// What a runner tells the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromRunner {
    /// The program compiled, in a runner that is held by this; or not.
    Loaded(Result<Sandbox, ScriptError>),
    /// Everything that is wrong with a program.
    Checked(Vec<ScriptError>),
    /// Something to be done; the runner waits for the `Reply`.
    Call(Asked),
    /// Something to be put on record; nobody waits.
    Record(Record),
    /// The answer of the webhook that started the run; nobody waits. It leaves once everything before it is on record.
    Respond(Answer),
    /// The run is over. All records of it came before.
    Finished(Result<Json, ScriptError>),
    /// The run was let go, as [`Reply::Rest`] asked.
    Resting,
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
