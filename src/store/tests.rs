//! The writing thread ends, in every way it can, and nothing is lost but what it was told to forget.

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
    store.create_workflow(row("before"), WorkflowIndex::default(), version("before")).await.unwrap();
    store.rest();
    assert_eq!(store.size().log, 0, "everything is in the one file");
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.create_workflow(row("meanwhile"), WorkflowIndex::default(), version("meanwhile")).await }
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

#[tokio::test]
async fn a_thread_that_died_says_so_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("trae.db")).unwrap();
    store.create_workflow(row("before"), WorkflowIndex::default(), version("before")).await.unwrap();
    let died: Result<(), Error> = store.transact(|_| panic!("a defect, for the test")).await;
    assert!(died.is_err());
    store.crashed().await;
    assert!(
        store.create_workflow(row("refused"), WorkflowIndex::default(), version("refused")).await.is_err(),
        "nobody waits for a dead thread"
    );
    store.wake().unwrap();
    store.create_workflow(row("after"), WorkflowIndex::default(), version("after")).await.unwrap();
    assert_eq!(names(&store).await, ["before", "after"]);
}

#[tokio::test]
async fn workflows_that_were_stored_before_there_were_versions_have_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let store = Store::open(&path).unwrap();
    store.create_workflow(row("old"), WorkflowIndex::default(), version("old")).await.unwrap();
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
    store.create_workflow(row("w"), WorkflowIndex::default(), version("w")).await.unwrap();
    assert!(matches!(store.create_workflow(row("w"), WorkflowIndex::default(), changed()).await, Err(Error::Taken { .. })));
    assert_eq!(store.versions(Versioned::Workflow, "w", 10, None).await.unwrap().1, 1);
    store.update_workflow(row("w"), WorkflowIndex::default(), changed()).await.unwrap();
    store.delete_workflow("w").await.unwrap();
    assert!(store.update_workflow(row("w"), WorkflowIndex::default(), version("w")).await.is_err());
    // The deletion takes nothing with it, and the workflow goes on where it was when it is made anew.
    assert_eq!(store.versions(Versioned::Workflow, "w", 10, None).await.unwrap().1, 2);
    let deleted = store.deleted_workflows(10, None).await.unwrap();
    assert_eq!((deleted.0[0].0.thing.as_str(), deleted.0[0].0.versions, deleted.1), ("w", 2, 1));
    store.create_workflow(row("w"), WorkflowIndex::default(), version("w")).await.unwrap();
    assert_eq!(store.version(Versioned::Workflow, "w", None).await.unwrap().unwrap().0.number, 3);
}
