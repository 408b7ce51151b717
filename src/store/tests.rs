//! The writing thread ends, in every way it can, and nothing is lost but what it was told to forget.

use super::workflows::WorkflowRow;
use super::*;

fn row(id: &str) -> WorkflowRow {
    WorkflowRow { id: id.to_owned(), name: id.to_owned(), description: String::new(), body: "{}".to_owned(), created_at: 1, updated_at: 1 }
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
    store.create_workflow(row("before")).await.unwrap();
    store.rest();
    assert_eq!(store.size().log, 0, "everything is in the one file");
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.create_workflow(row("meanwhile")).await }
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
    store.create_workflow(row("before")).await.unwrap();
    let died: Result<(), Error> = store.transact(|_| panic!("a defect, for the test")).await;
    assert!(died.is_err());
    store.crashed().await;
    assert!(store.create_workflow(row("refused")).await.is_err(), "nobody waits for a dead thread");
    store.wake().unwrap();
    store.create_workflow(row("after")).await.unwrap();
    assert_eq!(names(&store).await, ["before", "after"]);
}
