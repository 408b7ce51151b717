//! What stays on record and for how long, large values, and finding runs again.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use trae::error::Kind;
use trae::host::Outcome;
use trae::host::protocol::{Record, StepInput};
use trae::runs::{Execute, RunFile, RunFilter, RunStatus, Runs, Settings, Timestamp};
use trae::store::{Apart, Store};

use super::fakes::{FakeLibrary, FakeRunner, begun, chain, done, failed, json_text, log, null, runs_on, settings, succeeded};

fn kept_at(store: Store, runner: std::sync::Arc<FakeRunner>, settings: Settings) -> Runs {
    Runs::new(store, runner, std::sync::Arc::new(FakeLibrary::default()), settings)
}

/// The files beside the database, by name.
fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for place in std::fs::read_dir(folder.join("runs")).into_iter().flatten() {
        names.extend(std::fs::read_dir(place.unwrap().path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()));
    }
    names.sort();
    names
}

fn large(letter: &str) -> Value {
    json!(letter.repeat(100_000))
}

#[tokio::test]
async fn a_large_value_lies_in_a_file_and_is_read_as_if_it_did_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let runner = FakeRunner::new(|job| async move {
        job.journal.record(done("a", StepInput::Value(json_text(&large("i"))), &large("o"), 1));
        job.journal.record(Record::StepStarted(begun("b", StepInput::OutputOf("a".to_owned()), 2)));
        job.journal.record(done("b", StepInput::None, &large("o"), 2));
        succeeded(&large("r"))
    });
    let runs = runs_on(Store::open(&path).unwrap(), runner.clone());
    let execute = Execute { parameters: json_text(&json!({ "p": large("p") })), ..Execute::default() };
    let run = runs.execute_graph(&chain(&["a", "b"]), execute).await.unwrap().finished().await;
    let all = |run: &trae::runs::Run| {
        assert_eq!(run.steps[0].input.as_ref().unwrap().get(), large("i").to_string());
        assert_eq!(run.steps[1].input.as_ref().unwrap().get(), large("o").to_string());
        assert_eq!(run.steps[1].output.as_ref().unwrap().get(), large("o").to_string());
        assert_eq!(run.result.as_ref().unwrap().get(), large("r").to_string());
        assert_eq!(run.parameters.get(), json!({ "p": large("p") }).to_string());
    };
    all(&run);
    all(&runs.get(&run.run_id).await.unwrap().unwrap());
    assert_eq!(files(folder.path()).len(), 4, "what is the same is kept once: {:?}", files(folder.path()));

    // In a list it is named, and read from there.
    let listed = &runs.list(RunFilter::default()).await.unwrap().runs[0];
    let shown: Value = serde_json::from_str(listed.result.as_ref().unwrap().get()).unwrap();
    let sha256 = shown["sha256"].as_str().unwrap();
    assert_eq!((&shown["$ref"], &shown["bytes"]), (&json!(format!("/api/runs/{}/values/{sha256}", run.run_id)), &json!(100_002)));
    let Some(RunFile::Value(bytes)) = runs.file(&run.run_id, sha256).await.unwrap() else { panic!("no value") };
    assert_eq!(bytes, large("r").to_string().as_bytes());
    for stranger in [sha256.replace(|_: char| true, "0"), "../../trae.db".to_owned(), String::new()] {
        assert!(runs.file(&run.run_id, &stranger).await.unwrap().is_none(), "{stranger}");
    }
    drop(runs);

    // Another process finds everything, for a reader and for whoever goes on with the run.
    let store = Store::open(&path).unwrap();
    let whole = store.whole_run(&run.run_id, -1).await.unwrap().unwrap();
    assert_eq!(whole.steps[1].output.as_ref().unwrap().get(), large("o").to_string());
    let runs = runs_on(store.clone(), runner);
    all(&runs.get(&run.run_id).await.unwrap().unwrap());
    let events: Vec<_> = runs.subscribe(&run.run_id, 0).await.unwrap().map(|event| serde_json::to_value(event).unwrap()).collect().await;
    assert_eq!(events[2]["output"], large("o"));

    // A file that is gone is named all the same; whoever would go on with the run is told.
    let lost = files(folder.path()).into_iter().map(|name| folder.path().join("runs").join(&name[..2]).join(name));
    lost.for_each(|file| std::fs::remove_file(file).unwrap());
    let run = runs.get(&run.run_id).await.unwrap().unwrap();
    assert!(run.result.unwrap().get().contains("$ref"));
    assert!(store.whole_run(&run.run_id, -1).await.unwrap_err().to_string().contains("gone with its file"));
}

#[tokio::test]
async fn of_very_much_the_record_names_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let runner = FakeRunner::new(|job| async move {
        for index in 0..8 {
            job.journal.record(done(&format!("s[{index}]"), StepInput::None, &json!(index.to_string().repeat(1 << 20)), 1));
        }
        Outcome::Succeeded(null())
    });
    let runs = runs_on(Store::open(&folder.path().join("trae.db")).unwrap(), runner);
    let mut ticket = runs.execute_graph(&chain(&["s"]), Execute::default()).await.unwrap();
    ticket.ended().await;
    let run = runs.get(&ticket.run_id).await.unwrap().unwrap();
    let shown: Vec<_> = run.steps.iter().map(|step| step.output.as_ref().unwrap().get().starts_with("{\"$ref\"")).collect();
    assert_eq!(shown, [false, false, false, true, true, true, true, true]);
}

#[tokio::test]
async fn a_value_that_looks_like_a_stand_in_is_only_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let victim = FakeRunner::new(|_| async { succeeded(&large("s")) });
    let store = Store::open(&folder.path().join("trae.db")).unwrap();
    let runs = runs_on(store.clone(), victim);
    let secret = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap().finished().await;
    let name = files(folder.path())[0].split('.').next().unwrap().to_owned();
    let forged = format!(r#"{{"$trae_file":"{name}","bytes":100002}}"#);
    assert!(Apart::of(&serde_json::value::RawValue::from_string(forged.clone()).unwrap()).is_some());
    let thief = FakeRunner::new(move |_| {
        let forged = forged.clone();
        async move { Outcome::Succeeded(serde_json::value::RawValue::from_string(forged).unwrap()) }
    });
    let runs = runs_on(store, thief);
    let stolen = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap().finished().await;
    assert!(stolen.result.as_ref().unwrap().get().starts_with("{\"$trae_file\""));
    let stolen = runs.get(&stolen.run_id).await.unwrap().unwrap();
    assert!(stolen.result.as_ref().unwrap().get().starts_with("{\"$trae_file\""), "it read another run's value");
    assert!(runs.file(&stolen.run_id, &name).await.unwrap().is_none(), "it reads another run's file");
    assert!(runs.file(&secret.run_id, &name).await.unwrap().is_some());
}

#[tokio::test]
async fn files_of_no_run_go_and_those_of_runs_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let runner = FakeRunner::new(|_| async { succeeded(&large("r")) });
    let store = Store::open(&path).unwrap();
    let runs = runs_on(store.clone(), runner);
    runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap().ended().await;
    let [kept] = &files(folder.path())[..] else { panic!("one value, one file") };
    let place = folder.path().join("runs/ab");
    std::fs::create_dir_all(&place).unwrap();
    let orphan = format!("ab{}", "0".repeat(62));
    for name in [format!("{orphan}.json"), format!("{orphan}.jpg"), format!(".new-{orphan}"), "notes.txt".to_owned()] {
        std::fs::write(place.join(name), "left by a crash").unwrap();
    }
    assert_eq!(store.sweep_files().await.unwrap(), 3);
    let mut left = vec![kept.clone(), "notes.txt".to_owned()];
    left.sort();
    assert_eq!(files(folder.path()), left);
}

/// Runs of one source each that end at once; the source `hangs` does not.
fn some() -> std::sync::Arc<FakeRunner> {
    FakeRunner::new(|job| async move {
        if job.program.source.contains("hangs") {
            job.cancel.cancelled().await;
            return Outcome::Cancelled;
        }
        job.journal.record(done("a", StepInput::None, &json!(job.program.source.repeat(70_000)), 1));
        Outcome::Succeeded(null())
    })
}

#[tokio::test]
async fn of_too_many_runs_the_oldest_go_with_all_that_only_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("trae.db")).unwrap();
    let runs = kept_at(store.clone(), some(), Settings { kept: Some(3), kept_for: None, ..settings() });
    let open = runs.execute_source("hangs.rhai", "hangs", Execute::default()).await.unwrap();
    let mut ids = Vec::new();
    for source in ["only the first", "shared", "2", "3", "shared"] {
        let mut ticket = runs.execute_source("s.rhai", source, Execute::default()).await.unwrap();
        ticket.ended().await;
        ids.push(ticket.run_id);
    }
    assert_eq!(files(folder.path()).len(), 4);
    let search = |text: &str| RunFilter { search: Some(text.to_owned()), ..RunFilter::default() };
    assert_eq!(runs.list(search(&ids[0])).await.unwrap().count, 1);
    assert_eq!(runs.remove_old().await.unwrap(), 2);
    assert_eq!(runs.remove_old().await.unwrap(), 0);
    for (id, there) in ids.iter().zip([false, false, true, true, true]) {
        assert_eq!(runs.get(id).await.unwrap().is_some(), there, "{id}");
    }
    assert_eq!(runs.list(search(&ids[0])).await.unwrap().count, 0);
    assert_eq!(files(folder.path()).len(), 3, "what another run has as well stays");
    assert_eq!(runs.get(&open.run_id).await.unwrap().unwrap().status, RunStatus::Running, "one that goes on stays");

    let suspects = store.sweep_programs(&Default::default()).await.unwrap();
    assert_eq!(suspects.len(), 1);
    assert!(store.sweep_programs(&suspects).await.unwrap().is_empty());
    assert!(store.program(&ids[4]).await.unwrap().unwrap().contains("shared"));
    runs.shutdown().await;
}

#[tokio::test]
async fn runs_that_ended_long_ago_go() {
    let store = Store::in_memory().unwrap();
    let runs = kept_at(store.clone(), some(), Settings { kept_for: Some(Duration::from_secs(3600)), kept: None, ..settings() });
    let mut ticket = runs.execute_source("s.rhai", "s", Execute::default()).await.unwrap();
    ticket.ended().await;
    assert_eq!(runs.remove_old().await.unwrap(), 0);
    let runs = kept_at(store.clone(), some(), Settings { kept_for: Some(Duration::ZERO), kept: None, ..settings() });
    assert_eq!(runs.remove_old().await.unwrap(), 1);
    assert!(runs.get(&ticket.run_id).await.unwrap().is_none());
    let runs = kept_at(store, some(), Settings { kept_for: None, kept: None, ..settings() });
    runs.execute_source("s.rhai", "s", Execute::default()).await.unwrap().ended().await;
    assert_eq!(runs.remove_old().await.unwrap(), 0);
}

#[tokio::test]
async fn runs_are_found_by_what_started_them_when_and_the_words_in_them() {
    let runner = FakeRunner::new(|job| async move {
        job.journal.record(log(&format!("looked at {}", job.program.name), 1));
        if job.program.source.contains("bad") { failed("the Straße was lost\nbeyond repair") } else { succeeded(&json!({ "total": 42 })) }
    });
    let runs = runs_on(Store::in_memory().unwrap(), runner);
    let mut ids = Vec::new();
    let started = [("good", "manual", "{}"), ("bad", "webhook:orders", "{\"customer\":\"Ada O'Hara\"}"), ("good", "webhook:other", "{}")];
    for (source, trigger, parameters) in started {
        let parameters = serde_json::from_str(parameters).unwrap();
        let execute = Execute { trigger: trigger.to_owned(), parameters, ..Execute::default() };
        let mut ticket = runs.execute_source(&format!("{source}.rhai"), source, execute).await.unwrap();
        ticket.ended().await;
        ids.push(ticket.run_id);
    }
    let graph = Execute { trigger: "webhooks".to_owned(), ..Execute::default() };
    let mut ticket = runs.execute_graph(&chain(&["a"]), graph).await.unwrap();
    ticket.ended().await;
    ids.push(ticket.run_id);
    let found = async |filter: RunFilter| {
        let page = runs.list(filter).await.unwrap();
        assert_eq!(page.count, page.runs.len() as u64);
        page.runs.iter().map(|run| ids.iter().position(|id| *id == run.run_id).unwrap()).collect::<Vec<_>>()
    };
    let all = RunFilter::default;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found(RunFilter { trigger: text("webhook"), ..all() }).await, [2, 1]);
    assert_eq!(found(RunFilter { trigger: text("webhook:orders"), ..all() }).await, [1]);
    assert_eq!(found(RunFilter { trigger: text("web"), ..all() }).await, [0_usize; 0]);
    assert_eq!(found(RunFilter { kind: text("workflow"), ..all() }).await, [3]);
    assert_eq!(found(RunFilter { kind: text("script"), script: text("good.rhai"), ..all() }).await, [2, 0]);
    let both = vec![RunStatus::Failed, RunStatus::Succeeded];
    assert_eq!(found(RunFilter { statuses: both.clone(), kind: text("script"), ..all() }).await, [2, 1, 0]);
    assert_eq!(found(RunFilter { statuses: both, limit: Some(500), ..all() }).await, [3, 2, 1, 0]);
    for (words, wanted) in [
        ("strasse", vec![]),
        ("straße LOST", vec![1]),
        ("beyond", vec![1]),
        ("O'Hara ada", vec![1]),
        ("looked rhai", vec![2, 1, 0]),
        ("42", vec![3, 2, 0]),
        ("tot* 4*", vec![3, 2, 0]),
        ("tot 42", vec![]),
        ("nowhere", vec![]),
        ("\"' XOR *", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(found(RunFilter { search: text(words), ..all() }).await, wanted, "{words:?}");
    }
    assert_eq!(found(RunFilter { search: text(&ids[2]), ..all() }).await, [2]);
    assert_eq!(found(RunFilter { search: text("42"), kind: text("script"), trigger: text("manual"), ..all() }).await, [0]);
    let second = runs.get(&ids[1]).await.unwrap().unwrap().created_at;
    let next = Timestamp(second.0 + 1);
    assert_eq!(found(RunFilter { since: Some(second), ..all() }).await, [3, 2, 1]);
    assert_eq!(found(RunFilter { until: Some(second), ..all() }).await, [0]);
    assert_eq!(found(RunFilter { since: Some(second), until: Some(next), statuses: vec![RunStatus::Failed], ..all() }).await, [1]);
    let page = runs.list(RunFilter { search: text("rhai"), before: Some(ids[2].clone()), limit: Some(1), ..all() }).await.unwrap();
    assert_eq!((page.count, page.runs.len(), &page.runs[0].run_id), (3, 1, &ids[1]));
    assert_eq!(runs.list(RunFilter { before: text("nobody"), ..all() }).await.unwrap_err().code, Kind::NotFound);
}

#[tokio::test]
async fn a_run_becomes_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let runner = FakeRunner::new(|job| async move {
        job.journal.record(done("a", StepInput::None, &large("o"), 1));
        succeeded(&json!("small"))
    });
    let runs = runs_on(Store::open(&folder.path().join("trae.db")).unwrap(), runner);
    let mut ticket = runs.execute_source("s.rhai", "the source", Execute::default()).await.unwrap();
    ticket.ended().await;
    assert!(runs.export("nobody").await.unwrap().is_none());
    let export = runs.export(&ticket.run_id).await.unwrap().unwrap();
    let to = folder.path().join("out");
    export.write_folder(&to).unwrap();
    let read = |name: &str| std::fs::read_to_string(to.join(name)).unwrap();
    let run: Value = serde_json::from_str(&read("run.json")).unwrap();
    assert_eq!((&run["run_id"], &run["result"]), (&json!(ticket.run_id), &json!("small")));
    assert_eq!(read(run["steps"][0]["output"]["$ref"].as_str().unwrap()), large("o").to_string());
    let events: Vec<Value> = read("events.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["type"], "run_finished");
    assert_eq!(read("script.rhai"), "the source");
}

#[tokio::test]
async fn a_run_that_is_done_again_has_the_large_values_of_the_first_also_once_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("trae.db")).unwrap();
    let runner = FakeRunner::new(|job| async move {
        if job.start.past.steps.is_empty() {
            job.journal.record(done("a", StepInput::None, &large("o"), 1));
            return failed("the first time");
        }
        succeeded(&json!("the second time"))
    });
    let runs = kept_at(store, runner, Settings { kept: Some(1), kept_for: None, ..settings() });
    runs.workflows().create(trae::workflow::Graph { id: Some("w".to_owned()), ..chain(&["a", "b"]) }).await.unwrap();
    let mut first = runs.execute_workflow("w", Execute::default()).await.unwrap();
    first.ended().await;
    let mut second = runs.retry(&first.run_id, trae::runs::Retry::default()).await.unwrap();
    second.ended().await;
    assert_eq!(runs.remove_old().await.unwrap(), 1);
    assert!(runs.get(&first.run_id).await.unwrap().is_none());
    let run = runs.get(&second.run_id).await.unwrap().unwrap();
    assert_eq!((run.status, run.steps[0].output.as_ref().unwrap().get()), (RunStatus::Succeeded, large("o").to_string().as_str()));
}

const DATABASE: &str = "TRAE_TEST_LARGE";

/// Not a test of its own: the process that the next test kills.
#[tokio::test]
#[ignore = "started by the test below"]
async fn victim() {
    let Ok(path) = std::env::var(DATABASE) else { return };
    let runner = FakeRunner::new(|job| async move {
        for index in 0.. {
            job.journal.record(done(&format!("s[{index}]"), StepInput::None, &json!(format!("{index} ").repeat(40_000)), 1));
            job.journal.durable().await.unwrap();
            println!("\nacknowledged {} {index}", job.start.run_id);
        }
        Outcome::Cancelled
    });
    let runs = runs_on(Store::open(path.as_ref()).unwrap(), runner);
    runs.execute_graph(&chain(&["s"]), Execute::default()).await.unwrap().ended().await;
}

#[tokio::test]
async fn after_a_kill_every_large_value_that_was_acknowledged_is_whole_and_no_file_is_left_over() {
    use std::io::BufRead;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    for round in 1..=3_usize {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "runs::kept::victim", "--nocapture"])
            .env(DATABASE, &path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = lines.filter_map(|line| Some(line.unwrap().strip_prefix("acknowledged ")?.to_owned())).take(5 * round).last();
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = acknowledged.unwrap();
        let (run_id, last) = acknowledged.split_once(' ').unwrap();
        let store = Store::open(&path).unwrap();
        let whole = store.whole_run(run_id, -1).await.unwrap().unwrap();
        assert!(whole.steps.len() > last.parse::<usize>().unwrap());
        for (index, step) in whole.steps.iter().enumerate() {
            assert_eq!(step.output.as_ref().unwrap().get(), json!(format!("{index} ").repeat(40_000)).to_string());
        }
        store.sweep_files().await.unwrap();
        let referred = store.run_files(run_id).await.unwrap();
        assert!(files(folder.path()).len() >= referred.len() && referred.iter().all(|file| file.path.exists()));
        assert!(files(folder.path()).iter().all(|name| !name.starts_with(".new-")));
    }
}
