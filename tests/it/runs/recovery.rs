//! What is left when a process is killed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;
use trae::host::Outcome;
use trae::host::protocol::{Record, StepInput};
use trae::runs::{Execute, Recovered, RunFilter, RunStatus, StepStatus};
use trae::store::Store;

use super::fakes::{FakeRunner, begun, chain, done, null, runs_on};

const DATABASE: &str = "TRAE_TEST_DATABASE";

/// Not a test of its own: the process that the next test kills.
#[tokio::test]
#[ignore = "started by the test below"]
async fn victim() {
    let Ok(path) = std::env::var(DATABASE) else { return };
    let runner = FakeRunner::new(|job| async move {
        for index in 0..20 {
            job.journal.record(done(&format!("s[{index}]"), StepInput::None, &json!(index), 1));
        }
        job.journal.record(Record::StepStarted(begun("last", StepInput::None, 2)));
        job.journal.durable().await.unwrap();
        println!("\nacknowledged {}", job.start.run_id);
        std::future::pending().await
    });
    let runs = runs_on(Store::open(path.as_ref()).unwrap(), runner);
    loop {
        drop(runs.execute_graph(&chain(&["s", "last"]), Execute::default()).await);
    }
}

#[tokio::test]
async fn after_a_kill_all_that_was_acknowledged_is_there_and_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "runs::recovery::victim", "--nocapture"])
        .env(DATABASE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged: Vec<String> =
        lines.filter_map(|line| Some(line.unwrap().strip_prefix("acknowledged ")?.to_owned())).take(40).collect();
    assert_eq!(acknowledged.len(), 40);

    // While its process lives, nobody touches a run.
    let store = Store::open(&path).unwrap();
    let runs = runs_on(store, FakeRunner::new(|_| async { Outcome::Succeeded(null()) }));
    assert_eq!(runs.recover().await.unwrap(), Recovered::default());
    child.kill().unwrap();
    child.wait().unwrap();

    let recovered = runs.recover().await.unwrap();
    for run_id in &acknowledged {
        assert!(recovered.interrupted.contains(run_id));
        let run = runs.get(run_id).await.unwrap().unwrap();
        assert_eq!(run.status, RunStatus::Interrupted);
        assert!(run.error.unwrap().message.contains("one step was under way"));
        assert_eq!(run.steps.len(), 21);
        assert!(run.steps[..20].iter().all(|step| step.status == StepStatus::Succeeded && step.output.is_some()));
        assert_eq!(run.steps[20].status, StepStatus::Interrupted);
        let events = futures_util::StreamExt::collect::<Vec<_>>(runs.subscribe(run_id, 0).await.unwrap()).await;
        assert!(events.iter().enumerate().all(|(index, event)| event.event_id == index as u64 + 1));
        assert!(events.last().unwrap().is_last());
    }
    assert_eq!(runs.recover().await.unwrap(), Recovered::default());
    let open = runs.list(RunFilter { statuses: vec![RunStatus::Running], ..RunFilter::default() }).await.unwrap();
    assert_eq!(open.count, 0);
}
