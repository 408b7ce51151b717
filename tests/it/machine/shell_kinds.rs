//! `tests/shell/*.json`: each kind of shell in a session, by what is sent to it and by what is typed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use trae::policy::{AllowedCommand, Program};
use trae::shell::{CommandOptions, HistoryEntry, Session, Settings, ShellSessionRequest, ShellType, Shells, WaitFor};

use super::everything;

/// A command that is sent, and what comes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// Of these shells; without it of all.
    shells: Option<Vec<String>>,
    command: String,
    #[serde(default)]
    code: i32,
    output: Option<String>,
    begins: Option<String>,
    holds: Option<String>,
    length: Option<usize>,
    timeout: Option<f64>,
}

/// Keys, each with what is waited for behind them, and what is on record afterwards: command, exit code, output, and where it ran.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    shells: Option<Vec<String>>,
    keys: Vec<(String, String)>,
    history: Vec<serde_json::Value>,
}

struct Room {
    shells: Arc<Shells>,
    session: Arc<Session>,
    kind: ShellType,
    allowed: AllowedCommand,
    folder: tempfile::TempDir,
    /// Behind its first prompt.
    prompt: u64,
}

/// What every prompt ends with: the folder, in fish how the last command ended, and a mark. zsh prints that mark alone before its prompt, where it may be half a line.
const PROMPT: &str = r"/\S*( \[\w+\])?[#$%>] ?$";

pub const KINDS: [(ShellType, &str); 4] = [
    (ShellType::Bash, "bash --noprofile --norc -i"),
    (ShellType::Sh, "sh -i"),
    (ShellType::Zsh, "zsh -f -i"),
    (ShellType::Fish, "fish --no-config -i"),
];

async fn room(kind: ShellType, line: &str) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().canonicalize().unwrap();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let name = kind.as_str().to_owned();
    let settings = Settings {
        shells: BTreeMap::from([(name.clone(), vec![name.clone(), "-c".to_owned()])]),
        terminals: BTreeMap::from([(name.clone(), words(line))]),
        private: folder.path().join("it's private"),
        directory,
        ..Settings::default()
    };
    let shells = Arc::new(Shells::new(settings));
    let allowed = everything(folder.path()).command(Program::Terminal { shell: name }).unwrap();
    let opened = shells.open(allowed.clone(), ShellSessionRequest::new("test", kind), &BTreeMap::new()).await.unwrap();
    let session = shells.session(&opened.session_id).await.unwrap();
    let mut room = Room { shells, session, kind, allowed, folder, prompt: 0 };
    // A person types once there is a prompt; what is typed before it stands before it.
    room.prompt = room.wait(PROMPT, 0).await.unwrap();
    room
}

impl Room {
    async fn wait(&self, pattern: &str, after: u64) -> Result<u64, String> {
        let wait = WaitFor { pattern: pattern.to_owned(), timeout: 15.0, after };
        let found = self.session.wait_for(&self.allowed, &wait, Duration::from_secs(15), &CancellationToken::new()).await;
        found.map(|found| found.place).map_err(|error| error.to_string())
    }

    /// What is on record, once it is so much.
    async fn history(&self, wanted: usize) -> Vec<HistoryEntry> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let (history, _) = self.shells.history(self.session.id(), 100, None).await.unwrap();
            if history.len() >= wanted || Instant::now() > deadline {
                return history;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn is_meant(shells: &Option<Vec<String>>, kind: ShellType) -> bool {
    shells.as_ref().is_none_or(|names| names.iter().any(|name| name == kind.as_str()))
}

/// A text in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<String> = pattern.split('*').map(regex::escape).collect();
    regex::Regex::new(&format!("(?s)^{}$", pattern.join(".*"))).unwrap().is_match(text)
}

async fn sent_to(kind: ShellType, line: &str) -> Vec<String> {
    let cases: Vec<Sent> = serde_json::from_str(include_str!("../../shell/commands.json")).unwrap();
    let room = room(kind, line).await;
    let mut failed = Vec::new();
    for case in cases.into_iter().filter(|case| is_meant(&case.shells, kind)) {
        let program = Program::Line { shell: kind.as_str().to_owned(), command: case.command.clone() };
        let allowed = everything(room.folder.path()).command(program).unwrap();
        let timeout = case.timeout.unwrap_or(20.0);
        let options = CommandOptions { timeout, session_id: Some(room.session.id().to_owned()), ..CommandOptions::default() };
        let done = room.shells.run(allowed, options, &BTreeMap::new(), &CancellationToken::new()).await;
        let right = done.as_ref().is_ok_and(|done| {
            done.exit_code == case.code
                && case.output.as_ref().is_none_or(|output| done.output == *output)
                && case.begins.as_ref().is_none_or(|begin| done.output.starts_with(begin))
                && case.holds.as_ref().is_none_or(|part| done.output.contains(part))
                && case.length.is_none_or(|length| done.output.len() == length)
        });
        if !right {
            let shown: String = format!("{done:?}").chars().take(400).collect();
            failed.push(format!("{} {:?}: {shown}", kind.as_str(), case.command));
        }
    }
    failed
}

async fn typed_into(kind: ShellType, line: &str) -> Vec<String> {
    let cases: Vec<Keys> = serde_json::from_str(include_str!("../../shell/typed.json")).unwrap();
    let mut failed = Vec::new();
    for case in cases.into_iter().filter(|case| is_meant(&case.shells, kind)) {
        let room = room(kind, line).await;
        let mut place = room.prompt;
        let mut trouble = None;
        for (keys, then) in &case.keys {
            if keys == "wait" {
                // What was typed runs.
                let deadline = Instant::now() + Duration::from_secs(10);
                while room.session.processes().await.len() < 2 && Instant::now() < deadline {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                continue;
            }
            room.session.send(&room.allowed, keys).unwrap();
            let pattern = then.strip_prefix("screen:").unwrap_or(then);
            match room.wait(pattern, place).await {
                Ok(behind) if !pattern.is_empty() => place = behind,
                Ok(_) => {}
                Err(error) => trouble = Some(error),
            }
            if pattern.is_empty() {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        }
        let history = room.history(case.history.len()).await;
        let right = history.len() == case.history.len()
            && history.iter().zip(&case.history).all(|(entry, wanted)| {
                fits(wanted[0].as_str().unwrap(), &entry.command)
                    && Some(i64::from(entry.exit_code)) == wanted[1].as_i64()
                    && fits(wanted[2].as_str().unwrap(), &entry.output)
                    && wanted[3].as_str().is_none_or(|folder| entry.working_directory.as_deref() == Some(folder))
                    && entry.working_directory.is_some()
            });
        if !right || trouble.is_some() {
            let seen: Vec<_> =
                history.iter().map(|entry| (&entry.command, entry.exit_code, &entry.output, &entry.working_directory)).collect();
            failed.push(format!("{} {:?}: {seen:?} {}", room.kind.as_str(), case.keys, trouble.unwrap_or_default()));
        }
    }
    failed
}

macro_rules! of_each_kind {
    ($($name:ident, $at:expr, $test:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let (kind, line) = KINDS[$at];
            let failed = $test(kind, line).await;
            assert!(failed.is_empty(), "{}", failed.join("\n"));
        }
    )*};
}

of_each_kind! {
    commands_sent_to_bash, 0, sent_to;
    commands_sent_to_sh, 1, sent_to;
    commands_sent_to_zsh, 2, sent_to;
    commands_sent_to_fish, 3, sent_to;
    keys_typed_into_bash, 0, typed_into;
    keys_typed_into_sh, 1, typed_into;
    keys_typed_into_zsh, 2, typed_into;
    keys_typed_into_fish, 3, typed_into;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_variables_of_each_kind() {
    for (kind, line) in KINDS {
        let room = room(kind, line).await;
        std::fs::create_dir(room.folder.path().join("a \\b'c $d")).unwrap();
        room.session.change_directory(&room.allowed, "a \\b'c $d", "/path").await.unwrap();
        room.session.set_variable(&room.allowed, "MINE", "a'b\\n\n\"c\" $x\\").await.unwrap();
        let variables = room.session.variables(&room.allowed).await.unwrap();
        assert_eq!(variables["MINE"], "a'b\\n\n\"c\" $x\\", "{kind:?}");
        assert!(room.session.info().working_directory.ends_with("/a \\b'c $d"), "{kind:?}: {:?}", room.session.info());
        // Half a line does not get in the way.
        room.session.send(&room.allowed, "rm -rf unfinished").unwrap();
        let variables = room.session.variables(&room.allowed).await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert!(variables.contains_key("MINE"), "{kind:?}");
    }
}

/// The session ends, whatever the shell thinks of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_ignores_the_end_of_its_terminal_ends() {
    for (kind, line) in KINDS {
        let room = room(kind, line).await;
        room.session.send(&room.allowed, "trap '' HUP TERM INT; echo deaf''now\r").unwrap();
        room.wait("^deafnow", 0).await.unwrap();
        room.shells.close(room.session.id()).await.unwrap();
        assert!(room.session.has_ended(), "{kind:?}");
        let past = room.shells.past(room.session.id()).await.unwrap();
        let end = past.end.unwrap();
        assert!(end.reason.contains("deleted") && end.screen.contains("deafnow"), "{kind:?}: {end:?}");
    }
}
