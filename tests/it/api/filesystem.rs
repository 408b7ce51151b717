//! `/ws/filesystem`: scripts and files, as they come and go.

use std::fs;

use serde_json::{Value, json};

use super::served::{Server, start};
use super::socket::{Client, connect_to, hear, say};

async fn subscribed(server: &Server, path: &str, folders: &[&str]) -> Client {
    let mut client = connect_to(server, path).await;
    say(&mut client, json!({ "type": "subscribe", "paths": folders })).await;
    let answer = hear(&mut client).await;
    assert_eq!((&answer["type"], &answer["paths"]), (&json!("subscribed"), &json!(folders)), "{answer}");
    client
}

/// The next message about that file.
async fn about(client: &mut Client, path: &str) -> Value {
    loop {
        let told = hear(client).await;
        if told["path"] == path || told["file"] == path {
            return told;
        }
        assert_ne!(told["type"], "error", "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_told_of_as_they_load_break_and_go() {
    let server = start().await;
    for path in ["/ws/filesystem", "/api/ws/filesystem"] {
        let mut client = subscribed(&server, path, &[]).await;
        let file = server.data.path().join("scripts/told.rhai");
        fs::write(&file, "1 + 1").unwrap();
        assert_eq!(about(&mut client, "told.rhai").await["type"], "script_loaded");
        fs::write(&file, "let a = 1;\nlet b = ;").unwrap();
        let failed = about(&mut client, "told.rhai").await;
        assert_eq!((&failed["type"], &failed["line"], &failed["column"]), (&json!("script_failed"), &json!(2), &json!(9)), "{failed}");
        assert!(!failed["message"].as_str().unwrap().is_empty());
        fs::remove_file(&file).unwrap();
        assert_eq!(about(&mut client, "told.rhai").await["type"], "script_removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_folders_are_told_of_once_for_each_change() {
    let server = start().await;
    let inbox = server.data.path().join("files/inbox");
    fs::create_dir_all(&inbox).unwrap();
    fs::write(inbox.join("known"), "0").unwrap();
    let mut client = subscribed(&server, "/ws/filesystem", &["inbox"]).await;
    // A burst is one change; what is there already is no news.
    for number in 0..20 {
        fs::write(inbox.join("burst"), number.to_string()).unwrap();
    }
    assert_eq!(hear(&mut client).await, json!({ "type": "file_created", "path": "inbox/burst" }));
    fs::write(inbox.join("new"), "1").unwrap();
    fs::rename(inbox.join("new"), inbox.join("known")).unwrap();
    assert_eq!(hear(&mut client).await, json!({ "type": "file_changed", "path": "inbox/known" }));
    fs::create_dir_all(inbox.join("deep/er")).unwrap();
    fs::write(inbox.join("deep/er/file"), "1").unwrap();
    assert_eq!(hear(&mut client).await, json!({ "type": "file_created", "path": "inbox/deep/er/file" }));
    fs::remove_file(inbox.join("burst")).unwrap();
    assert_eq!(hear(&mut client).await, json!({ "type": "file_removed", "path": "inbox/burst" }));
    // Elsewhere nothing was asked for.
    fs::write(server.data.path().join("files/elsewhere"), "1").unwrap();
    fs::write(inbox.join("last"), "1").unwrap();
    assert_eq!(hear(&mut client).await["path"], "inbox/last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_removed_and_made_anew_is_followed() {
    let server = start().await;
    let inbox = server.data.path().join("files/inbox");
    // Not there yet, even.
    let mut client = subscribed(&server, "/ws/filesystem", &["inbox"]).await;
    for round in 0..2 {
        fs::create_dir_all(&inbox).unwrap();
        fs::write(inbox.join("a"), "1").unwrap();
        assert_eq!(hear(&mut client).await, json!({ "type": "file_created", "path": "inbox/a" }), "round {round}");
        fs::write(inbox.join("b"), "1").unwrap();
        assert_eq!(hear(&mut client).await, json!({ "type": "file_created", "path": "inbox/b" }), "round {round}");
        fs::remove_dir_all(&inbox).unwrap();
        let mut gone = vec![hear(&mut client).await["path"].clone(), hear(&mut client).await["path"].clone()];
        gone.sort_by_key(ToString::to_string);
        assert_eq!(gone, ["inbox/a", "inbox/b"], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_folder_that_is_removed_and_made_anew_is_read_again() {
    let server = start().await;
    let mut client = subscribed(&server, "/ws/filesystem", &[]).await;
    let folder = server.data.path().join("scripts");
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(about(&mut client, "hello.rhai").await["type"], "script_removed");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("again.rhai"), "1").unwrap();
    assert_eq!(about(&mut client, "again.rhai").await["type"], "script_loaded");
    fs::write(folder.join("more.rhai"), "1").unwrap();
    assert_eq!(about(&mut client, "more.rhai").await["type"], "script_loaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_answered() {
    let server = start().await;
    fs::write(server.data.path().join("files/file"), "1").unwrap();
    let mut client = connect_to(&server, "/ws/filesystem").await;
    for path in ["../scripts", "a/../../b", "", "a\u{0}b", "file"] {
        say(&mut client, json!({ "type": "subscribe", "paths": [path] })).await;
        let answer = hear(&mut client).await;
        assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!("VALIDATION_ERROR")), "{path:?}: {answer}");
    }
    say(&mut client, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut client).await["type"], "pong");
}
