//! What stands in for an effect in a run that only describes: nothing is done, the grant is asked all the same.

use serde_json::{Value, json};

use super::protocol::{Call, WaitFor};
use crate::error::Failure;
use crate::policy::{Access, Grant, Program};

/// What a call would do, whether it may, and what the script is told instead.
pub(super) fn describe(call: &Call, grant: &Grant) -> (Value, Value) {
    let mut would = serde_json::to_value(call).unwrap_or_default();
    if let Err(denied) = allowed(call, grant)
        && let Some(fields) = would.as_object_mut()
    {
        fields.insert("denied".to_owned(), json!(denied));
    }
    (would, stand_in(call))
}

fn allowed(call: &Call, grant: &Grant) -> Result<(), Failure> {
    match call {
        Call::ImageSave { path, .. } | Call::FileWrite { path, .. } | Call::FileRemove { path } => {
            grant.path(path, Access::Write)?;
        }
        Call::WindowAct { .. }
        | Call::MouseMove(_)
        | Call::MouseClick(_)
        | Call::MouseDrag(_)
        | Call::MouseScroll(_)
        | Call::MouseDown(_)
        | Call::MouseUp(_)
        | Call::KeyboardType(_)
        | Call::KeyboardPress(_)
        | Call::KeyboardHotkey(_)
        | Call::KeyboardDown(_)
        | Call::KeyboardUp(_) => grant.input()?,
        Call::ClipboardSet(_) => grant.clipboard()?,
        Call::ShellRun { shell, command, .. } => {
            grant.command(Program::Line { shell: shell.clone(), command: command.clone() })?;
        }
        Call::ShellOpen(open) => {
            grant.command(Program::Terminal { shell: open.shell.as_str().to_owned() })?;
        }
        Call::ShellArgv { argv, .. } => {
            grant.command(Program::Argv(argv.clone()))?;
        }
        Call::HttpRequest(request) => {
            grant.url(&request.url)?;
        }
        Call::SystemKill { pid, .. } => {
            grant.process(*pid)?;
        }
        Call::Wait(wait) => match &wait.what {
            WaitFor::Script { path, .. } => grant.script(path)?,
            WaitFor::Workflow { workflow_id, .. } => grant.workflow(workflow_id)?,
            WaitFor::Time { .. } | WaitFor::Approval(_) | WaitFor::Webhook(_) => {}
        },
        // Whose session it is, is seen only where there is one.
        Call::ShellSend { .. } | Call::ShellWaitFor { .. } | Call::ShellClose { .. } => {}
        // These have no effect, and are done.
        Call::DesktopTargets
        | Call::DesktopUse { .. }
        | Call::ScreenMonitors
        | Call::ScreenCapture(_)
        | Call::ImagePixel { .. }
        | Call::ImageCrop { .. }
        | Call::ImageDifference { .. }
        | Call::ZoneList
        | Call::ZoneFind { .. }
        | Call::ExpectBefore(_)
        | Call::Expect { .. }
        | Call::ScreenPixel { .. }
        | Call::ScreenStill(_)
        | Call::ScreenChange { .. }
        | Call::PictureFind { .. }
        | Call::WindowList(_)
        | Call::WindowGet { .. }
        | Call::WindowCapture { .. }
        | Call::MousePosition
        | Call::ClipboardGet
        | Call::OcrRead { .. }
        | Call::TemplateRead { .. }
        | Call::TextFind { .. }
        | Call::OcrLanguages
        | Call::FileRead { .. }
        | Call::FileList { .. }
        | Call::FileExists { .. }
        | Call::SystemLoad
        | Call::SystemProcesses
        | Call::SystemEnv { .. }
        | Call::SecretGet { .. }
        | Call::ShellSession { .. }
        | Call::ShellScreen { .. }
        | Call::FlowPause(_)
        | Call::FlowRounds { .. }
        | Call::FlowNextRound { .. } => {}
    }
    Ok(())
}

/// The answer of something that went well and had nothing to say.
fn stand_in(call: &Call) -> Value {
    match call {
        Call::ImageSave { path, .. } => json!({ "path": path, "bytes": 0 }),
        Call::FileWrite { path, content, .. } => json!({ "path": path, "bytes": content.len() }),
        Call::KeyboardType(typed) => json!(typed.text.chars().count()),
        Call::ShellRun { .. } | Call::ShellArgv { .. } => {
            json!({ "exit_code": 0, "output": "", "error": "", "timed_out": false, "truncated": false })
        }
        Call::ShellOpen(open) => json!({ "session_id": "", "shell": open.shell, "place": 0 }),
        Call::ShellWaitFor { wait, .. } => json!({ "text": "", "groups": [], "before": "", "place": wait.after }),
        Call::HttpRequest(_) => json!({ "status": 200, "headers": {}, "body": null }),
        Call::Wait(wait) => match &wait.what {
            WaitFor::Approval(asked) => json!({ "choice": asked.choices.first(), "comment": null, "by": null, "at": null }),
            WaitFor::Webhook(awaited) => {
                json!({ "method": awaited.methods.first(), "path": awaited.path, "query": {}, "headers": {}, "body": null })
            }
            WaitFor::Workflow { wait: false, .. } => json!({ "run_id": null }),
            WaitFor::Time { .. } | WaitFor::Script { .. } | WaitFor::Workflow { .. } => Value::Null,
        },
        _ => Value::Null,
    }
}
