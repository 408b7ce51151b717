//! Which part each call of a script needs.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::error::Failure;
use crate::host;
use crate::host::protocol::{Call, Wait, WaitFor};
use crate::services::{Name, Services};

/// Lets a script's calls through to the parts that are at work.
pub(super) struct Gate(pub(super) Arc<Services>);

impl host::Gate for Gate {
    fn enter(&self, call: &Call) -> Result<Option<CancellationToken>, Failure> {
        part(call).map(|name| self.0.enter(name)).transpose()
    }
}

/// The part that does what is asked for. None where the server itself does.
fn part(call: &Call) -> Option<Name> {
    match call {
        Call::ScreenMonitors
        | Call::ScreenCapture(_)
        | Call::ScreenPixel { .. }
        | Call::ZoneList
        | Call::ZoneFind { .. }
        | Call::ScreenStill(_)
        | Call::ScreenChange { .. }
        | Call::PictureFind { .. }
        | Call::WindowList(_)
        | Call::WindowGet { .. }
        | Call::WindowCapture { .. } => Some(Name::LiveDesktop),
        Call::WindowAct { .. }
        | Call::MouseMove(_)
        | Call::MouseClick(_)
        | Call::MouseDrag(_)
        | Call::MouseScroll(_)
        | Call::MouseDown(_)
        | Call::MouseUp(_)
        | Call::MousePosition
        | Call::KeyboardType(_)
        | Call::KeyboardPress(_)
        | Call::KeyboardHotkey(_)
        | Call::KeyboardDown(_)
        | Call::KeyboardUp(_)
        | Call::ClipboardGet
        | Call::ClipboardSet(_) => Some(Name::ClickAutomation),
        Call::OcrRead { .. } | Call::TemplateRead { .. } | Call::TextFind { .. } | Call::OcrLanguages => Some(Name::EnhancedOcr),
        Call::ShellRun { .. }
        | Call::ShellArgv { .. }
        | Call::ShellOpen(_)
        | Call::ShellSession { .. }
        | Call::ShellSend { .. }
        | Call::ShellWaitFor { .. }
        | Call::ShellScreen { .. }
        | Call::ShellClose { .. } => Some(Name::Shell),
        Call::HttpRequest(_) => Some(Name::N8nIntegration),
        Call::Wait(Wait { what: WaitFor::Script { .. }, .. }) => Some(Name::Scripts),
        Call::Wait(Wait { what: WaitFor::Workflow { .. }, .. }) => Some(Name::GraphExecution),
        Call::DesktopTargets
        | Call::DesktopUse { .. }
        | Call::ImageSave { .. }
        | Call::ImagePixel { .. }
        | Call::ImageCrop { .. }
        | Call::ImageDifference { .. }
        | Call::ExpectBefore(_)
        | Call::Expect { .. }
        | Call::FileRead { .. }
        | Call::FileWrite { .. }
        | Call::FileList { .. }
        | Call::FileExists { .. }
        | Call::FileRemove { .. }
        | Call::SystemLoad
        | Call::SystemProcesses
        | Call::SystemKill { .. }
        | Call::SystemEnv { .. }
        | Call::SecretGet { .. }
        | Call::Wait(_)
        | Call::FlowPause(_)
        | Call::FlowRounds { .. }
        | Call::FlowNextRound { .. } => None,
    }
}
