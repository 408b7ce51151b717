//! Commands that behave, and commands that do not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trae::error::{Classify, Kind};
use trae::policy::Program;
use trae::shell::{CommandOptions, CommandOutput, Error, Settings, Shells};

use super::everything;

fn shells(directory: &Path) -> Shells {
    let line = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let shells = BTreeMap::from([
        ("bash".to_owned(), line(&["bash", "-c"])),
        ("powershell".to_owned(), line(&["pwsh-that-is-not-here", "-Command"])),
    ]);
    Shells::new(Settings { shells, directory: directory.to_owned(), ..Settings::default() })
}

async fn run_with(program: Program, options: CommandOptions, cancel: &CancellationToken) -> Result<CommandOutput, Error> {
    let folder = tempfile::tempdir().unwrap();
    let command = everything(folder.path()).command(program).unwrap();
    shells(folder.path()).run(command, options, &BTreeMap::new(), cancel).await
}

async fn bash_with(command: &str, options: CommandOptions) -> Result<CommandOutput, Error> {
    let program = Program::Line { shell: "bash".to_owned(), command: command.to_owned() };
    run_with(program, options, &CancellationToken::new()).await
}

async fn bash(command: &str) -> CommandOutput {
    bash_with(command, CommandOptions::default()).await.unwrap()
}

/// How many processes have `mark` on their command line.
pub fn alive(mark: &str) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| line.contains(mark))
        .count()
}

pub async fn gone(mark: &str) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while alive(mark) > 0 {
        assert!(Instant::now() < deadline, "{mark} is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn output_error_and_exit_code_come_back() {
    let done = bash("echo out; echo err >&2; exit 3").await;
    assert_eq!((done.exit_code, done.output.as_str(), done.error.as_str()), (3, "out\n", "err\n"));
    assert!(!done.timed_out && !done.truncated);
    assert_eq!(bash("kill -TERM $$").await.exit_code, 128 + 15);
    assert_eq!(bash("printf '\\xff\\xfeok'").await.output, "\u{fffd}\u{fffd}ok");
}

#[tokio::test]
async fn arguments_without_a_shell_are_taken_as_they_are() {
    let argv = ["printf", "%s|", "$(touch C)", ";touch C", "a\nb", "*", "ä €"].map(str::to_owned).to_vec();
    let done = run_with(Program::Argv(argv), CommandOptions::default(), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.output, "$(touch C)|;touch C|a\nb|*|ä €|");
}

#[tokio::test]
async fn a_time_out_ends_everything_and_keeps_what_was_printed() {
    let options = CommandOptions { timeout: 1.0, ..CommandOptions::default() };
    let started = Instant::now();
    let done = bash_with("echo so far; sleep 99.731 & setsid sleep 99.731 & sleep 99.731", options).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!((done.exit_code, done.timed_out, done.output.as_str()), (124, true, "so far\n"));
    gone("99.731").await;
}

#[tokio::test]
async fn a_cancel_ends_everything_at_once() {
    let cancel = CancellationToken::new();
    let program = Program::Line { shell: "bash".to_owned(), command: "trap '' TERM; sleep 99.732 & sleep 99.732".to_owned() };
    let (ended, at) = tokio::join!(async { (run_with(program, CommandOptions::default(), &cancel).await, Instant::now()) }, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
        Instant::now()
    });
    assert!(matches!(ended.0, Err(Error::Cancelled)));
    assert!(ended.1 - at < Duration::from_secs(1));
    gone("99.732").await;
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_nothing_behind() {
    let waited = tokio::time::timeout(Duration::from_millis(300), bash("sleep 99.733 & sleep 99.733")).await;
    assert!(waited.is_err());
    gone("99.733").await;
}

#[tokio::test]
async fn a_child_in_the_background_holds_nobody_up_and_lives_on() {
    let started = Instant::now();
    let done = bash("echo first; sleep 5.734 & exit 7").await;
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!((done.exit_code, done.output.as_str(), done.timed_out), (7, "first\n", false));
    assert_eq!(alive("5.734"), 1);
}

#[tokio::test]
async fn a_flood_is_cut_and_does_not_block() {
    let done = bash("yes | head -c 200M; echo end >&2").await;
    assert_eq!((done.exit_code, done.output.len(), done.truncated, done.error.as_str()), (0, 1024 * 1024, true, "end\n"));
    let exact = bash("head -c 1048576 /dev/zero | tr '\\0' x").await;
    assert!(!exact.truncated && exact.output.len() == 1024 * 1024);
}

#[tokio::test]
async fn input_is_given_or_nothing() {
    let options = CommandOptions { stdin: Some("häl\nlo".to_owned()), ..CommandOptions::default() };
    assert_eq!(bash_with("cat", options).await.unwrap().output, "häl\nlo");
    assert_eq!(bash("cat").await.output, "");
    let ignored = CommandOptions { stdin: Some("x".repeat(4_000_000)), ..CommandOptions::default() };
    assert_eq!(bash_with("exec 0<&-; echo done", ignored).await.unwrap().output, "done\n");
    let through = CommandOptions { stdin: Some("y".repeat(500_000)), ..CommandOptions::default() };
    assert_eq!(bash_with("cat | wc -c", through).await.unwrap().output.trim(), "500000");
}

#[tokio::test]
async fn folders_and_variables_reach_the_command() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    let command = everything(folder.path())
        .command(Program::Line { shell: "bash".to_owned(), command: "echo \"${PWD##*/} $DISPLAY $MINE\"".to_owned() })
        .unwrap();
    let options = CommandOptions {
        working_directory: Some("inner".to_owned()),
        env: BTreeMap::from([("MINE".to_owned(), "a b".to_owned())]),
        ..CommandOptions::default()
    };
    let extra = BTreeMap::from([("DISPLAY".to_owned(), ":77".to_owned())]);
    let done = shells(folder.path()).run(command, options, &extra, &CancellationToken::new()).await.unwrap();
    assert_eq!(done.output, "inner :77 a b\n");
}

#[tokio::test]
async fn bad_options_start_nothing() {
    let with = |change: fn(&mut CommandOptions)| {
        let mut options = CommandOptions::default();
        change(&mut options);
        options
    };
    for options in [
        with(|o| o.timeout = 0.0),
        with(|o| o.timeout = -1.0),
        with(|o| o.timeout = 301.0),
        with(|o| o.timeout = f64::NAN),
        with(|o| o.timeout = f64::INFINITY),
        with(|o| o.working_directory = Some("missing".to_owned())),
        with(|o| o.working_directory = Some("/etc/hostname".to_owned())),
        with(|o| o.working_directory = Some("a\0b".to_owned())),
        with(|o| o.env = BTreeMap::from([("LD_PRELOAD".to_owned(), "x".to_owned())])),
        with(|o| o.env = BTreeMap::from([("A".to_owned(), "a\0".to_owned())])),
    ] {
        assert_eq!(bash_with("echo no", options.clone()).await.unwrap_err().kind(), Kind::ValidationError, "{options:?}");
    }
}

#[tokio::test]
async fn what_is_not_installed_is_named() {
    let shell = |name: &str| Program::Line { shell: name.to_owned(), command: "1".to_owned() };
    let error = run_with(shell("powershell"), CommandOptions::default(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ServiceUnavailable);
    assert_eq!(error.details().unwrap()["service"], "shell");
    let error = run_with(shell("zsh"), CommandOptions::default(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ValidationError);
    assert!(error.to_string().contains("bash"), "{error}");
    let argv = Program::Argv(vec!["no-such-program".to_owned()]);
    let error = run_with(argv, CommandOptions::default(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ServiceUnavailable);
}
