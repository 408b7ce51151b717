//! What lies beside a run's record: pictures, large values, and the run as a whole to keep; its events after a restart.

use std::io::Read as _;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::served::{Server, node, start, start_with};
use crate::desktop::display::{Window, managed};

/// Clicks twice, and says something between and after.
fn clicks() -> Value {
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("first", "click_action", json!({ "x": 100, "y": 100 })),
        node("say", "log_message", json!({ "message": "clicked" })),
        node("second", "click_action", json!({ "x": 110, "y": 100 })),
    ]);
    let edge = |source: &str, target: &str| json!({ "id": target, "source": source, "target": target });
    json!({ "id": "clicks", "name": "clicks", "nodes": nodes, "edges": [edge("start", "first"), edge("first", "say"), edge("say", "second")] })
}

async fn run(server: &Server, workflow: &str) -> Value {
    let (status, run) = server.post(&format!("/api/workflows/{workflow}/execute"), &json!({ "wait": true })).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")), "{run}");
    let (_, run) = server.get(&format!("/api/runs/{}", run["run_id"].as_str().unwrap())).await;
    run
}

async fn bytes(server: &Server, path: &str) -> (u16, String, Vec<u8>) {
    let answer = reqwest::get(server.url(path)).await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), kind, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_around_each_click_is_kept_once_as_long_as_it_does_not_change() {
    let server = start().await;
    server.post("/api/workflows/", &clicks()).await;
    // Opens the desktop.
    run(&server, "clicks").await;
    let display = server.app.desktops.current().unwrap().display().unwrap().to_owned();
    managed(&display);
    let still = run(&server, "clicks").await;
    let images = |run: &Value, step: usize| run["steps"][step]["images"].clone();
    assert_eq!((images(&still, 0), images(&still, 2)), (json!(null), json!(null)), "those that click nothing have no pictures");
    let one = images(&still, 1)["before"].clone();
    assert_eq!((images(&still, 1), images(&still, 3)), (json!({ "before": one, "after": one }), json!({ "before": one, "after": one })));
    let (status, kind, jpeg) = bytes(&server, one.as_str().unwrap()).await;
    assert_eq!((status, kind.as_str()), (200, "image/jpeg"));
    let picture = image::load_from_memory(&jpeg).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (1280, 800));

    let window = Window::open_on(&display, (300, 200), (400, 300), 0x0000_c000);
    let changed = run(&server, "clicks").await;
    let other = images(&changed, 1)["before"].as_str().unwrap().to_owned();
    assert_ne!(other.rsplit('/').next(), one.as_str().unwrap().rsplit('/').next());
    let picture = image::load_from_memory(&bytes(&server, &other).await.2).unwrap().to_rgb8();
    let [red, green, blue] = picture.get_pixel(500, 350).0;
    assert!(green > 150 && red < 60 && blue < 60, "the window is not on it: {red} {green} {blue}");
    drop(window);

    // Another run's picture is not this one's.
    let stranger = other.replace(changed["run_id"].as_str().unwrap(), still["run_id"].as_str().unwrap());
    let (status, _, answer) = bytes(&server, &stranger).await;
    assert_eq!((status, serde_json::from_slice::<Value>(&answer).unwrap()["error_code"].clone()), (404, json!("NOT_FOUND")));
    let (_, kind, archive) = bytes(&server, &format!("/api/runs/{}/export", changed["run_id"].as_str().unwrap())).await;
    assert_eq!(kind, "application/zip");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let folder = format!("run-{}", changed["run_id"].as_str().unwrap());
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(&format!("{folder}/{name}")).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let record: Value = serde_json::from_slice(&read("run.json")).unwrap();
    let kept = read(record["steps"][1]["images"]["before"].as_str().unwrap());
    assert_eq!(kept, bytes(&server, &other).await.2);
    assert!(String::from_utf8(read("script.rhai")).unwrap().contains("click_action"));
    assert!(String::from_utf8(read("events.jsonl")).unwrap().lines().last().unwrap().contains("run_finished"));
    let (status, missing) = server.get("/api/runs/nobody/export").await;
    assert_eq!((status, &missing["error_code"]), (404, &json!("NOT_FOUND")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_step_images_none_is_taken() {
    let server = start_with(|config| config.runs.step_images = false).await;
    server.post("/api/workflows/", &clicks()).await;
    let run = run(&server, "clicks").await;
    assert!(run["steps"].as_array().unwrap().iter().all(|step| step.get("images").is_none()), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_is_in_the_record_and_in_a_list_it_is_named() {
    let server = start().await;
    let script = json!({ "source": "let text = \"x\"; text.pad(100_000, \"x\"); text" });
    assert_eq!(reqwest::Client::new().put(server.url("/api/scripts/large.rhai")).json(&script).send().await.unwrap().status(), 201);
    let (_, run) = server.post("/api/scripts/large.rhai/run", &json!({ "wait": true })).await;
    assert_eq!(run["result"].as_str().map(str::len), Some(100_000), "{run}");
    let (_, list) = server.get("/api/runs?script=large.rhai").await;
    let named = &list["runs"][0]["result"];
    assert_eq!(named["bytes"], json!(100_002));
    let (status, kind, value) = bytes(&server, named["$ref"].as_str().unwrap()).await;
    assert_eq!((status, kind.as_str(), value.len()), (200, "application/json", 100_002));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_finished_run_are_told_again_from_any_on_also_after_a_restart() {
    let server = start().await;
    let (_, run) = server.post("/api/workflows/known/execute", &json!({ "wait": true, "parameters": { "word": "hello" } })).await;
    let run_id = run["run_id"].as_str().unwrap().to_owned();
    let first = told(&server, &run_id, 0).await;
    assert_eq!(
        first.iter().map(|event| event["event_id"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=first.len() as u64).collect::<Vec<_>>()
    );
    let data = server.data.path().to_path_buf();
    for workflow in ["known", "taken", "known-broken", "known-slow"] {
        server.app.workflows.delete(workflow).await.unwrap();
    }
    server.app.shutdown().await;
    let second = start_with(|config| config.storage.data_dir.clone_from(&data)).await;
    for after in [0, 2, first.len() - 1] {
        assert_eq!(told(&second, &run_id, after).await, first[after..], "after {after}");
        let text = reqwest::get(second.url(&format!("/api/runs/{run_id}/events?after={after}"))).await.unwrap().text().await.unwrap();
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()).collect();
        assert_eq!(events, first[after..], "after {after}");
    }
}

/// The events of a run over a socket.
async fn told(server: &Server, run_id: &str, after: usize) -> Vec<Value> {
    let url = server.url("/ws/workflow-automation").replace("http", "ws");
    let (mut socket, _) = connect_async(url).await.unwrap();
    let ask = json!({ "type": "subscribe", "run_id": run_id, "after": after });
    socket.send(Message::text(ask.to_string())).await.unwrap();
    let mut events = Vec::new();
    let all = async {
        while let Some(Ok(message)) = socket.next().await {
            let Ok(text) = message.to_text() else { continue };
            let Ok(event) = serde_json::from_str::<Value>(text) else { continue };
            if event["event_id"].is_u64() {
                let last = event["type"] == "run_finished";
                events.push(event);
                if last {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), all).await.expect("they end");
    events
}

#[tokio::test]
async fn a_list_that_is_asked_for_wrongly_is_refused_with_all_that_is_wrong() {
    let server = start().await;
    let (status, refused) = server.get("/api/runs?status=failed,gone&since=yesterday&until=2026-01-31T12:00:00Z").await;
    assert_eq!((status, &refused["error_code"]), (422, &json!("VALIDATION_ERROR")));
    let paths: Vec<_> = refused["details"]["errors"].as_array().unwrap().iter().map(|error| error["path"].clone()).collect();
    assert_eq!(paths, ["/query/status", "/query/since"]);
    assert_eq!(server.get("/api/runs?kind=graph").await.0, 422);
    let (status, list) =
        server.get("/api/runs?status=failed,succeeded&kind=workflow&trigger=manual&search=a&since=2026-01-31T12:00:00%2B01:00").await;
    assert_eq!((status, &list["count"]), (200, &json!(0)));
}
