//! `trae audit`, beside a server that runs.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::trae::{Place, stderr, stdout};

#[tokio::test]
async fn what_is_done_at_a_terminal_and_over_http_is_one_log_that_can_be_checked() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let made = place.run(&["keys", "create", "--name", "robot", "--scope", "admin"], &[("USER", "ann")]);
    let key = stdout(&made).trim().to_owned();
    let served = place.serve(&[("API_KEY_ENABLED", "true")]);
    let client = reqwest::Client::new();
    let sent = client.post(served.url("/api/shell/bash")).bearer_auth(&key).json(&json!({ "command": "true" })).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    assert!(place.run_with_input(&["secrets", "set", "DOOR"], &[("USER", "ann")], "opens sesame").status.success());
    let listed = place.run(&["audit", "list", "--json"], &[]);
    let entries: Vec<Value> = serde_json::from_str(&stdout(&listed)).unwrap();
    let found = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap_or_else(|| panic!("{action}: {entries:#?}"));
    for (action, actor, target) in [
        ("key.create", "cli:ann", "robot"),
        ("secret.set", "cli:ann", "DOOR"),
        ("shell.run", "key:robot", "bash"),
        ("POST /api/shell", "key:robot", "/api/shell/bash"),
    ] {
        let entry = found(action);
        assert_eq!((&entry["actor"], &entry["target"], &entry["result"]), (&json!(actor), &json!(target), &json!("ok")), "{entry}");
    }
    assert!(!stdout(&listed).contains(&key) && !stdout(&listed).contains("opens sesame"));
    assert!(stdout(&place.run(&["audit", "list", "--action", "key.*"], &[])).contains("robot"));
    served.end();

    let public = stdout(&place.run(&["audit", "key"], &[]));
    let checked = place.run(&["audit", "verify", "--key", public.trim()], &[]);
    assert!(checked.status.success() && stdout(&checked).contains("0 of them are not signed"), "{checked:?}");
    let other = place.run(&["audit", "verify", "--key", &"0".repeat(64)], &[]);
    assert_eq!(other.status.code(), Some(1), "{other:?}");

    let database = Connection::open(place.data().join("trae.db")).unwrap();
    let seq = found("shell.run")["seq"].as_u64().unwrap();
    database.execute("UPDATE audit SET actor = 'key:somebody' WHERE seq = ?", [seq as i64]).unwrap();
    drop(database);
    let checked = place.run(&["audit", "verify"], &[]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(stdout(&checked).trim(), format!("entry {seq} was changed, or replaced"), "{}", stderr(&checked));
    let report: Value = serde_json::from_str(&stdout(&place.run(&["audit", "verify", "--json"], &[]))).unwrap();
    assert_eq!(report["findings"], json!([{ "kind": "changed", "seq": seq }]));
}

#[test]
fn a_run_at_a_terminal_is_on_record_with_who_started_it() {
    let place = Place::new();
    let script =
        place.write("write.rhai", "//! ---\n//! [permissions]\n//! write = [\"**\"]\n//! ---\nfiles::write(\"a.txt\", \"words\");");
    let ran = place.run(&["run", script.to_str().unwrap()], &[("USER", "ann")]);
    assert!(ran.status.success(), "{ran:?}");
    let entries: Vec<Value> = serde_json::from_str(&stdout(&place.run(&["audit", "list", "--json"], &[]))).unwrap();
    let run = entries.iter().find(|entry| entry["action"] == "run").unwrap();
    assert_eq!((&run["actor"], &run["result"]), (&json!("cli:ann"), &json!("ok")), "{run}");
    let wrote = entries.iter().find(|entry| entry["action"] == "file.write").unwrap();
    let who = format!("run:{}", run["details"]["run_id"].as_str().unwrap());
    assert_eq!((&wrote["actor"], &wrote["target"], &wrote["details"]), (&json!(who), &json!("a.txt"), &json!({ "bytes": 5 })), "{wrote}");
    assert!(place.run(&["audit", "verify"], &[]).status.success());
}
