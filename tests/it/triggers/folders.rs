//! Folders into which files are dropped: real ones, with a real server, over its restarts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trae::host::Outcome;
use trae::policy::{Grant, Permissions};
use trae::runs::Timestamp;
use trae::store::Store;
use trae::triggers::{Settings, SystemClock, Triggers};

use super::house::{House, are_over, files, watching};
use crate::runs::fakes::{FakeRunner, drawn, runs_on};
use crate::runs::storage::Small;

const RUNS: &str = "/api/runs?workflow_id=w&limit=500";

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Drops a marker after everything else, and waits until its run is over, by when everything before it was looked at, and all others.
async fn after_a_marker(house: &House, folder: &Path, name: &str) -> Value {
    fs::write(folder.join(name), name).unwrap();
    house
        .until(RUNS, |page| {
            let runs = page["runs"].as_array().unwrap();
            runs.iter().all(|run| run["finished_at"].is_string()) && runs.iter().any(|run| run["result"]["name"] == name)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_stays_starts_one_run_whatever_happens_to_the_server() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    let folder = data.path().join("files/inbox");
    let (nodes, edges) = watching(json!({ "path": "inbox", "stable_seconds": 0.05 }));
    house.draw("w", nodes, edges).await;
    let missing = house.until("/api/triggers/w:drop", |trigger| trigger["reason"].is_string()).await;
    assert!(missing["armed"] == true && missing["reason"].as_str().unwrap().contains("as soon as there is one"), "{missing}");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.txt"), "a").unwrap();
    fs::write(folder.join("b.txt"), "b").unwrap();
    // What programs make in passing is not a file that somebody drops; a link leads elsewhere.
    for passing in [".hidden", "c.txt.part", "~$d.docx", "e.tmp", "f~"] {
        fs::write(folder.join(passing), "x").unwrap();
    }
    fs::create_dir(folder.join("inner")).unwrap();
    fs::write(folder.join("inner/g.txt"), "g").unwrap();
    std::os::unix::fs::symlink(data.path().join("trae.db"), folder.join("link.txt")).unwrap();
    let page = after_a_marker(&house, &folder, "m1").await;
    let once = |event: &str, size| vec![(event.to_owned(), size)];
    let mut expected = BTreeMap::from([
        ("inbox/a.txt".to_owned(), once("created", 1)),
        ("inbox/b.txt".to_owned(), once("created", 1)),
        ("inbox/m1".to_owned(), once("created", 2)),
    ]);
    assert_eq!(files(&page), expected, "{page}");
    let trigger = house.get("/api/triggers/w:drop").await;
    assert!(trigger["armed"] == true && trigger["reason"].is_null() && trigger["last_fired"].is_string(), "{trigger}");
    assert_eq!(page["runs"][0]["trigger"], "watch_folder:w:drop");
    house.close().await;
    // Dropped, changed, touched and taken away while nobody looks.
    fs::write(folder.join("c.txt"), "dropped").unwrap();
    fs::write(folder.join("a.txt"), "changed").unwrap();
    fs::File::options().append(true).open(folder.join("m1")).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    fs::rename(folder.join("b.txt"), data.path().join("b.txt")).unwrap();
    let house = House::open(data.path()).await;
    let page = after_a_marker(&house, &folder, "m2").await;
    expected.insert("inbox/c.txt".to_owned(), once("created", 7));
    expected.insert("inbox/m2".to_owned(), once("created", 2));
    expected.get_mut("inbox/a.txt").unwrap().push(("changed".to_owned(), 7));
    assert_eq!(files(&page), expected, "{page}");
    // It was away, and is dropped again.
    fs::rename(data.path().join("b.txt"), folder.join("b.txt")).unwrap();
    // The content that it had at first is another one again.
    fs::write(folder.join("a.txt"), "a").unwrap();
    let page = house.until(RUNS, are_over(8)).await;
    expected.get_mut("inbox/b.txt").unwrap().push(("created".to_owned(), 1));
    expected.get_mut("inbox/a.txt").unwrap().push(("changed".to_owned(), 1));
    assert_eq!(files(&page), expected, "{page}");
    house.close().await;
    let house = House::open(data.path()).await;
    let page = after_a_marker(&house, &folder, "m3").await;
    expected.insert("inbox/m3".to_owned(), once("created", 2));
    assert_eq!(files(&page), expected, "nothing that stays fires again");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_where_its_run_sends_it() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    let folder = data.path().join("files/inbox");
    fs::create_dir_all(folder.join("done")).unwrap();
    fs::create_dir_all(folder.join("deep/er")).unwrap();
    fs::write(folder.join("done/good.txt"), "an older one").unwrap();
    let (nodes, edges) =
        watching(json!({ "path": "inbox", "recursive": true, "pattern": "*.txt", "after": "move", "stable_seconds": 0.05 }));
    house.draw("w", nodes, edges).await;
    for (name, text) in [("good.txt", "1"), ("bad.txt", "2"), ("deep/er/good.txt", "3"), ("other.csv", "4")] {
        fs::write(folder.join(name), text).unwrap();
    }
    house.until(RUNS, are_over(3)).await;
    let moved = |path: &str| !folder.join(path).exists();
    while !["good.txt", "bad.txt", "deep/er/good.txt"].into_iter().all(moved) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(names(&folder.join("done")), ["good-1.txt", "good.txt"]);
    assert_eq!(
        (names(&folder.join("failed")), names(&folder.join("deep/er/done"))),
        (vec!["bad.txt".to_owned()], vec!["good.txt".to_owned()])
    );
    assert_eq!(fs::read_to_string(folder.join("done/good-1.txt")).unwrap(), "1");
    // The same again is a new one.
    fs::write(folder.join("good.txt"), "1").unwrap();
    house.until(RUNS, are_over(4)).await;
    while !moved("good.txt") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(names(&folder.join("done")), ["good-1.txt", "good-2.txt", "good.txt"]);
    assert_eq!(names(&folder), ["deep", "done", "failed", "other.csv"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_deleted_only_where_its_run_succeeded() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("files/inbox");
    fs::create_dir_all(&folder).unwrap();
    let house = House::open(data.path()).await;
    let (nodes, edges) = watching(json!({ "path": folder, "after": "delete", "stable_seconds": 0.05 }));
    house.draw("w", nodes, edges).await;
    fs::write(folder.join("good.txt"), "1").unwrap();
    fs::write(folder.join("bad.txt"), "2").unwrap();
    house.until(RUNS, are_over(2)).await;
    while folder.join("good.txt").exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.close().await;
    let house = House::open(data.path()).await;
    fs::write(folder.join("last.txt"), "3").unwrap();
    house.until(RUNS, are_over(3)).await;
    assert!(folder.join("bad.txt").exists(), "and it does not fire again");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_may_vanish_and_return() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("files/inbox");
    fs::create_dir_all(&folder).unwrap();
    let house = House::open(data.path()).await;
    let (nodes, edges) = watching(json!({ "path": "inbox", "stable_seconds": 0.05 }));
    house.draw("w", nodes, edges).await;
    after_a_marker(&house, &folder, "a").await;
    let away = data.path().join("away");
    fs::rename(&folder, &away).unwrap();
    house.until("/api/triggers/w:drop", |trigger| trigger["reason"].is_string()).await;
    // An empty folder in its place, as where a disk is not mounted.
    fs::create_dir(&folder).unwrap();
    house.until("/api/triggers/w:drop", |trigger| trigger["reason"].is_null()).await;
    after_a_marker(&house, &folder, "b").await;
    fs::remove_file(folder.join("b")).unwrap();
    fs::remove_dir(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    let page = after_a_marker(&house, &folder, "c").await;
    assert_eq!(files(&page).values().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1], "what came back is no new file: {page}");
    // One that is made anew holds new files.
    fs::remove_dir_all(&folder).unwrap();
    house.until("/api/triggers/w:drop", |trigger| trigger["reason"].is_string()).await;
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "a").unwrap();
    house.until(RUNS, are_over(4)).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_folders_that_the_settings_allow_are_watched() {
    let data = tempfile::tempdir().unwrap();
    let limit = |permissions: &mut Permissions| {
        permissions.read = vec!["inbox/**".to_owned()];
        permissions.write = vec!["outbox/**".to_owned()];
    };
    let (fired, triggers) = fakes(data.path(), limit, Duration::ZERO).await;
    for (id, config) in
        [("in", json!({ "path": "inbox" })), ("out", json!({ "path": "/etc" })), ("move", json!({ "path": "inbox", "after": "move" }))]
    {
        let graph =
            json!({ "id": id, "name": id, "nodes": [{ "id": "drop", "type": "watch_folder_trigger", "data": config }], "edges": [] });
        fired.runs.workflows().create(drawn(graph)).await.unwrap();
    }
    let shown = |id: &str| {
        let (id, triggers) = (format!("{id}:drop"), triggers.clone());
        async move { triggers.get(&id).await.unwrap() }
    };
    assert!(shown("in").await.armed);
    for (id, word) in [("out", "read"), ("move", "write")] {
        let trigger = shown(id).await;
        assert!(!trigger.armed && trigger.reason.as_ref().unwrap().contains(word), "{trigger:?}");
    }
    triggers.disarm().await;
}

/// Runs that are played, and what they were given.
struct Fired {
    runs: trae::runs::Runs,
    inputs: Arc<std::sync::Mutex<Vec<Value>>>,
}

async fn fakes(files: &Path, limit: impl FnOnce(&mut Permissions), takes: Duration) -> (Fired, Triggers) {
    let store = Store::open(&files.join("trae.db")).unwrap();
    let inputs: Arc<std::sync::Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&inputs);
    let runner = FakeRunner::new(move |job| {
        seen.lock().unwrap().push(serde_json::from_str(job.start.input.get()).unwrap());
        async move {
            tokio::time::sleep(takes).await;
            Outcome::Succeeded(job.start.input)
        }
    });
    let runs = runs_on(store.clone(), runner);
    let mut allowed = Permissions::all();
    limit(&mut allowed);
    let grant = Grant::new(vec![allowed], files.canonicalize().unwrap());
    let triggers = Triggers::new(runs.clone(), Settings { store, grant, clock: Arc::new(SystemClock) });
    triggers.arm().await.unwrap();
    (Fired { runs, inputs }, triggers)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_files_start_ten_thousand_runs() {
    const MANY: usize = 10_000;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("inbox");
    fs::create_dir(&folder).unwrap();
    for number in 0..MANY {
        fs::write(folder.join(format!("{number}.txt")), number.to_string()).unwrap();
    }
    let (fired, triggers) = fakes(data.path(), |_| {}, Duration::ZERO).await;
    let config = json!({ "path": "inbox", "stable_seconds": 0 });
    let graph = json!({ "id": "w", "name": "w", "nodes": [{ "id": "drop", "type": "watch_folder_trigger", "data": config }], "edges": [] });
    fired.runs.workflows().create(drawn(graph)).await.unwrap();
    let begun = Timestamp::now().0;
    while fired.inputs.lock().unwrap().len() < MANY {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{MANY} files: {} ms", (Timestamp::now().0 - begun) / 1000);
    triggers.disarm().await;
    let mut names: Vec<String> = fired.inputs.lock().unwrap().iter().map(|input| input["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), fired.inputs.lock().unwrap().len()), (MANY, MANY));
    // Armed again, there is nothing new in it.
    triggers.arm().await.unwrap();
    fs::write(folder.join("last.txt"), "last").unwrap();
    while fired.inputs.lock().unwrap().len() <= MANY {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    triggers.disarm().await;
    assert_eq!(fired.inputs.lock().unwrap().len(), MANY + 1);
    assert_eq!(fired.inputs.lock().unwrap()[MANY]["name"], "last.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_still_being_written_waits() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("inbox");
    fs::create_dir(&folder).unwrap();
    let (fired, triggers) = fakes(data.path(), |_| {}, Duration::ZERO).await;
    let config = json!({ "path": "inbox", "stable_seconds": 3 });
    let graph = json!({ "id": "w", "name": "w", "nodes": [{ "id": "drop", "type": "watch_folder_trigger", "data": config }], "edges": [] });
    fired.runs.workflows().create(drawn(graph)).await.unwrap();
    let mut file = fs::File::create(folder.join("slow.txt")).unwrap();
    for _ in 0..40 {
        std::io::Write::write_all(&mut file, b"piece ").unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(file);
    while fired.inputs.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    triggers.disarm().await;
    assert_eq!(
        fired.inputs.lock().unwrap()[..],
        [json!({ "path": "inbox/slow.txt", "name": "slow.txt", "size": 240, "event": "created" })]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_tried_again() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("inbox");
    fs::create_dir(&folder).unwrap();
    let secret = folder.join("secret.txt");
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&secret).is_ok() {
        // Nothing is closed to the system's administrator.
        return;
    }
    let (fired, triggers) = fakes(data.path(), |_| {}, Duration::ZERO).await;
    let config = json!({ "path": "inbox", "stable_seconds": 0 });
    let graph = json!({ "id": "w", "name": "w", "nodes": [{ "id": "drop", "type": "watch_folder_trigger", "data": config }], "edges": [] });
    fired.runs.workflows().create(drawn(graph)).await.unwrap();
    while triggers.get("w:drop").await.unwrap().reason.is_none_or(|reason| !reason.contains("secret.txt")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    while fired.inputs.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    triggers.disarm().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_file_and_starts_none_twice() {
    let Some(disk) = Small::new() else {
        eprintln!("SKIPPED: this process may not mount a small file system, so a full disk was not tried");
        return;
    };
    let data = tempfile::tempdir().unwrap();
    fs::create_dir(data.path().join("inbox")).unwrap();
    let store = Store::open(&disk.0.path().join("trae.db")).unwrap();
    let effects: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&effects);
    let runner = FakeRunner::new(move |job| {
        let seen = Arc::clone(&seen);
        async move {
            // As before every effect.
            if let Err(failure) = job.journal.durable().await {
                return Outcome::Failed(failure.into());
            }
            let input: Value = serde_json::from_str(job.start.input.get()).unwrap();
            seen.lock().unwrap().push(input["name"].as_str().unwrap().to_owned());
            Outcome::Succeeded(job.start.input)
        }
    });
    let runs = runs_on(store.clone(), runner);
    let grant = Grant::new(vec![Permissions::all()], data.path().canonicalize().unwrap());
    let triggers = Triggers::new(runs.clone(), Settings { store, grant, clock: Arc::new(SystemClock) });
    triggers.arm().await.unwrap();
    let config = json!({ "path": "inbox", "stable_seconds": 0 });
    let graph = json!({ "id": "w", "name": "w", "nodes": [{ "id": "drop", "type": "watch_folder_trigger", "data": config }], "edges": [] });
    runs.workflows().create(drawn(graph)).await.unwrap();
    let filler = disk.0.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 512]).is_ok() {}
    drop(file);
    for name in ["a", "b", "c"] {
        // Large enough to need room in the database.
        fs::write(data.path().join("inbox").join(format!("{name}{}", "x".repeat(200))), name).unwrap();
    }
    let full = async {
        while triggers.get("w:drop").await.unwrap().reason.is_none_or(|reason| !reason.contains("room") && !reason.contains("full")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), full).await.expect("the trigger says that the disk is full");
    fs::remove_file(&filler).unwrap();
    let fired = async {
        while effects.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), fired).await.expect("all files fire once there is room");
    fs::write(data.path().join("inbox/last"), "last").unwrap();
    while effects.lock().unwrap().len() < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    triggers.disarm().await;
    runs.shutdown().await;
    let mut names: Vec<char> = effects.lock().unwrap().iter().map(|name| name.chars().next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ['a', 'b', 'c', 'l']);
}
