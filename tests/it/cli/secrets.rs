//! `trae secrets`, beside a server that runs.

use serde_json::{Value, json};

use super::trae::{Place, read, stderr, stdout};

const SECRET: &str = "opens sesame & more";

#[tokio::test]
async fn a_secret_is_read_from_standard_input_used_at_once_and_shown_nowhere() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let served = place.serve(&[]);
    let set = place.run_with_input(&["secrets", "set", "DOOR"], &[], &format!("{SECRET}\n"));
    assert!(set.status.success() && stdout(&set).is_empty() && stderr(&set).contains("is set"), "{set:?}");
    let source = "//! ---\n//! [permissions]\n//! secrets = [\"DOOR\"]\n//! ---\nlog::info(secrets::get(\"DOOR\"));\nsecrets.DOOR.len()";
    let client = reqwest::Client::new();
    let put = client.put(served.url("/api/scripts/door.rhai")).json(&json!({ "source": source })).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let ran = client.post(served.url("/api/scripts/door.rhai/run")).json(&json!({ "wait": true })).send().await.unwrap();
    let ran: Value = ran.json().await.unwrap();
    assert_eq!((&ran["status"], &ran["result"]), (&json!("succeeded"), &json!(SECRET.len())), "{ran}");
    assert_eq!(ran["logs"][0]["message"], "***");

    let again = place.run_with_input(&["secrets", "set", "DOOR"], &[], "another one");
    assert!(stderr(&again).contains("is replaced"), "{again:?}");
    let listed: Value = serde_json::from_str(&stdout(&place.run(&["secrets", "list", "--json"], &[]))).unwrap();
    assert_eq!((&listed[0]["name"], listed[0].as_object().unwrap().len()), (&json!("DOOR"), 3), "{listed}");
    let table = place.run(&["secrets", "list"], &[]);
    assert!(stdout(&table).contains("DOOR") && !stdout(&table).contains("another one"), "{table:?}");
    assert!(place.run(&["secrets", "remove", "DOOR"], &[]).status.success());
    let gone = place.run(&["secrets", "remove", "DOOR"], &[]);
    assert!(gone.status.code() == Some(1) && stderr(&gone).contains("no secret"), "{gone:?}");
    let terminal = served.end();
    let log = read(&place.data().join("logs/backend.log"));
    assert!(!terminal.contains(SECRET) && !log.contains(SECRET), "{terminal}");
}

#[test]
fn a_value_is_never_an_argument_and_what_is_wrong_is_said() {
    let place = Place::new();
    for arguments in [&["secrets", "set", "DOOR", SECRET][..], &["secrets", "set", "DOOR", "--value", SECRET]] {
        let refused = place.run(arguments, &[]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
    for (name, value) in [("1DOOR", SECRET), ("DOOR", ""), ("DOOR", "short")] {
        let refused = place.run_with_input(&["secrets", "set", name], &[], value);
        assert_eq!(refused.status.code(), Some(65), "{refused:?}");
        assert!(!stderr(&refused).contains(SECRET), "{refused:?}");
    }
    assert_eq!(stdout(&place.run(&["secrets", "list", "--json"], &[])).trim(), "[]");
}

#[test]
fn a_passphrase_closes_the_identity() {
    let place = Place::new();
    let with = [("SECRETS_PASSPHRASE", "correct horse battery staple")];
    assert!(place.run_with_input(&["secrets", "set", "DOOR"], &with, SECRET).status.success());
    let identity = std::fs::read(place.data().join("secrets.identity")).unwrap();
    assert!(identity.starts_with(b"age-encryption.org/v1"));
    let script = place.write("door.rhai", "//! ---\n//! [permissions]\n//! secrets = [\"DOOR\"]\n//! ---\nsecrets.DOOR.len()");
    let run = ["run", script.to_str().unwrap(), "--allow-all"];
    let opened = place.run(&run, &with);
    assert_eq!(stdout(&opened).trim(), SECRET.len().to_string(), "{opened:?}");
    let closed = place.run(&run, &[]);
    assert!(!closed.status.success() && stderr(&closed).contains("SECRETS_PASSPHRASE"), "{closed:?}");
}
