//! The database file: refused, full, shared by many writers.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use trae::error::{Classify, Kind};
use trae::host::Outcome;
use trae::host::protocol::StepInput;
use trae::runs::{Execute, RunFilter, RunStatus};
use trae::store::{Error, Store};

use super::fakes::{FakeRunner, chain, done, null, runs_on, succeeded};

fn refused(path: &Path) -> Error {
    let before = std::fs::read(path).unwrap();
    let error = Store::open(path).err().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was changed");
    error
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    std::fs::write(&path, "this is not a database, but a letter to my bank. ".repeat(100)).unwrap();
    let error = refused(&path);
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("restore it from a backup"));
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let store = Store::open(&path).unwrap();
    let runs = runs_on(store.clone(), FakeRunner::new(|_| async { Outcome::Succeeded(null()) }));
    for _ in 0..50 {
        runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap().ended().await;
    }
    store.close();
    drop((store, runs));
    let mut bytes = std::fs::read(&path).unwrap();
    let whole = bytes.clone();
    bytes[4096..].iter_mut().step_by(3).for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(refused(&path), Error::Corrupt { .. }));
    std::fs::write(&path, &whole[..4096 * 3]).unwrap();
    assert!(matches!(refused(&path), Error::Corrupt { .. }));
    std::fs::write(&path, whole).unwrap();
    Store::open(&path).unwrap();
}

/// More than is looked through before the first write.
#[tokio::test]
async fn a_large_damaged_database_is_refused_at_first_sight_or_written_to_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let runner = || {
        FakeRunner::new(|job| async move {
            for index in 0..200 {
                job.journal.record(done(&format!("s[{index}]"), StepInput::None, &json!("x".repeat(60_000)), 1));
            }
            Outcome::Succeeded(null())
        })
    };
    let store = Store::open(&path).unwrap();
    runs_on(store.clone(), runner()).execute_graph(&chain(&["s"]), Execute::default()).await.unwrap().ended().await;
    let end = tokio_util::sync::CancellationToken::new();
    store.examine(&end).await.unwrap();
    store.close();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    assert!(whole.len() > 10 << 20);

    std::fs::write(&path, &whole[..9 << 20]).unwrap();
    assert!(matches!(refused(&path), Error::Corrupt { .. }));
    // Somewhere in the middle: found only by looking through all of it.
    let mut hurt = whole.clone();
    hurt[6 << 20..(6 << 20) + 400_000].fill(0xa5);
    std::fs::write(&path, &hurt).unwrap();
    let store = Store::open(&path).unwrap();
    let error = store.examine(&end).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }) && error.to_string().contains("restore it from a backup"), "{error}");
    assert_eq!(store.failing().unwrap().to_string(), error.to_string());
    let refused = runs_on(store.clone(), runner()).execute_graph(&chain(&["s"]), Execute::default()).await.err().unwrap();
    assert!(refused.message.contains("restore it from a backup"), "{refused}");
    store.close();
    drop(store);
    assert!(std::fs::read(&path).unwrap() == hurt, "the file was changed");
}

#[tokio::test]
async fn a_newer_or_foreign_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    for (version, application, words) in [(99, 0x5452_4145, "newer TRAE"), (1, 7, "another program")] {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!(
                "CREATE TABLE IF NOT EXISTS t (x); PRAGMA user_version = {version}; PRAGMA application_id = {application};"
            ))
            .unwrap();
        drop(connection);
        assert!(refused(&path).to_string().contains(words));
    }
    let nowhere = Store::open(&folder.path().join("no/such/folder/trae.db")).err().unwrap();
    assert!(matches!(nowhere, Error::Open { .. }), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_runs_write_at_once_and_all_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let runner = FakeRunner::new(|job| async move {
        for index in 0..50 {
            job.journal.record(done(&format!("s[{index}]"), StepInput::None, &json!(index), index));
            if index % 10 == 0 {
                job.journal.durable().await.unwrap();
            }
        }
        succeeded(&json!(50))
    });
    let store = Store::open(&path).unwrap();
    let runs = runs_on(store.clone(), runner.clone());
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let runs = runs.clone();
            tokio::spawn(async move { runs.execute_graph(&chain(&["s"]), Execute::default()).await.unwrap().finished().await })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        let run = task.await.unwrap();
        assert_eq!((run.status, run.steps.len()), (RunStatus::Succeeded, 50));
        ids.push(run.run_id);
    }
    store.close();
    assert!(matches!(store.durable().await, Err(Error::Closed)));
    drop((runs, store));
    // The last of its threads that lets go of it tidies up.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while path.with_extension("db-wal").exists() {
        assert!(std::time::Instant::now() < deadline, "the write-ahead log was not tidied away");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let runs = runs_on(Store::open(&path).unwrap(), runner);
    assert_eq!(runs.list(RunFilter::default()).await.unwrap().count, 100);
    for id in ids {
        assert_eq!(runs.get(&id).await.unwrap().unwrap().steps.len(), 50);
    }
}

/// A file system of 2 MiB, where this process may mount one.
pub struct Small(pub tempfile::TempDir);

impl Small {
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path()).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[tokio::test]
async fn a_full_disk_fails_runs_loses_nothing_and_is_left_behind_when_there_is_room() {
    let Some(disk) = Small::new() else {
        eprintln!("SKIPPED: this process may not mount a small file system, so a full disk was not tried");
        return;
    };
    let path = disk.0.path().join("trae.db");
    let filler = disk.0.path().join("filler");
    let runner = FakeRunner::new(|job| async move {
        job.journal.record(done("a", StepInput::None, &json!("x".repeat(100_000)), 1));
        match job.journal.durable().await {
            Ok(()) => succeeded(&json!(1)),
            Err(failure) => Outcome::Failed(failure.into()),
        }
    });
    let store = Store::open(&path).unwrap();
    let runs = runs_on(store.clone(), runner);
    let before = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap().finished().await;
    assert_eq!(before.status, RunStatus::Succeeded);

    // Ends with "no space left".
    drop(std::fs::write(&filler, vec![0; 4 << 20]));
    let error = loop {
        match runs.execute_graph(&chain(&["a"]), Execute::default()).await {
            Ok(mut ticket) => {
                let ended = ticket.ended().await;
                if let Some(error) = &ended.error {
                    break error.code;
                }
            }
            Err(failure) => break failure.code,
        }
    };
    assert_eq!(error, Kind::StorageFull);
    let unheard = match runs.execute_graph(&chain(&["a"]), Execute { awaited: true, ..Execute::default() }).await {
        Ok(mut ticket) => ticket.recorded().await.err().unwrap(),
        Err(failure) => failure,
    };
    assert_eq!(unheard.code, Kind::StorageFull);
    assert_eq!(store.failing().unwrap().kind(), Kind::StorageFull);
    let still = runs.get(&before.run_id).await.unwrap().unwrap();
    assert_eq!(still.steps[0].output.as_ref().unwrap().get().len(), 100_002);

    std::fs::remove_file(&filler).unwrap();
    while store.durable().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let after = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap().finished().await;
    assert_eq!(after.status, RunStatus::Succeeded);
    let all = runs.list(RunFilter::default()).await.unwrap();
    assert!(all.runs.iter().all(|run| run.status.is_final()), "a run hangs in the air");
    assert!(all.runs.iter().any(|run| run.status == RunStatus::Failed), "the run that found the disk full is not on record");
}
