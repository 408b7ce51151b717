//! The writing thread ends, in every way it can, and nothing is lost but what it was told to forget.

use super::trust::Maker;
use super::versions::{NewVersion, Origin, Versioned};
use super::workflows::{WorkflowIndex, WorkflowRow};
use super::*;

fn row(id: &str) -> WorkflowRow {
    WorkflowRow { id: id.to_owned(), name: id.to_owned(), description: String::new(), body: "{}".to_owned(), created_at: 1, updated_at: 1 }
}

fn version(id: &str) -> NewVersion {
    NewVersion {
        kind: Versioned::Workflow,
        thing: id.to_owned(),
        content: "{}".to_owned(),
        created_at: 1,
        origin: Origin::default(),
        kept: 0,
    }
}

async fn names(store: &Store) -> Vec<String> {
    let (rows, _) = store.workflows(None, 10, 0).await.unwrap();
    rows.into_iter().rev().map(|row| row.id).collect()
}

#[tokio::test]
async fn what_comes_while_it_rests_is_written_once_it_wakes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let store = Store::open(&path).unwrap();
    store.create_workflow(row("before"), WorkflowIndex::default(), version("before"), Maker::default()).await.unwrap();
    store.rest();
    assert_eq!(store.size().log, 0, "everything is in the one file");
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.create_workflow(row("meanwhile"), WorkflowIndex::default(), version("meanwhile"), Maker::default()).await }
    });
    while store.size().waiting == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(names(&store).await, ["before"]);
    store.wake().unwrap();
    writing.await.unwrap().unwrap();
    assert_eq!(names(&store).await, ["before", "meanwhile"]);
}

#[tokio::test]
async fn what_comes_while_it_rests_is_written_also_where_it_never_wakes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let store = Store::open(&path).unwrap();
    store.rest();
    let program = runs::ProgramRow { hash: "h".into(), source: "late".to_owned(), nodes: "[]".to_owned() };
    store.write(runs::Write::Program(Arc::new(program))).unwrap();
    store.close();
    let connection = Connection::open(&path).unwrap();
    let kept: String = connection.query_row("SELECT source FROM programs", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "late");
}

/// Where there is always more to write, the log begins anew all the same, in the room that it has.
#[tokio::test]
async fn the_log_stays_small_however_much_is_written_without_a_break() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("trae.db")).unwrap();
    let mut largest = 0;
    for turn in 0..100 {
        for piece in 0..8 {
            let source = format!("{turn} {piece} ").repeat(8 * 1024);
            let program = runs::ProgramRow { hash: format!("{turn} {piece}").into(), source, nodes: "[]".to_owned() };
            store.write(runs::Write::Program(Arc::new(program))).unwrap();
        }
        store.durable().await.unwrap();
        largest = largest.max(store.size().log);
    }
    let size = store.size();
    assert!(largest < 32 << 20 && size.database > 12 << 20, "{largest} bytes of log, {} of database", size.database);
    store.close();
}

#[tokio::test]
async fn a_thread_that_died_says_so_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("trae.db")).unwrap();
    store.create_workflow(row("before"), WorkflowIndex::default(), version("before"), Maker::default()).await.unwrap();
    let died: Result<(), Error> = store.transact(|_| panic!("a defect, for the test")).await;
    assert!(died.is_err());
    store.crashed().await;
    assert!(
        store.create_workflow(row("refused"), WorkflowIndex::default(), version("refused"), Maker::default()).await.is_err(),
        "nobody waits for a dead thread"
    );
    store.wake().unwrap();
    store.create_workflow(row("after"), WorkflowIndex::default(), version("after"), Maker::default()).await.unwrap();
    assert_eq!(names(&store).await, ["before", "after"]);
}

#[tokio::test]
async fn triggers_that_were_switched_off_stay_so_and_know_when_they_fired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let version = schema::MIGRATIONS.iter().position(|sql| sql.contains("DROP TABLE disabled_triggers")).unwrap();
    let connection = Connection::open(&path).unwrap();
    for sql in &schema::MIGRATIONS[..version] {
        connection.execute_batch(sql).unwrap();
    }
    let run =
        "INSERT INTO runs (key, run_id, kind, workflow_id, trigger, status, parameters, input, start_node, program, owner, created_at)";
    connection
        .execute_batch(&format!(
            "{run} VALUES (1, 'r', 'workflow', 'a', 'webhook:x', 'succeeded', '{{}}', 'null', 'hook', 'h', 'o', 4711);
             INSERT INTO disabled_triggers VALUES ('a', 'hook'), ('b', 'hook');
             PRAGMA application_id = {}; PRAGMA user_version = {version};",
            0x5452_4145
        ))
        .unwrap();
    drop(connection);
    let known = Store::open(&path).unwrap().triggers().await.unwrap();
    let row = |last_fired| triggers::TriggerRow { enabled: false, last_fired };
    assert_eq!(known, std::collections::HashMap::from([("a:hook".to_owned(), row(Some(4711))), ("b:hook".to_owned(), row(None))]));
}

#[tokio::test]
async fn what_fired_long_ago_is_forgotten_but_for_the_newest_and_for_files() {
    let store = Store::in_memory().unwrap();
    let fired = |kind: &'static str, trigger: &str, key: &str, at, path: Option<&str>| triggers::NewFiring {
        trigger_id: trigger.to_owned(),
        kind,
        key: Some(key.to_owned()),
        at,
        file: path.map(|path| triggers::FiredFile { path: path.to_owned(), stamp: "s".to_owned(), folder: "f".to_owned(), after: None }),
    };
    let all = [
        fired("schedule", "a", "1", 1, None),
        fired("schedule", "a", "2", 2, None),
        fired("schedule", "a", "9", 9, None),
        fired("schedule", "b", "1", 1, None),
        fired("watch_folder", "c", "x#1", 1, Some("x")),
        fired("watch_folder", "gone", "y#1", 1, Some("y")),
    ];
    let put =
        store.transact(move |connection| all.iter().try_fold(true, |new, firing| Ok(new & triggers::insert(connection, firing, "r")?)));
    assert!(put.await.unwrap());
    let again = fired("schedule", "a", "9", 10, None);
    assert!(!store.transact(move |connection| Ok(triggers::insert(connection, &again, "r2")?)).await.unwrap(), "it fired before");
    assert_eq!(store.prune_firings("schedule", 5).await.unwrap(), 2);
    assert_eq!(store.prune_firings("watch_folder", 5).await.unwrap(), 0);
    assert_eq!(store.prune_files(vec!["c".to_owned()], 5).await.unwrap(), 1);
    for (trigger, key, there) in [("a", "1", false), ("a", "9", true), ("b", "1", true), ("c", "x#1", true), ("gone", "y#1", false)] {
        assert_eq!(store.fired(trigger, key).await.unwrap().is_some(), there, "{trigger} {key}");
    }
    // Other content at the same place: what was there before may come again. A longer name that begins alike is another file.
    let more = [fired("watch_folder", "c", "x#2", 3, Some("x")), fired("watch_folder", "c", "x#2#1", 3, Some("x#2"))];
    store
        .transact(move |connection| more.iter().try_for_each(|firing| Ok(triggers::insert(connection, firing, "r").map(drop)?)))
        .await
        .unwrap();
    for (key, there) in [("x#1", false), ("x#2", true), ("x#2#1", true)] {
        assert_eq!(store.fired("c", key).await.unwrap().is_some(), there, "{key}");
    }
}

#[tokio::test]
async fn workflows_that_were_stored_before_there_were_versions_have_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let store = Store::open(&path).unwrap();
    store.create_workflow(row("old"), WorkflowIndex::default(), version("old"), Maker::default()).await.unwrap();
    store.close();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DROP TABLE versions;").unwrap();
    connection.execute_batch(include_str!("migrations/0008_versions.sql")).unwrap();
    versions::begin(&connection).unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    let (row, content) = store.version(Versioned::Workflow, "old", None).await.unwrap().unwrap();
    assert_eq!((row.number, row.size, content.as_str()), (1, 2, "{}"));
    // What says the same is the same version.
    assert_eq!(store.keep_versions(vec![version("old")]).await.unwrap(), [1]);
}

#[tokio::test]
async fn only_the_newest_versions_are_kept_where_that_is_wanted() {
    let store = Store::in_memory().unwrap();
    for number in 1..=5_u32 {
        let new = NewVersion { content: number.to_string(), kept: 2, ..version("w") };
        assert_eq!(store.keep_versions(vec![new]).await.unwrap(), [number]);
    }
    let (kept, count) = store.versions(Versioned::Workflow, "w", 10, None).await.unwrap();
    assert_eq!((kept.iter().map(|row| row.number).collect::<Vec<_>>(), count), (vec![5, 4], 2));
    assert!(store.version(Versioned::Workflow, "w", Some(3)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_change_that_is_refused_makes_no_version() {
    let store = Store::in_memory().unwrap();
    let changed = || NewVersion { content: "{\"changed\":true}".to_owned(), ..version("w") };
    store.create_workflow(row("w"), WorkflowIndex::default(), version("w"), Maker::default()).await.unwrap();
    assert!(matches!(
        store.create_workflow(row("w"), WorkflowIndex::default(), changed(), Maker::default()).await,
        Err(Error::Taken { .. })
    ));
    assert_eq!(store.versions(Versioned::Workflow, "w", 10, None).await.unwrap().1, 1);
    store.update_workflow(row("w"), WorkflowIndex::default(), changed(), Maker::default()).await.unwrap();
    store.delete_workflow("w").await.unwrap();
    assert!(store.update_workflow(row("w"), WorkflowIndex::default(), version("w"), Maker::default()).await.is_err());
    // The deletion takes nothing with it, and the workflow goes on where it was when it is made anew.
    assert_eq!(store.versions(Versioned::Workflow, "w", 10, None).await.unwrap().1, 2);
    let deleted = store.deleted_workflows(10, None).await.unwrap();
    assert_eq!((deleted.0[0].0.thing.as_str(), deleted.0[0].0.versions, deleted.1), ("w", 2, 1));
    store.create_workflow(row("w"), WorkflowIndex::default(), version("w"), Maker::default()).await.unwrap();
    assert_eq!(store.version(Versioned::Workflow, "w", None).await.unwrap().unwrap().0.number, 3);
}
