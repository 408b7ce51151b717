//! `trae keys`, beside a server that runs.

use std::time::Duration;

use serde_json::Value;

use super::trae::{Place, stderr, stdout};

async fn status(served: &super::trae::Served, key: &str) -> u16 {
    reqwest::Client::new().get(served.url("/api/workflows/")).bearer_auth(key).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn keys_come_and_go_while_a_server_runs() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let served = place.serve(&[("API_KEY_ENABLED", "true")]);
    let made = place.run(&["keys", "create", "--name", "front end", "--scope", "read", "--scope", "desktop"], &[]);
    let key = stdout(&made);
    assert!(made.status.success() && key.lines().count() == 1 && key.starts_with("trae_"), "{made:?}");
    assert!(!stderr(&made).contains(key.trim()), "{made:?}");
    let key = key.trim();
    assert_eq!(status(&served, key).await, 200);

    let listed: Value = serde_json::from_str(&stdout(&place.run(&["keys", "list", "--json"], &[]))).unwrap();
    assert_eq!(listed[0]["name"], "front end");
    assert_eq!(listed[0]["scopes"], serde_json::json!(["read", "desktop"]));
    assert_eq!(listed[0]["workflows"], serde_json::json!([]));
    let table = place.run(&["keys", "list"], &[]);
    assert!(stdout(&table).contains("front end") && !stdout(&table).contains(key), "{table:?}");

    let id = listed[0]["id"].as_str().unwrap();
    assert!(place.run(&["keys", "revoke", id], &[]).status.success());
    let refused = async {
        while status(&served, key).await != 401 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("the key is refused");
    let again = place.run(&["keys", "revoke", id], &[]);
    assert!(again.status.code() == Some(1) && stderr(&again).contains("no key"), "{again:?}");
}

#[test]
fn a_key_for_some_workflows_is_listed_with_them() {
    let place = Place::new();
    let made = place.run(&["keys", "create", "--name", "ci", "--scope", "workflows", "--workflow", "build", "--workflow", "test"], &[]);
    assert!(made.status.success() && stderr(&made).contains("for build, test only"), "{made:?}");
    let listed: Value = serde_json::from_str(&stdout(&place.run(&["keys", "list", "--json"], &[]))).unwrap();
    assert_eq!(listed[0]["workflows"], serde_json::json!(["build", "test"]));
    assert!(stdout(&place.run(&["keys", "list"], &[])).contains("build test"));
}

#[test]
fn what_makes_no_key_is_said() {
    let place = Place::new();
    let wrong = place.run(&["keys", "create", "--name", "a", "--scope", "everything"], &[]);
    assert!(wrong.status.code() == Some(2) && stderr(&wrong).contains("workflows, admin"), "{wrong:?}");
    let none = place.run(&["keys", "create", "--name", "a"], &[]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    let lacking = place.run(&["keys", "create", "--name", "a", "--scope", "read", "--workflow", "w"], &[]);
    assert!(lacking.status.code() == Some(65) && stderr(&lacking).contains("scope workflows"), "{lacking:?}");
    let nameless = place.run(&["keys", "create", "--name", " ", "--scope", "read"], &[]);
    assert!(nameless.status.code() == Some(65) && stdout(&nameless).is_empty(), "{nameless:?}");
}
