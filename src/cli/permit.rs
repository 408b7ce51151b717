//! What a person at their own terminal grants: `--allow`, `--allow-all`, or an answer to a question.

use std::io::{BufRead, IsTerminal, Write};

use trae::policy::Permissions;

/// Reads `--allow screen`, `--allow shell=bash`, …
pub(super) fn allow(text: &str) -> Result<Permissions, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let entry = match (name, value) {
        ("screen" | "input" | "clipboard" | "process", None) => serde_json::json!({ name: true }),
        ("shell" | "http" | "read" | "write" | "env" | "secrets" | "scripts" | "workflows", Some(value)) if !value.is_empty() => {
            serde_json::json!({ name: [value] })
        }
        _ => {
            return Err(
                "write screen, input, clipboard or process, or NAME=VALUE with shell, http, read, write, env, secrets, scripts, workflows"
                    .to_owned(),
            );
        }
    };
    serde_json::from_value(entry).map_err(|error| error.to_string())
}

/// Asks for one of the choices until one is given. None where nobody is there.
pub(super) fn choose(choices: &[String]) -> Option<String> {
    loop {
        write!(std::io::stderr(), "{}? ", choices.join(" / ")).ok()?;
        std::io::stderr().flush().ok()?;
        let mut said = String::new();
        if std::io::stdin().lock().read_line(&mut said).ok()? == 0 {
            return None;
        }
        if let Some(choice) = choices.iter().find(|choice| *choice == said.trim()) {
            return Some(choice.clone());
        }
    }
}

/// What a namespace needs: its name, whether it is declared, how it is granted.
fn needs(declared: &Permissions) -> [(&'static str, bool, &'static str); 9] {
    [
        ("screen", declared.screen, "screen"),
        ("ocr", declared.screen, "screen"),
        ("window", declared.screen || declared.input, "screen"),
        ("mouse", declared.input, "input"),
        ("keyboard", declared.input, "input"),
        ("clipboard", declared.clipboard, "clipboard"),
        ("shell", !declared.shell.is_empty(), "shell=*"),
        ("http", !declared.http.is_empty(), "http=*"),
        ("files", !declared.read.is_empty() || !declared.write.is_empty(), "read=**"),
    ]
}

/// Asks for what a script uses and does not declare, where there is somebody to ask. `granted` grows by what was allowed.
pub(super) fn ask(source: &str, declared: &Permissions, granted: &mut Permissions) {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return;
    }
    let mut known = declared.clone();
    known.merge(granted);
    let mut asked: Vec<&str> = Vec::new();
    for (namespace, declared, grant) in needs(&known) {
        if declared || asked.contains(&grant) || !source.contains(&format!("{namespace}::")) {
            continue;
        }
        asked.push(grant);
        let _ = write!(std::io::stderr(), "This script uses `{namespace}::` and does not declare it. Allow {grant} for this run? [y/N] ");
        let mut answer = String::new();
        let yes = std::io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes");
        if let (true, Ok(more)) = (yes, allow(grant)) {
            granted.merge(&more);
            if grant == "read=**" {
                granted.write.push("**".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::allow;

    #[test]
    fn flags_and_lists_are_told_apart() {
        assert!(allow("screen").unwrap().screen);
        assert_eq!(allow("shell=bash").unwrap().shell, ["bash"]);
        for wrong in ["shell", "screen=1", "http=", "everything"] {
            assert!(allow(wrong).is_err(), "{wrong}");
        }
    }
}
