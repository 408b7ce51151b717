//! Shells that stay open, in real terminals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trae::error::{Classify, Kind};
use trae::policy::{AllowedCommand, Program};
use trae::shell::{
    CommandOptions, CommandOutput, Error, Seen, Settings, ShellSessionRequest, ShellType, Shells, Taken, TerminalSize, Viewer,
};

use super::everything;
use super::shell::{alive, gone};

struct Room {
    shells: Arc<Shells>,
    folder: tempfile::TempDir,
}

fn room() -> Room {
    room_of(32)
}

fn room_of(max_sessions: usize) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let private = folder.path().join("it's private");
    let directory = folder.path().canonicalize().unwrap();
    let shells = Shells::new(Settings { directory, private, max_sessions, ..Settings::default() });
    Room { shells: Arc::new(shells), folder }
}

fn terminal() -> AllowedCommand {
    everything(std::path::Path::new("/")).command(Program::Terminal { shell: "bash".to_owned() }).unwrap()
}

impl Room {
    async fn open(&self) -> String {
        let request = ShellSessionRequest::new("test", ShellType::Bash);
        self.shells.open(terminal(), request, &BTreeMap::new()).await.unwrap().session_id
    }

    async fn try_in(&self, id: &str, command: &str, timeout: f64) -> Result<CommandOutput, Error> {
        let options = CommandOptions { timeout, session_id: Some(id.to_owned()), ..CommandOptions::default() };
        self.with(command, options, &CancellationToken::new()).await
    }

    async fn with(&self, command: &str, options: CommandOptions, cancel: &CancellationToken) -> Result<CommandOutput, Error> {
        let program = Program::Line { shell: "bash".to_owned(), command: command.to_owned() };
        let allowed = everything(self.folder.path()).command(program).unwrap();
        self.shells.run(allowed, options, &BTreeMap::new(), cancel).await
    }

    /// Exit code and output.
    async fn run(&self, id: &str, command: &str) -> (i32, String) {
        let done = self.try_in(id, command, 20.0).await.unwrap();
        (done.exit_code, done.output)
    }
}

fn ok(output: &str) -> (i32, String) {
    (0, output.to_owned())
}

#[tokio::test]
async fn one_command_sees_what_the_one_before_did() {
    let room = room();
    let id = room.open().await;
    assert_eq!(room.run(&id, "cd / && MINE='a  b'; declare -A map=([k]=v); shopt -s extglob; false").await, (1, String::new()));
    assert_eq!(room.run(&id, "echo $? \"$PWD\" \"$MINE\" \"${map[k]}\"").await, ok("1 / a  b v\n"));
    assert_eq!(room.run(&id, "f() { return 7; }").await, ok(""));
    assert_eq!(room.run(&id, "f").await, (7, String::new()));
    assert_eq!(room.run(&id, "echo one >&2; printf two").await, ok("one\ntwo"));
    assert_eq!(room.run(&id, "").await, ok(""));
    assert_eq!(room.run(&id, "alias ll='echo aliased'").await, ok(""));
    assert_eq!(room.run(&id, "ll").await, ok("aliased\n"));
}

/// Each command with what it prints and its exit code, all in one session, one after the other.
#[tokio::test]
async fn output_is_told_apart_from_everything_else() {
    let room = room();
    let id = room.open().await;
    let long = format!("echo {}", "x".repeat(100_000));
    let marks = "printf '\\033]133;D;0\\007\\033]133;C\\007\\033]133;A\\007still here\\n'; exit_code() { return 5; }; exit_code";
    for (command, code, output) in [
        ("cd /tmp\npwd\ncd -  >/dev/null", 0, "/tmp\n"),
        ("for i in 1 2 3; do\n  echo $i\ndone", 0, "1\n2\n3\n"),
        ("cat <<'X'\n\ttab and $dollar\n'quote\" ! !!\nX", 0, "\ttab and $dollar\n'quote\" ! !!\n"),
        ("echo 'ä € 😀' \"\\\\\" '`'", 0, "ä € 😀 \\ `\n"),
        (marks, 5, "\x1b]133;D;0\x07\x1b]133;C\x07\x1b]133;A\x07still here\n"),
        ("printf '\\033]52;c;aGk=\\007\\033]0;title\\007\\033[2J\\033[H'", 0, "\x1b]52;c;aGk=\x07\x1b]0;title\x07\x1b[2J\x1b[H"),
        ("printf 'a\\r\\nb\\rc'", 0, "a\r\nb\rc"),
        (&long, 0, &format!("{}\n", "x".repeat(100_000))),
        ("echo a # comment", 0, "a\n"),
        ("echo a; # comment", 0, "a\n"),
        ("( exit 3 )", 3, ""),
        ("nope-not-a-program", 127, "bash: nope-not-a-program: command not found\n"),
        ("kill -TERM $BASHPID & wait $!", 143, "[1] …"),
        ("read -t 0.1 x; echo $?", 0, "142\n"),
        ("PROMPT_COMMAND=; PS1='mine> '; PS0=", 0, ""),
        ("echo after", 0, "after\n"),
        ("exec 2>/dev/null; echo kept", 0, "kept\n"),
        ("exec >/dev/null", 0, ""),
        ("exec >/dev/tty 2>&1; echo back", 0, "back\n"),
        ("set -x; :; { set +x; } 2>/dev/null", 0, "++ :\n"),
        ("trap 'echo trapped' DEBUG; trap - DEBUG", 0, "trapped\n"),
        ("stty -echo; stty size; stty echo", 0, "24 80\n"),
    ] {
        let (found, printed) = room.run(&id, command).await;
        let same = output.strip_suffix('…').map_or(printed == output, |begin| printed.starts_with(begin));
        assert!(same && found == code, "{command:?}: {found} {printed:?}");
    }
}

#[tokio::test]
async fn a_command_out_of_time_ends_and_the_session_lives_on() {
    let room = room();
    let id = room.open().await;
    room.run(&id, "MINE=kept").await;
    for (command, output) in [
        ("echo so far; sleep 96.731", "so far\n"),
        ("cat", ""),
        ("while :; do :; done", ""),
        ("while :; do sleep 96.732; done", ""),
        ("(trap '' INT TERM; echo deaf; sleep 96.733; sleep 96.733)", "deaf\n"),
        ("while :; do (trap '' INT; sleep 96.734); done", ""),
        ("stty raw; sleep 96.735", ""),
        ("python3 -c 'import os,time; os.setpgid(0,0); time.sleep(96.736)' | cat", ""),
    ] {
        let done = room.try_in(&id, command, 0.7).await.unwrap();
        assert_eq!((done.exit_code, done.timed_out), (124, true), "{command}: {done:?}");
        assert!(done.output.starts_with(output), "{command}: {done:?}");
        assert!(done.error.starts_with("timed out after 0.7 s"), "{command}: {done:?}");
        gone("96.73").await;
        assert_eq!(room.run(&id, "stty sane; echo $MINE").await, ok("kept\n"), "after {command}");
    }
}

#[tokio::test]
async fn what_runs_in_the_background_goes_on() {
    let room = room();
    let id = room.open().await;
    let (code, printed) = room.run(&id, "sleep 97.741 &").await;
    assert!(code == 0 && printed.starts_with("[1] "), "{printed:?}");
    assert_eq!(room.run(&id, "echo next").await, ok("next\n"));
    assert_eq!(room.run(&id, "jobs -r | wc -l").await, ok("1\n"));
    assert_eq!(alive("97.741"), 1);
}

#[tokio::test]
async fn the_end_of_a_session_ends_everything_in_it() {
    let room = room();
    let id = room.open().await;
    let daemon = "(setsid sleep 97.751 >/dev/null 2>&1 &); nohup sleep 97.752 >/dev/null 2>&1 & (trap '' HUP TERM INT; sleep 97.753 & sleep 97.754) & sleep 0.2";
    room.run(&id, daemon).await;
    assert_eq!(alive("97.75"), 4);
    room.shells.close(&id).await.unwrap();
    gone("97.75").await;
    assert!(room.shells.sessions().is_empty());
    assert_eq!(room.try_in(&id, "echo no", 1.0).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(room.shells.history(&id, 10, None).await.unwrap().1, 1, "its history stays");
    let files = room.folder.path().join("it's private").join(std::process::id().to_string());
    assert!(std::fs::read_dir(files).unwrap().next().is_none(), "its files are gone");
}

#[tokio::test]
async fn a_shell_that_exits_ends_its_session() {
    let room = room();
    for (command, code) in [("echo bye; exit 3", 3), ("kill -KILL $$", 137), ("set -e; false", 1)] {
        let id = room.open().await;
        let (found, printed) = room.run(&id, command).await;
        assert_eq!(found, code, "{command}: {printed:?}");
        assert!(code != 3 || printed.starts_with("bye\n"), "{printed:?}");
        assert_eq!(room.try_in(&id, "echo no", 1.0).await.unwrap_err().kind(), Kind::Conflict);
        let (history, _) = room.shells.history(&id, 10, None).await.unwrap();
        assert_eq!((history[0].command.as_str(), history[0].exit_code), (command, code));
    }
    assert!(room.shells.sessions().is_empty());
    assert_eq!(room.try_in("0190c0de-0000-7000-8000-000000000000", "echo", 1.0).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn commands_wait_their_turn_within_their_own_time() {
    let room = room();
    let id = room.open().await;
    let slow = room.try_in(&id, "sleep 1.5; echo slow", 10.0);
    let fast = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::join!(room.try_in(&id, "echo never", 0.3), room.try_in(&id, "echo turn", 10.0))
    };
    let (slow, (late, turn)) = tokio::join!(slow, fast);
    assert_eq!(slow.unwrap().output, "slow\n");
    let late = late.unwrap();
    assert_eq!((late.exit_code, late.timed_out, late.output.as_str()), (124, true, ""));
    assert!(late.error.contains("was not started"), "{}", late.error);
    assert_eq!(turn.unwrap().output, "turn\n");
    let many = futures_util::future::join_all((0..20).map(|n| {
        let (room, id) = (&room, &id);
        async move { (n, room.run(id, &format!("echo {n}; echo {n} >> all")).await) }
    }));
    for (n, done) in many.await {
        assert_eq!(done, ok(&format!("{n}\n")));
    }
    assert_eq!(room.run(&id, "sort -u all | wc -l; wc -l < all").await, ok("20\n20\n"), "each ran once");
}

#[tokio::test]
async fn a_cancel_interrupts_the_command_and_not_the_session() {
    let room = room();
    let id = room.open().await;
    let options = || CommandOptions { session_id: Some(id.clone()), ..CommandOptions::default() };
    let cancel = CancellationToken::new();
    let (ended, ()) = tokio::join!(room.with("sleep 97.761", options(), &cancel), async {
        while alive("97.761") == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
    });
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    gone("97.761").await;
    // Whoever sent it went away.
    let away = tokio::time::timeout(Duration::from_millis(400), room.with("sleep 97.762", options(), &CancellationToken::new())).await;
    assert!(away.is_err());
    gone("97.762").await;
    assert_eq!(room.run(&id, "echo lives").await, ok("lives\n"));
}

#[tokio::test]
async fn a_flood_is_cut_and_the_session_lives_on() {
    let room = room();
    let id = room.open().await;
    let done = room.try_in(&id, "yes | head -c 30M", 60.0).await.unwrap();
    assert_eq!((done.exit_code, done.truncated), (0, true));
    assert!(done.output.len() <= 1 << 20 && done.output.starts_with("y\ny\n"));
    assert_eq!(room.run(&id, "echo lives").await, ok("lives\n"));
    let (history, _) = room.shells.history(&id, 10, None).await.unwrap();
    assert!(history[0].truncated && history[0].output.len() <= 64 * 1024);
}

#[tokio::test]
async fn folders_and_variables_belong_to_their_session() {
    let room = room();
    let (one, other) = (room.open().await, room.open().await);
    let session = room.shells.session(&one).await.unwrap();
    let root = room.folder.path().canonicalize().unwrap();
    for name in ["with blank's", "-dash"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    session.change_directory(&terminal(), "with blank's", "/path").await.unwrap();
    session.set_variable(&terminal(), "MINE", "a'b\n\"c\" $x").await.unwrap();
    assert_eq!(room.run(&one, "printf %s \"$PWD|$MINE\"").await.1, format!("{}/with blank's|a'b\n\"c\" $x", root.display()));
    assert_eq!(room.run(&other, "printf %s \"$PWD|$MINE\"").await.1, format!("{}|", root.display()));
    let info = room.shells.sessions().into_iter().find(|info| info.session_id == one).unwrap();
    assert_eq!(info.working_directory, root.join("with blank's").to_string_lossy());
    session.change_directory(&terminal(), "../-dash", "/path").await.unwrap();
    assert!(room.run(&one, "pwd").await.1.ends_with("/-dash\n"));
    assert!(session.variables(&terminal()).await.unwrap()["MINE"] == "a'b\n\"c\" $x");
    assert!(!room.shells.session(&other).await.unwrap().variables(&terminal()).await.unwrap().contains_key("MINE"));
    for bad in ["missing", "/etc/hostname", "a\0b"] {
        assert_eq!(session.change_directory(&terminal(), bad, "/path").await.unwrap_err().kind(), Kind::ValidationError, "{bad}");
    }
    for name in ["", "A=B", "1A", "LD_PRELOAD", "BASH_ENV", "PATH", "A\0"] {
        assert_eq!(session.set_variable(&terminal(), name, "x").await.unwrap_err().kind(), Kind::ValidationError, "{name}");
    }
    // What all begin with, from now on.
    room.shells.set_variable("ALL", "yes").unwrap();
    room.shells.change_directory("with blank's").unwrap();
    let third = room.open().await;
    assert!(room.run(&third, "echo $ALL \"$PWD\"").await.1.starts_with("yes /"));
    assert_eq!(room.run(&other, "echo \"$ALL\"").await, ok("\n"));
    let single = room.with("echo $ALL \"${PWD##*/}\"", CommandOptions::default(), &CancellationToken::new()).await.unwrap();
    assert_eq!(single.output, "yes with blank's\n");
    assert!(std::env::var_os("ALL").is_none());
}

#[tokio::test]
async fn there_are_only_so_many_and_none_is_left_behind() {
    let room = room_of(3);
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = files();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(room.open().await);
    }
    let request = ShellSessionRequest::new("more", ShellType::Bash);
    let refused = room.shells.open(terminal(), request, &BTreeMap::new()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::RateLimited);
    room.run(&ids[0], "sleep 97.771 & disown").await;
    room.shells.stop().await;
    gone("97.771").await;
    assert_eq!(room.try_in(&ids[0], "echo", 1.0).await.unwrap_err().kind(), Kind::ServiceUnavailable);
    let single = room.with("echo", CommandOptions::default(), &CancellationToken::new()).await;
    assert_eq!(single.unwrap_err().kind(), Kind::ServiceUnavailable);
    room.shells.start();
    let id = room.open().await;
    assert_eq!(room.run(&id, "echo again").await, ok("again\n"));
    room.shells.close(&id).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while files() > before + 5 {
        assert!(Instant::now() < deadline, "{} files were open, and {} are", before, files());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn other_shells_and_programs_do_not_run_in_it() {
    let room = room();
    let id = room.open().await;
    let options = CommandOptions { session_id: Some(id.clone()), ..CommandOptions::default() };
    for program in [Program::Line { shell: "sh".to_owned(), command: "echo".to_owned() }, Program::Argv(vec!["echo".to_owned()])] {
        let allowed = everything(room.folder.path()).command(program).unwrap();
        let refused = room.shells.run(allowed, options.clone(), &BTreeMap::new(), &CancellationToken::new()).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::ValidationError);
    }
    let powershell = everything(room.folder.path()).command(Program::Terminal { shell: "powershell".to_owned() }).unwrap();
    assert!(room.shells.session(&id).await.unwrap().view(&powershell).is_err());
    let there = CommandOptions { working_directory: Some("/usr".to_owned()), ..options.clone() };
    assert_eq!(room.with("pwd", there, &CancellationToken::new()).await.unwrap().output, "/usr\n");
    let missing = CommandOptions { working_directory: Some("missing".to_owned()), ..options };
    assert_eq!(room.with("pwd", missing, &CancellationToken::new()).await.unwrap_err().kind(), Kind::ValidationError);
}

/// What is printed next.
async fn printed(viewer: &mut Viewer) -> Option<Vec<u8>> {
    loop {
        match viewer.next().await? {
            Seen::Printed(bytes) => return Some(bytes),
            Seen::Standing(_) => {}
        }
    }
}

/// What the terminal shows, until it holds `wanted`.
async fn shows(viewer: &mut Viewer, seen: &mut String, wanted: &str) {
    let looking = async {
        while !seen.contains(wanted) {
            seen.push_str(&String::from_utf8_lossy(&printed(viewer).await.expect("the session goes on")));
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), looking).await.is_ok(), "{wanted:?} is not in {seen:?}");
}

#[tokio::test]
async fn people_and_requests_share_one_shell() {
    let room = room();
    let id = room.open().await;
    let session = room.shells.session(&id).await.unwrap();
    let (mut viewer, mut seen) = (session.view(&terminal()).unwrap(), String::new());
    shows(&mut viewer, &mut seen, "\x1b[?2004h").await;
    // What is sent is seen, as if it had been typed; what makes it run is not.
    assert_eq!(room.run(&id, "MINE=1\necho of $MINE").await, ok("of 1\n"));
    shows(&mut viewer, &mut seen, "MINE=1\r\n> echo of $MINE\r\nof 1\r\n").await;
    session.set_variable(&terminal(), "HIDDEN", "yes").await.unwrap();
    // What is typed is run, seen and put on record.
    session.keys_of(&terminal(), b"MINE=2; echo typed $HIDDEN\r").unwrap();
    shows(&mut viewer, &mut seen, "typed yes\r\n").await;
    assert_eq!(room.run(&id, "echo $MINE").await, ok("2\n"));
    for secret in ["__trae", "HIDDEN=", "133;", "greeting"] {
        assert!(!seen.contains(secret), "{secret} is in {seen:?}");
    }
    let (history, _) = room.shells.history(&id, 10, None).await.unwrap();
    let said: Vec<(&str, &str)> = history.iter().map(|entry| (entry.command.as_str(), entry.output.as_str())).collect();
    assert_eq!(said, [("MINE=1\necho of $MINE", "of 1\n"), ("MINE=2; echo typed $HIDDEN", "typed yes\n"), ("echo $MINE", "2\n")]);
    // Half a line, and half a command, do not get in the way.
    for half in ["rm -rf unfinished", "for i in 1 2; do\r", "echo 'open"] {
        session.keys_of(&terminal(), half.as_bytes()).unwrap();
        assert_eq!(room.run(&id, "echo clean").await, ok("clean\n"), "after {half:?}");
    }
    // What a person runs keeps others waiting, and a person may answer what a request asks.
    session.keys_of(&terminal(), b"sleep 1; echo mine\r").unwrap();
    let late = room.try_in(&id, "echo late", 0.4).await.unwrap();
    assert_eq!((late.exit_code, late.output.as_str()), (124, ""));
    assert_eq!(room.run(&id, "echo then").await, ok("then\n"));
    let (asked, ()) = tokio::join!(room.run(&id, "read -p 'name? ' name; echo hello $name"), async {
        shows(&mut viewer, &mut seen, "name? ").await;
        session.keys_of(&terminal(), b"Ada\r").unwrap();
    });
    assert_eq!(asked, ok("name? Ada\nhello Ada\n"));
    session.resize(&terminal(), 132, 43).unwrap();
    assert_eq!(room.run(&id, "stty size").await, ok("43 132\n"));
    session.keys_of(&terminal(), b"exit 4\r").unwrap();
    while let Some(more) = printed(&mut viewer).await {
        seen.push_str(&String::from_utf8_lossy(&more));
    }
    assert!(session.end_reason().contains("code 4"), "{}", session.end_reason());
}

#[tokio::test]
async fn who_comes_late_sees_what_was_there_and_who_is_slow_holds_nobody_up() {
    let room = room();
    let id = room.open().await;
    let session = room.shells.session(&id).await.unwrap();
    let mut slow = session.view(&terminal()).unwrap();
    room.run(&id, "echo remember me").await;
    let (mut late, mut seen) = (session.view(&terminal()).unwrap(), String::new());
    shows(&mut late, &mut seen, "remember me\r\n").await;
    assert_eq!(room.try_in(&id, "seq 200000", 60.0).await.unwrap().exit_code, 0);
    room.run(&id, "echo the end").await;
    let first = printed(&mut slow).await.unwrap();
    assert!(first.starts_with(b"\x1bc"), "what was missed begins with a reset");
    let mut seen = String::from_utf8_lossy(&first).into_owned();
    shows(&mut slow, &mut seen, "the end\r\n").await;
    assert!(seen.len() <= 300 * 1024, "{}", seen.len());
}

/// A terminal of the test's own, which prints what a viewer sees.
struct Mirror {
    term: alacritty_terminal::Term<alacritty_terminal::event::VoidListener>,
    parser: alacritty_terminal::vte::ansi::Processor,
}

impl Mirror {
    fn new(cols: usize, rows: usize) -> Self {
        let size = alacritty_terminal::term::test::TermSize::new(cols, rows);
        let config = alacritty_terminal::term::Config { scrolling_history: 1000, ..Default::default() };
        Self { term: alacritty_terminal::Term::new(config, &size, alacritty_terminal::event::VoidListener), parser: Default::default() }
    }

    fn lines(&self) -> Vec<String> {
        use alacritty_terminal::grid::Dimensions;
        use alacritty_terminal::index::{Column, Line};
        let grid = self.term.grid();
        let line =
            |line: i32| (0..grid.columns()).map(|column| grid[Line(line)][Column(column)].c).collect::<String>().trim_end().to_owned();
        (-(grid.history_size() as i32)..grid.screen_lines() as i32).map(line).collect()
    }

    /// Prints all that the viewer sees, until its screen holds `wanted`.
    async fn until(&mut self, viewer: &mut Viewer, wanted: &str) {
        let looking = async {
            while !self.lines().join("\n").contains(wanted) {
                let bytes = printed(viewer).await.expect("the session goes on");
                self.parser.advance(&mut self.term, &bytes);
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(15), looking).await;
        assert!(found.is_ok(), "{wanted:?} is not in {:?}", self.lines());
    }
}

#[tokio::test]
async fn who_comes_back_sees_the_same_screen_and_what_went_out_at_its_top() {
    let room = room();
    let id = room.open().await;
    let session = room.shells.session(&id).await.unwrap();
    session.resize(&terminal(), 60, 15).unwrap();
    let (mut stayed, mut first) = (session.view(&terminal()).unwrap(), Mirror::new(60, 15));
    for (keys, wanted) in [
        ("seq 300\r", "\n300\n"),
        ("printf '\\033[31;44mcolour \\033[0m漢字 e\\314\\201\\n\\033[5;20Hplaced\\n'\r", "placed"),
        ("vi -u NONE -N /etc/hostname\r", "\"/etc/hostname\""),
        ("ihello\x1b", "hello"),
        (":q!\r", "placed"),
        ("echo back agai''n\r", "back again"),
    ] {
        session.keys_of(&terminal(), keys.as_bytes()).unwrap();
        first.until(&mut stayed, wanted).await;
        // Somebody comes anew at this very moment.
        let (mut came, mut second) = (session.view(&terminal()).unwrap(), Mirror::new(60, 15));
        second.until(&mut came, wanted).await;
        // Both have seen the same once nothing more comes.
        let still = async {
            loop {
                let more = tokio::select! {
                    bytes = printed(&mut stayed) => { first.parser.advance(&mut first.term, &bytes.unwrap()); true }
                    bytes = printed(&mut came) => { second.parser.advance(&mut second.term, &bytes.unwrap()); true }
                    () = tokio::time::sleep(Duration::from_millis(400)) => false,
                };
                if !more {
                    break;
                }
            }
        };
        still.await;
        assert_eq!(first.lines(), second.lines(), "after {keys:?}");
        assert_eq!(first.term.grid().cursor.point, second.term.grid().cursor.point, "after {keys:?}");
        assert_eq!(first.term.mode(), second.term.mode(), "after {keys:?}");
    }
}

#[tokio::test]
async fn one_types_and_all_see_it() {
    let room = room();
    let id = room.open().await;
    let session = room.shells.session(&id).await.unwrap();
    let size = |cols, rows| TerminalSize { cols, rows };
    let (mut one, mut other) = (session.view(&terminal()).unwrap(), session.view(&terminal()).unwrap());
    let standing = async |viewer: &mut Viewer| loop {
        if let Some(Seen::Standing(standing)) = viewer.next().await {
            return standing;
        }
    };
    assert!(standing(&mut one).await.writer && !standing(&mut other).await.writer);
    other.resize(&terminal(), size(132, 43)).unwrap();
    one.resize(&terminal(), size(100, 30)).unwrap();
    assert_eq!(other.keys(&terminal(), b"echo no\r").unwrap(), Taken::NotYours);
    assert_eq!(one.keys(&terminal(), b"stty size\r").unwrap(), Taken::Taken);
    let mut seen = String::new();
    shows(&mut other, &mut seen, "30 100\r\n").await;
    assert!(!seen.contains("echo no"));
    // The other one takes over, with the size of its window.
    other.take();
    assert_eq!(one.keys(&terminal(), b"x").unwrap(), Taken::NotYours);
    let now = standing(&mut other).await;
    assert!(now.writer && now.viewers == 2, "{now:?}");
    assert_eq!(session.info().size, size(132, 43));
    other.keys(&terminal(), b"stty size\r").unwrap();
    shows(&mut one, &mut seen, "43 132\r\n").await;
    // And goes away: who is left types again.
    drop(other);
    assert_eq!(one.keys(&terminal(), b"stty size\r").unwrap(), Taken::Taken);
    assert_eq!(session.viewers(), 1);
    assert_eq!(session.info().size, size(100, 30));
}

#[tokio::test]
async fn who_pauses_loses_nothing_that_is_kept() {
    let room = room();
    let id = room.open().await;
    let session = room.shells.session(&id).await.unwrap();
    let (mut viewer, mut seen) = (session.view(&terminal()).unwrap(), String::new());
    shows(&mut viewer, &mut seen, "\x1b[?2004h").await;
    viewer.pause(true);
    room.run(&id, "seq 20000").await;
    let quiet = tokio::time::timeout(Duration::from_millis(200), printed(&mut viewer)).await;
    assert!(quiet.is_err(), "who pauses sees nothing");
    viewer.pause(false);
    let mut seen = String::new();
    shows(&mut viewer, &mut seen, "\r\n20000\r\n").await;
    let all: String = (1..=20000).map(|n| format!("{n}\r\n")).collect();
    assert!(seen.contains(&all), "every line, in order");
}

#[tokio::test]
async fn a_program_that_asks_its_terminal_is_answered_where_nobody_looks() {
    let room = room();
    let id = room.open().await;
    let ask = "IFS=';' read -s -t 5 -d R -p $'\\e[6n' row column && echo \"at ${row#*[} $column\"";
    let (code, printed) = room.run(&id, ask).await;
    assert!(code == 0 && printed.contains("at "), "{printed:?}");
    let ask = "read -s -t 5 -d c -p $'\\e[c' answer && printf '%q\\n' \"$answer\"";
    let (code, printed) = room.run(&id, ask).await;
    assert!(code == 0 && printed.contains("[\\?6") || printed.contains("[?6"), "{printed:?}");
}

#[tokio::test]
async fn a_recording_plays_what_was_seen_and_nothing_else() {
    let room = room();
    let mut request = ShellSessionRequest::new("recorded", ShellType::Bash);
    (request.record, request.size) = (Some(true), TerminalSize { cols: 90, rows: 20 });
    let id = room.shells.open(terminal(), request, &BTreeMap::new()).await.unwrap().session_id;
    let session = room.shells.session(&id).await.unwrap();
    assert!(session.record().is_err(), "it is recorded already");
    let ask = "read -s -p 'secret? ' secret; echo got ${#secret}";
    let answering = async {
        while !session.screen(false).text.contains("secret? ") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        session.keys_of(&terminal(), b"hunter2\r").unwrap();
    };
    let (asked, ()) = tokio::join!(room.run(&id, ask), answering);
    assert_eq!(asked, ok("secret? got 7\n"));
    room.run(&id, "printf '\\033[32mgreen\\033[0m \\033]52;c;aGk=\\007\\033]0;mine\\007 \\377 漢字\\n'").await;
    session.resize(&terminal(), 100, 25).unwrap();
    room.run(&id, "echo the end").await;
    session.stop_recording().unwrap();
    assert!(session.stop_recording().is_err(), "it is not recorded any more");
    room.run(&id, "echo unseen").await;
    let text = std::fs::read_to_string(room.shells.recording(&id).await.unwrap()).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let header = lines.next().unwrap();
    assert_eq!((&header["version"], &header["width"], &header["height"]), (&2.into(), &90.into(), &20.into()));
    let (mut last, mut mirror, mut all) = (0.0, Mirror::new(90, 20), String::new());
    for event in lines {
        let (at, code, data) = (event[0].as_f64().unwrap(), event[1].as_str().unwrap(), event[2].as_str().unwrap());
        assert!(at >= last && event.as_array().unwrap().len() == 3, "{event}");
        last = at;
        match code {
            "o" => {
                all.push_str(data);
                mirror.parser.advance(&mut mirror.term, data.as_bytes());
            }
            "r" => {
                assert_eq!(data, "100x25");
                mirror.term.resize(alacritty_terminal::term::test::TermSize::new(100, 25));
            }
            other => panic!("{other}"),
        }
    }
    assert!(all.contains("\x1b[32mgreen") && all.contains("漢字"), "{all:?}");
    for secret in ["hunter2", "\x1b]", "unseen", "__trae", "133;"] {
        assert!(!all.contains(secret), "{secret} is in {all:?}");
    }
    assert!(mirror.lines().join("\n").contains("got 7") && mirror.lines().join("\n").contains("the end"));
    // It is as long as it may be, and no longer.
    session.record().unwrap();
    assert_eq!(room.try_in(&id, "yes 0123456789012345678901234567890123456789 | head -c 25M", 120.0).await.unwrap().exit_code, 0);
    let path = room.shells.recording(&id).await.unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    assert!((15 << 20..=16 << 20).contains(&length), "{length}");
    let text = std::fs::read_to_string(&path).unwrap();
    let end: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(end[1], "m");
    assert_eq!(room.run(&id, "echo lives").await, ok("lives\n"));
}

#[tokio::test]
async fn a_session_that_ended_is_still_there_to_be_read() {
    let room = room();
    let id = room.open().await;
    room.run(&id, "cd /usr").await;
    room.run(&id, "printf '\\033]0;title\\007\\033[31mred\\033[0m\\n'").await;
    assert!(room.shells.past(&id).await.unwrap().end.is_none());
    room.try_in(&id, "exit 5", 10.0).await.unwrap();
    let past = room.shells.past(&id).await.unwrap();
    let end = past.end.clone().unwrap();
    assert_eq!((past.name.as_str(), past.shell.as_str(), end.exit_code), ("test", "bash", Some(5)));
    assert!(end.reason.contains("code 5") && end.screen.contains("\nred\n") && !end.screen.contains('\x1b'), "{end:?}");
    assert_eq!(room.shells.ended(10).await.unwrap(), [past]);
    let (history, _) = room.shells.history(&id, 10, None).await.unwrap();
    assert_eq!((history[1].output.as_str(), history[1].working_directory.as_deref()), ("red\n", Some("/usr")));
}
