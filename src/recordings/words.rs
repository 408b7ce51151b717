//! The words of this room: what is asked for, and what a recording is like.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::input::Button;

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordingKind {
    /// What is done with mouse and keyboard, as steps of a workflow.
    Input,
    /// What is on the screen, as a film.
    Video,
}

/// How a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordingStatus {
    /// It goes on.
    Recording,
    /// It goes on, and nothing is kept for the moment.
    Paused,
    /// It ended as it was meant to: somebody stopped it, or it came to its limit.
    Finished,
    /// It ended because something else did: the display, the desktop's service, the server. What was kept until then is there.
    Interrupted,
}

/// Begin to record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "kind": "input", "name": "Fill in an order" }))]
pub struct RecordingRequest {
    /// What.
    pub kind: RecordingKind,
    /// For people; by default made of the time.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// The desktop; without it the default one. The workflow of what is done there means it as well.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub target: Option<String>,
    /// Of what is done: pauses become `delay` nodes of at most so many seconds, 0–60; default 3.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 60)]
    pub longest_pause: Option<f64>,
    /// Of a film: the monitor it shows; default 0.
    #[serde(default)]
    pub monitor: Option<usize>,
    /// Of a film: pictures a second at most, 1–30; default 10. A screen at rest takes none.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 30)]
    pub fps: Option<u32>,
    /// Of a film: from 1 (small) to 100 (good); default 70.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    pub quality: Option<u32>,
    /// Of a film: it ends by itself after so many seconds, 1–86400; default 3600.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    pub max_seconds: Option<u64>,
}

impl RecordingRequest {
    /// A film as it is usual, of this name.
    pub fn film(name: String, target: Option<String>) -> Self {
        Self {
            kind: RecordingKind::Video,
            name: Some(name),
            target,
            longest_pause: None,
            monitor: None,
            fps: None,
            quality: None,
            max_seconds: None,
        }
    }
}

/// Keep nothing until it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "parameter": "password" }))]
pub struct PauseRequest {
    /// What is typed meanwhile is secret, as a password: where it would stand, the workflow types the parameter of this name.
    #[schema(pattern = "^[A-Za-z_][A-Za-z0-9_]{0,63}$", example = "password")]
    pub parameter: Option<String>,
}

/// Keep it as a workflow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "name": "Fill in an order" }))]
pub struct KeepRequest {
    /// The workflow's id; made where it is missing.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$")]
    pub id: Option<String>,
    /// The workflow's name; by default the recording's.
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Recording {
    /// Its id.
    pub recording_id: String,
    /// What is recorded.
    pub kind: RecordingKind,
    /// For people.
    pub name: String,
    /// How it is.
    pub status: RecordingStatus,
    /// Why it ended, where nobody ended it.
    pub reason: Option<String>,
    /// The run that a film is of.
    pub run_id: Option<String>,
    /// When it began.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// When it ended; null while it goes on.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
    /// Bytes of the film, or of all pictures.
    pub size_bytes: u64,
    /// What a film is like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoBody>,
    /// What was done so far; left out in lists, and of films.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<RecordedStep>>,
}

/// What a film is like: H.264 in an MP4 file, at `/api/recordings/{recording_id}/video`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VideoBody {
    /// The desktop, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The monitor it shows.
    pub monitor: usize,
    /// Pictures a second at most.
    pub fps: u32,
    /// 1–100.
    pub quality: u32,
    /// It ends by itself after so many seconds.
    pub max_seconds: u64,
    /// Pixels from left to right; 0 until the first picture.
    pub width: u32,
    /// Pixels from top to bottom; 0 until the first picture.
    pub height: u32,
    /// How many pictures it has; counted at the end.
    pub frames: u64,
    /// Seconds; null until the end.
    pub duration: Option<f64>,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordedStep {
    /// Counted from 1.
    pub number: u32,
    /// Seconds since the recording began.
    pub at: f64,
    /// Seconds it took.
    pub duration: f64,
    /// What.
    pub action: Action,
    /// The window in which it was done, where there was one.
    pub window: Option<WindowSeen>,
    /// What has to be there before it can be done again.
    pub change: Option<WindowChange>,
    /// The picture around its target, from before it was done.
    pub picture: Option<Picture>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = RecordedAction)]
pub enum Action {
    /// A click, or several.
    Click {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
        /// Which button.
        button: Button,
        /// How many times.
        clicks: u32,
        /// Seconds the button was held, where that was long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration: Option<f64>,
        /// Keys that were held: `ctrl`, `alt`, `shift`, `win`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        modifiers: Vec<String>,
    },
    /// Pressed at one point, released at another.
    Drag {
        /// Start, from the left.
        from_x: i32,
        /// Start, from the top.
        from_y: i32,
        /// End, from the left.
        to_x: i32,
        /// End, from the top.
        to_y: i32,
        /// Which button.
        button: Button,
        /// Seconds it took, 0.1–10.
        duration: f64,
    },
    /// The wheel was turned.
    Scroll {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
        /// Steps to the right.
        dx: i32,
        /// Steps down.
        dy: i32,
    },
    /// A text was typed.
    Text {
        /// The text.
        text: String,
    },
    /// A key was pressed that types nothing.
    Key {
        /// Its name.
        key: String,
        /// How many times.
        presses: u32,
    },
    /// Keys were pressed together.
    Hotkey {
        /// Their names.
        keys: Vec<String>,
    },
    /// Something secret was typed, which was not kept.
    Parameter {
        /// The parameter that stands for it.
        name: String,
    },
}

/// A window as it is told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WindowSeen {
    /// What stood in its title bar.
    pub title: String,
    /// What kind of program it was of.
    pub class: String,
}

/// What was new about a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WindowChange {
    /// It had appeared since the recording began.
    Appeared,
    /// Keys had not gone to it before.
    Focused,
}

/// The picture around the target of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RecordedPicture)]
pub struct Picture {
    /// Its SHA-256, in hex: `/api/recordings/{recording_id}/images/{sha256}` is the picture, a JPEG.
    pub sha256: String,
    /// Left edge on the virtual screen.
    pub x: i32,
    /// Top edge on the virtual screen.
    pub y: i32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The target, counted from the picture's left edge.
    pub target_x: i32,
    /// The target, counted from the picture's top edge.
    pub target_y: i32,
}
