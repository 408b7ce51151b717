//! What calls are on record as: which of them, with what, and nothing of what they carry.

use serde_json::{Value, json};

use super::protocol::Call;

/// Something that a script does to the machine, for whoever keeps account of that.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// What: `shell.run`.
    pub action: &'static str,
    /// With which.
    pub target: Option<String>,
    /// Facts beside it: no text that is typed, written or sent.
    pub details: Value,
}

/// What a call does to the machine, or which secret it is given; none where it does nothing, or no more than move the pointer.
pub(super) fn of(call: &Call) -> Option<Deed> {
    let (target, details) = match call {
        Call::ImageSave { path, .. } | Call::FileRemove { path } => (Some(path.clone()), Value::Null),
        Call::FileWrite { path, content, .. } => (Some(path.clone()), json!({ "bytes": content.len() })),
        Call::WindowAct { id, act } => (Some(id.to_string()), json!({ "act": act })),
        Call::MouseClick(click) => (None, json!(click)),
        Call::MouseDrag(drag) => (None, json!(drag)),
        Call::MouseScroll(scroll) => (None, json!(scroll)),
        Call::MouseDown(hold) | Call::MouseUp(hold) => (None, json!(hold)),
        Call::KeyboardType(typed) => (None, json!({ "characters": typed.text.chars().count() })),
        Call::KeyboardPress(press) => (None, json!({ "presses": press.presses })),
        Call::KeyboardHotkey(hotkey) => (None, json!({ "keys": hotkey.keys })),
        Call::KeyboardDown(_) | Call::KeyboardUp(_) => (None, Value::Null),
        Call::ClipboardSet(text) => (None, json!({ "characters": text.text.chars().count() })),
        Call::ShellRun { shell, command, options } => {
            (Some(shell.clone()), json!({ "command": command, "session_id": options.session_id }))
        }
        Call::ShellArgv { argv, .. } => (argv.first().cloned(), json!({ "argv": argv })),
        Call::ShellOpen(open) => (Some(open.shell.as_str().to_owned()), Value::Null),
        Call::ShellSend { session_id, text } => (Some(session_id.clone()), json!({ "characters": text.chars().count() })),
        Call::ShellClose { session_id } => (Some(session_id.clone()), Value::Null),
        Call::HttpRequest(request) => (Some(address(&request.url)), json!({ "method": request.method })),
        // It changes nothing, but whoever looks for a leak wants to know.
        Call::SecretGet { name } => (Some(name.clone()), Value::Null),
        Call::SystemKill { pid, force, tree } => (Some(pid.to_string()), json!({ "force": force, "tree": tree })),
        Call::DesktopTargets
        | Call::DesktopUse { .. }
        | Call::ScreenMonitors
        | Call::ScreenCapture(_)
        | Call::ImagePixel { .. }
        | Call::ImageCrop { .. }
        | Call::ImageDifference { .. }
        | Call::ZoneList
        | Call::ZoneFind { .. }
        | Call::ScreenPixel { .. }
        | Call::ScreenStill(_)
        | Call::ScreenChange { .. }
        | Call::PictureFind { .. }
        | Call::WindowList(_)
        | Call::WindowGet { .. }
        | Call::WindowCapture { .. }
        | Call::MouseMove(_)
        | Call::MousePosition
        | Call::ClipboardGet
        | Call::OcrRead { .. }
        | Call::TemplateRead { .. }
        | Call::TextFind { .. }
        | Call::OcrLanguages
        | Call::ShellSession { .. }
        | Call::ShellWaitFor { .. }
        | Call::ShellScreen { .. }
        | Call::FileRead { .. }
        | Call::FileList { .. }
        | Call::FileExists { .. }
        | Call::SystemLoad
        | Call::SystemProcesses
        | Call::SystemEnv { .. }
        | Call::ExpectBefore(_)
        | Call::Expect { .. }
        | Call::Wait(_)
        | Call::FlowPause(_)
        | Call::FlowRounds { .. }
        | Call::FlowNextRound { .. } => return None,
    };
    Some(Deed { action: action(call), target, details })
}

/// What a call is called.
pub(super) fn action(call: &Call) -> &'static str {
    match call {
        Call::DesktopTargets => "desktop.targets",
        Call::DesktopUse { .. } => "desktop.use",
        Call::ScreenMonitors => "screen.monitors",
        Call::ScreenCapture(_) => "screen.capture",
        Call::ImageSave { .. } | Call::FileWrite { .. } => "file.write",
        Call::ImagePixel { .. } => "image.pixel",
        Call::ImageCrop { .. } => "image.crop",
        Call::ImageDifference { .. } => "image.difference",
        Call::ZoneList => "zone.list",
        Call::ZoneFind { .. } => "zone.find",
        Call::ScreenPixel { .. } => "screen.pixel",
        Call::ScreenStill(_) => "screen.still",
        Call::ScreenChange { .. } => "screen.change",
        Call::PictureFind { .. } => "picture.find",
        Call::WindowList(_) => "window.list",
        Call::WindowGet { .. } => "window.get",
        Call::WindowAct { .. } => "window.act",
        Call::WindowCapture { .. } => "window.capture",
        Call::MouseMove(_) => "mouse.move",
        Call::MouseClick(_) => "mouse.click",
        Call::MouseDrag(_) => "mouse.drag",
        Call::MouseScroll(_) => "mouse.scroll",
        Call::MouseDown(_) => "mouse.down",
        Call::MouseUp(_) => "mouse.up",
        Call::MousePosition => "mouse.position",
        Call::KeyboardType(_) => "keyboard.type",
        Call::KeyboardPress(_) => "keyboard.press",
        Call::KeyboardHotkey(_) => "keyboard.hotkey",
        Call::KeyboardDown(_) => "keyboard.down",
        Call::KeyboardUp(_) => "keyboard.up",
        Call::ClipboardGet => "clipboard.get",
        Call::ClipboardSet(_) => "clipboard.set",
        Call::OcrRead { .. } => "ocr.read",
        Call::TemplateRead { .. } => "ocr.template",
        Call::TextFind { .. } => "text.find",
        Call::OcrLanguages => "ocr.languages",
        Call::ShellRun { .. } | Call::ShellArgv { .. } => "shell.run",
        Call::ShellOpen(_) => "shell.open",
        Call::ShellSession { .. } => "shell.session",
        Call::ShellSend { .. } => "shell.send",
        Call::ShellWaitFor { .. } => "shell.wait_for",
        Call::ShellScreen { .. } => "shell.screen",
        Call::ShellClose { .. } => "shell.close",
        Call::HttpRequest(_) => "http.request",
        Call::FileRead { .. } => "file.read",
        Call::FileList { .. } => "file.list",
        Call::FileExists { .. } => "file.exists",
        Call::FileRemove { .. } => "file.remove",
        Call::SystemLoad => "system.load",
        Call::SystemProcesses => "system.processes",
        Call::SystemKill { .. } => "process.kill",
        Call::SystemEnv { .. } => "system.env",
        Call::ExpectBefore(_) | Call::Expect { .. } => "step.expect",
        Call::SecretGet { .. } => "secret.get",
        Call::Wait(_) => "run.wait",
        Call::FlowPause(_) => "run.pause",
        Call::FlowRounds { .. } | Call::FlowNextRound { .. } => "run.rounds",
    }
}

/// A URL without what may be secret in it: its query, and a name and password.
fn address(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else { return "no URL".to_owned() };
    url.set_query(None);
    url.set_fragment(None);
    // A URL without a host has neither.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::TypeText;

    #[test]
    fn nothing_that_is_typed_or_sent_is_in_it() {
        let typed = of(&Call::KeyboardType(TypeText { text: "hunter2".to_owned(), interval: 0.0, allow_control: false })).unwrap();
        assert_eq!((typed.action, typed.details), ("keyboard.type", json!({ "characters": 7 })));
        assert_eq!(address("https://me:pass@host.example:8443/a?token=x#y"), "https://host.example:8443/a");
        assert_eq!(of(&Call::MousePosition), None);
    }
}
