//! `tests/script/shell/*.rhai`: sessions as scripts use them, each file a script that has to end well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trae::host::{Host, Outcome, Settings as HostSettings};
use trae::policy::Permissions;
use trae::shell::{Settings, Shells};

use super::{capabilities, job, program};

/// All shells that are there, and a host that runs scripts with them.
fn host() -> (Host, Arc<Shells>) {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut settings = Settings::default();
    for (name, line) in [("sh", "sh -i"), ("zsh", "zsh -f -i"), ("fish", "fish --no-config -i")] {
        settings.terminals.insert(name.to_owned(), words(line));
        settings.shells.insert(name.to_owned(), words(&format!("{name} -c")));
    }
    let shells = Arc::new(Shells::new(settings));
    let capabilities = trae::host::Capabilities { shells: Arc::clone(&shells), ..capabilities() };
    (Host::new(capabilities, HostSettings { runner: env!("CARGO_BIN_EXE_trae").into(), max_runners: 4 }).unwrap(), shells)
}

async fn none_left(shells: &Shells) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !shells.sessions().is_empty() {
        assert!(Instant::now() < deadline, "sessions outlive the run that opened them: {:?}", shells.sessions());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_script_ends_well_and_leaves_no_session() {
    let (host, shells) = host();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/script/shell");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failed = Vec::new();
    for file in files {
        let mut script = program(&std::fs::read_to_string(&file).unwrap());
        script.name = file.file_name().unwrap().to_string_lossy().into_owned();
        script.permissions = Permissions::all();
        let files = tempfile::tempdir().unwrap();
        let (job, _) = job(Arc::new(script), files.path());
        match host.run(job).await {
            Outcome::Succeeded(_) => {}
            other => failed.push(format!("{}: {other:?}", file.display())),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    none_left(&shells).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_needs_its_shell_in_the_manifest_and_stays_where_it_is_kept() {
    let (host, shells) = host();
    let files = tempfile::tempdir().unwrap();
    let run = async |source: &str, shell: &[&str], dry: bool| {
        let mut script = program(source);
        script.permissions = Permissions { shell: shell.iter().map(|name| (*name).to_owned()).collect(), ..Permissions::default() };
        let (mut job, _) = job(Arc::new(script), files.path());
        job.start.mode.dry = dry;
        host.run(job).await
    };
    match run("shell::open(#{ shell: \"zsh\" })", &["bash"], false).await {
        Outcome::Failed(error) => assert_eq!(error.code, trae::error::Kind::PermissionDenied),
        other => panic!("{other:?}"),
    }
    assert!(matches!(run("shell::open(#{ keep: true, name: \"kept\" }).id", &["bash"], false).await, Outcome::Succeeded(_)));
    assert_eq!(shells.sessions()[0].name, "kept");
    // Another run may use it, if it may use its shell, and touch what may be touched in it.
    let id = shells.sessions()[0].session_id.clone();
    let use_it = format!("shell::session(\"{id}\").run(\"echo $((40 + 2))\").output");
    match run(&use_it, &["bash"], false).await {
        Outcome::Succeeded(value) => assert_eq!(value.get(), "\"42\\n\""),
        other => panic!("{other:?}"),
    }
    for source in ["send(\"x\")", "screen()", "wait_for(\"x\")", "close()"] {
        match run(&format!("shell::session(\"{id}\").{source}"), &["zsh"], false).await {
            Outcome::Failed(error) => assert_eq!(error.code, trae::error::Kind::PermissionDenied, "{source}"),
            other => panic!("{other:?}"),
        }
    }
    // A run that only describes opens nothing, and comes to its end.
    let all = "let s = shell::open(); s.send(\"x\\r\"); s.wait_for(\"x\"); s.run(\"rm -rf x\"); s.close();";
    let described = run(all, &["bash"], true).await;
    assert!(matches!(described, Outcome::Succeeded(_)), "{described:?}");
    assert_eq!(shells.sessions().len(), 1);
    shells.close(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_in_a_scripts_session_touches_what_its_manifest_grants() {
    let (host, shells) = host();
    let files = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("secret.txt"), "secret").unwrap();
    let run = async |source: String, write: &[&str], shell: &str| {
        let mut script = program(&source);
        let write = write.iter().map(|glob| (*glob).to_owned()).collect();
        script.permissions = Permissions { shell: vec![shell.to_owned()], write, ..Permissions::default() };
        let (job, _) = job(Arc::new(script), files.path());
        host.run(job).await
    };
    for shell in ["bash", "zsh", "fish", "sh"] {
        let source = format!(
            r#"let s = shell::open(#{{ shell: "{shell}", keep: true, name: "held" }});
            let tried = s.run("cat {0}/secret.txt; touch {0}/new; echo mine > {1}/out/{shell}.txt");
            [tried.output.contains("Permission denied"), s.id]"#,
            elsewhere.path().display(),
            files.path().display()
        );
        let Outcome::Succeeded(value) = run(source, &["out/**"], shell).await else { panic!("{shell}") };
        let (refused, id): (bool, String) = serde_json::from_str(value.get()).unwrap();
        assert!(refused && !elsewhere.path().join("new").exists(), "{shell}");
        assert_eq!(std::fs::read_to_string(files.path().join(format!("out/{shell}.txt"))).unwrap(), "mine\n");
        // Nobody gets through it what was not granted to them.
        match run(format!("shell::session(\"{id}\").run(\"echo more > {}/out/more.txt\")", files.path().display()), &[], shell).await {
            Outcome::Failed(error) => assert!(error.message.contains("may touch more"), "{}", error.message),
            other => panic!("{shell}: {other:?}"),
        }
        assert!(!files.path().join("out/more.txt").exists());
        shells.close(&id).await.unwrap();
    }
    none_left(&shells).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_stops_waiting_and_its_session_ends() {
    let (host, shells) = host();
    let mut script = program("let s = shell::open(); s.wait_for(\"never\", 300)");
    script.permissions = Permissions::all();
    let files = tempfile::tempdir().unwrap();
    let (mut job, _) = job(Arc::new(script), files.path());
    let cancel = CancellationToken::new();
    job.cancel = cancel.clone();
    let stop = async {
        while shells.sessions().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
        Instant::now()
    };
    let (outcome, stopped) = tokio::join!(host.run(job), stop);
    assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
    assert!(stopped.elapsed() < Duration::from_secs(10), "a wait of 300 s is given up at once");
    none_left(&shells).await;
}
