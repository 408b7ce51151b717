//! The display: the session's, or one of our own.

use super::Finding;
use super::programs::on_path;
use crate::app::desktop_settings;
use crate::config::{Config, DisplayMode};
use crate::desktop::Desktops;
use crate::error::Failure;

/// Small ones that a virtual desktop can have, so that windows get frames and a focus.
const WINDOW_MANAGERS: [&str; 6] = ["openbox", "xfwm4", "metacity", "mutter", "icewm", "fluxbox"];

pub(super) async fn display(config: &Config) -> Vec<Finding> {
    let part = "display";
    if config.desktop.mode == DisplayMode::None {
        return vec![Finding::ok(part, "switched off by DISPLAY_MODE=none")];
    }
    let settings = match desktop_settings(config) {
        Ok(settings) => settings,
        Err(failure) => return vec![Finding::broken(part, failure.message, "see trae config")],
    };
    let opened = tokio::task::spawn_blocking(move || {
        let desktops = Desktops::new(settings);
        let desktop = desktops.default()?;
        let bounds = desktop.screen().bounds()?;
        let found = (desktop.kind().as_str().to_owned(), desktop.display().unwrap_or_default().to_owned(), bounds.width, bounds.height);
        desktops.shutdown();
        Ok::<_, Failure>(found)
    });
    let (name, finding) = match opened.await {
        Ok(Ok((name, display, width, height))) => {
            let finding = Finding::ok(part, format!("{name} {display}, {width}×{height}"));
            (name, finding)
        }
        Ok(Err(failure)) => {
            let hint = failure.details.as_ref().and_then(|details| details.get("hint")?.as_str()).unwrap_or("apt-get install xvfb");
            (String::new(), Finding::missing(part, failure.message.clone(), hint))
        }
        Err(error) => (String::new(), Finding::broken(part, error.to_string(), "apt-get install xvfb")),
    };
    let mut findings = vec![finding];
    // A session's desktop has its own.
    if name != "local" {
        let part = "window manager";
        let found = WINDOW_MANAGERS.iter().find_map(|name| on_path(name));
        findings.push(match found {
            Some(path) => Finding::ok(part, path.display().to_string()).optional(),
            None => Finding::missing(part, "none: windows on a virtual desktop have no frames", "apt-get install openbox").optional(),
        });
    }
    findings
}
