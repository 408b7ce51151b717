use std::path::Path;

use rusqlite::Connection;
use serde_json::json;

use super::*;

fn deed(action: &str) -> Deed {
    Deed { actor: "key:test".to_owned(), action: action.to_owned(), target: Some("t".to_owned()), details: json!({ "n": action }) }
}

/// A log of ten entries in five deeds, signed.
async fn filled(data: &Path) {
    let store = Store::open(&data.join("trae.db")).unwrap();
    let audit = Audit::open(store.clone(), data).unwrap();
    for number in 0..5 {
        let id = audit.begin(deed(&format!("deed.{number}"))).await.unwrap();
        audit.end(id, Outcome::Ok, json!({ "status": 200 }));
        store.durable().await.unwrap();
    }
    audit.sign().await.unwrap();
    store.close();
}

/// What is found after somebody did that to the database.
async fn found(data: &Path, sql: &str) -> Vec<Finding> {
    if !sql.is_empty() {
        Connection::open(data.join("trae.db")).unwrap().execute_batch(sql).unwrap();
    }
    let store = Store::open(&data.join("trae.db")).unwrap();
    let report = Audit::open(store.clone(), data).unwrap().verify(None).await.unwrap();
    assert_eq!(report.intact, report.findings.is_empty());
    store.close();
    report.findings
}

#[tokio::test]
async fn what_was_done_is_listed_with_what_came_of_it() {
    let data = tempfile::tempdir().unwrap();
    filled(data.path()).await;
    let audit = Audit::open(Store::open(&data.path().join("trae.db")).unwrap(), data.path()).unwrap();
    audit.denied(deed("deed.denied"), &Failure::new(crate::error::Kind::PermissionDenied, "no"));
    let begun = audit.begin(deed("other")).await.unwrap();
    let list = async |query: Query| audit.list(Query { limit: 50, ..query }).await.unwrap();
    let (all, count) = list(Query::default()).await;
    assert_eq!((all.len(), count), (7, 7));
    let results: Vec<_> = all.iter().map(|noted| noted.end.as_ref().map_or(noted.link.row.result.as_str(), |end| end.1.as_str())).collect();
    assert_eq!(results, ["begun", "denied", "ok", "ok", "ok", "ok", "ok"]);
    assert_eq!(all[0].link.row.id, begun);
    assert!(all[1].link.row.details.as_ref().unwrap().contains("PERMISSION_DENIED"));
    assert_eq!(list(Query { action: Some("deed.*".to_owned()), ..Query::default() }).await.1, 6);
    assert_eq!(list(Query { action: Some("deed".to_owned()), ..Query::default() }).await.1, 0);
    assert_eq!(list(Query { actor: Some("key:other".to_owned()), ..Query::default() }).await.1, 0);
    assert_eq!(list(Query { before: Some(3), ..Query::default() }).await.0.len(), 1);
    assert_eq!(list(Query { since: Some(all[0].link.row.at), ..Query::default() }).await.1, 1);
}

#[tokio::test]
async fn a_begin_and_an_end_that_are_committed_together_are_one_entry() {
    let store = Store::in_memory().unwrap();
    // The first write is what the writing thread is busy with, or gathers for: the two that follow come in one batch.
    for _ in 0..20 {
        store.write(begun(7, deed("quick"))).unwrap();
        store.write(ended(7, Outcome::Failed, json!({ "code": "X" }))).unwrap();
        store.durable().await.unwrap();
    }
    let (deeds, _) = store.audit(Query { limit: 500, ..Query::default() }).await.unwrap();
    assert!(
        deeds.iter().any(|deed| deed.link.row.result == "failed" && deed.link.row.details.as_ref().unwrap().contains("\"X\"")),
        "{deeds:?}"
    );
}

#[tokio::test]
async fn nobody_fills_the_disk_by_being_refused() {
    let data = tempfile::tempdir().unwrap();
    let audit = Audit::open(Store::in_memory().unwrap(), data.path()).unwrap();
    for _ in 0..1000 {
        audit.denied(deed("deed"), &Failure::new(crate::error::Kind::PermissionDenied, "no"));
    }
    assert_eq!(audit.list(Query { limit: 1, ..Query::default() }).await.unwrap().1, u64::from(REFUSALS));
}

#[tokio::test]
async fn long_texts_are_cut_and_secrets_masked() {
    mask::learn(["hunter2-hunter2"]);
    let long = Deed { details: json!({ "command": "é".repeat(5000), "more": ["a hunter2-hunter2"] }), ..deed("hunter2-hunter2") };
    let Write::Audit(row) = begun(1, long) else { panic!("it is another row") };
    let details: Value = serde_json::from_str(row.details.as_ref().unwrap()).unwrap();
    assert_eq!(details["more"][0], "a ***");
    assert!(details["command"].as_str().unwrap().len() <= LONGEST + 3 && details["command"].as_str().unwrap().ends_with('…'));
    assert_eq!(row.action, "***");
    let Write::Audit(row) = begun(1, Deed { details: json!(vec!["x".repeat(2000); 100]), ..deed("a") }) else { panic!() };
    assert!(row.details.unwrap().len() < 100);
}

#[tokio::test]
async fn an_untouched_log_is_intact_and_goes_on_with_the_same_key() {
    let data = tempfile::tempdir().unwrap();
    filled(data.path()).await;
    filled(data.path()).await;
    assert_eq!(found(data.path(), "").await, []);
    let store = Store::open(&data.path().join("trae.db")).unwrap();
    let audit = Audit::open(store, data.path()).unwrap();
    let report = audit.verify(Some(&audit.public_key())).await.unwrap();
    assert_eq!((report.intact, report.entries, report.signed), (true, 20, 20));
    #[cfg(unix)]
    for file in ["audit.key", "audit.checkpoints"] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(data.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn what_was_done_to_it_is_named() {
    use Finding::*;
    // Each row says what is done to the database, and what must be among the findings.
    let swap =
        "UPDATE audit SET seq = 100 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = 100;";
    let renumber = "DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4;";
    for (sql, expected) in [
        ("UPDATE audit SET actor = 'key:other' WHERE seq = 3", vec![Changed { seq: 3 }]),
        ("UPDATE audit SET result = 'denied' WHERE seq = 4", vec![Changed { seq: 4 }]),
        ("UPDATE audit SET details = NULL WHERE seq = 1", vec![Changed { seq: 1 }]),
        ("UPDATE audit SET at = at + 1 WHERE seq = 10", vec![Changed { seq: 10 }]),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 2", vec![Changed { seq: 2 }]),
        ("UPDATE audit SET hash = zeroblob(3) WHERE seq = 2", vec![Changed { seq: 2 }]),
        ("DELETE FROM audit WHERE seq = 5", vec![Removed { from: 5, to: 5 }]),
        ("DELETE FROM audit WHERE seq < 4", vec![Removed { from: 1, to: 3 }]),
        ("DELETE FROM audit WHERE seq > 7", vec![Truncated { from: 8, to: 10 }]),
        ("DELETE FROM audit", vec![Truncated { from: 1, to: 10 }]),
        (renumber, vec![Changed { seq: 3 }, Truncated { from: 10, to: 10 }]),
        (swap, vec![Reordered { seq: 4 }, Reordered { seq: 5 }]),
    ] {
        let data = tempfile::tempdir().unwrap();
        filled(data.path()).await;
        let findings = found(data.path(), sql).await;
        for finding in &expected {
            assert!(findings.contains(finding), "{sql}: {finding:?} is not among {findings:?}");
            assert!(!finding.to_string().is_empty());
        }
    }
}

#[tokio::test]
async fn a_chain_that_is_made_anew_is_not_the_one_that_was_signed() {
    let data = tempfile::tempdir().unwrap();
    filled(data.path()).await;
    let path = data.path().join("trae.db");
    let connection = Connection::open(&path).unwrap();
    let store = Store::open(&path).unwrap();
    let mut links = store.audit_links(0, 100).await.unwrap();
    store.close();
    links[2].row.actor = "key:innocent".to_owned();
    let mut previous = links[1].hash;
    for link in &links[2..] {
        let hash = link.row.seal(&previous);
        let sql = "UPDATE audit SET actor = ?, previous = ?, hash = ? WHERE seq = ?";
        connection.execute(sql, rusqlite::params![link.row.actor, previous, hash, link.seq as i64]).unwrap();
        previous = hash;
    }
    drop(connection);
    assert_eq!(found(data.path(), "").await, [Finding::Rewritten { seq: 10 }]);
}

#[tokio::test]
async fn checkpoints_cannot_be_made_or_lost_unseen() {
    let data = tempfile::tempdir().unwrap();
    filled(data.path()).await;
    let file = data.path().join("audit.checkpoints");
    let whole = std::fs::read_to_string(&file).unwrap();
    for (text, expected) in [
        (whole.replace("\"seq\":10", "\"seq\":9"), Finding::Forged { line: 1 }),
        (format!("{whole}nonsense\n"), Finding::Forged { line: 2 }),
        (String::new(), Finding::Unsigned),
    ] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(found(data.path(), "").await, [expected]);
    }
    // Whoever makes a new key and signs again is seen by who kept the old one.
    let store = Store::open(&data.path().join("trae.db")).unwrap();
    let old = Audit::open(store.clone(), data.path()).unwrap().public_key();
    std::fs::remove_file(data.path().join("audit.key")).unwrap();
    std::fs::remove_file(&file).unwrap();
    let audit = Audit::open(store, data.path()).unwrap();
    audit.sign().await.unwrap();
    assert!(audit.verify(None).await.unwrap().intact);
    assert!(!audit.verify(Some(&old)).await.unwrap().intact);
}
