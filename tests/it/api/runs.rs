//! `/api/runs`, the desktop and the mouse, by what they do.

use std::time::Duration;

use serde_json::json;

use super::served::start;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_on_record_with_its_steps_and_log() {
    let server = start().await;
    let (status, run) = server.post("/api/workflows/known/execute", &json!({ "wait": true, "parameters": { "word": "hello" } })).await;
    assert_eq!(status, 200);
    assert_eq!((&run["status"], &run["kind"], &run["workflow_id"]), (&json!("succeeded"), &json!("workflow"), &json!("known")));
    assert_eq!(run["logs"][0]["message"], "hello");
    let statuses: Vec<_> = run["steps"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["succeeded", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_is_stopped_and_its_events_end() {
    let server = start().await;
    let (status, started) = server.post("/api/workflows/known-slow/execute", &json!({})).await;
    assert_eq!(status, 202);
    let id = started["run_id"].as_str().unwrap().to_owned();
    let events = tokio::spawn(reqwest::get(server.url(&format!("/api/runs/{id}/events"))));
    let begun = async {
        while server.get(&format!("/api/runs/{id}")).await.1["steps"][1]["status"] != "waiting" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), begun).await.expect("it waits");
    assert_eq!(server.post(&format!("/api/runs/{id}/cancel"), &json!({})).await.0, 200);
    let text = events.await.unwrap().unwrap().text().await.unwrap();
    assert!(text.contains("event: run_started") && text.trim_end().lines().last().unwrap().contains("cancelled"), "{text}");
    assert_eq!(server.post(&format!("/api/runs/{id}/cancel"), &json!({})).await.0, 409);
    let (_, run) = server.get(&format!("/api/runs/{id}")).await;
    assert_eq!((&run["status"], &run["steps"][1]["status"]), (&json!("cancelled"), &json!("cancelled")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_is_seen_and_the_mouse_moves() {
    let server = start().await;
    let shot = reqwest::Client::new().post(server.url("/api/desktop/screenshot")).header("accept", "image/png").json(&json!({}));
    let bytes = shot.send().await.unwrap().bytes().await.unwrap();
    let picture = image::load_from_memory(&bytes).unwrap();
    assert_eq!((picture.width(), picture.height()), (1280, 800));
    let (status, _) = server.post("/api/automation/mouse/click", &json!({ "x": 321, "y": 234, "duration": 0 })).await;
    assert_eq!(status, 200);
    let desktop = server.app.desktops.current().unwrap();
    let at = desktop.input().position().unwrap();
    assert_eq!((at.x, at.y), (321, 234));
    let (status, refused) = server.post("/api/automation/mouse/click", &json!({ "x": 5000, "y": 1 })).await;
    assert_eq!((status, &refused["error_code"]), (422, &json!("VALIDATION_ERROR")));
    let at = desktop.input().position().unwrap();
    assert_eq!((at.x, at.y), (321, 234));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_after_the_last_one_that_was_seen() {
    let server = start().await;
    let (_, run) = server.post("/api/workflows/known/execute", &json!({ "wait": true, "parameters": { "word": "hello" } })).await;
    let url = server.url(&format!("/api/runs/{}/events", run["run_id"].as_str().unwrap()));
    let ids = |text: &str| text.lines().filter_map(|line| line.strip_prefix("id:")?.trim().parse().ok()).collect::<Vec<u64>>();
    let all = ids(&reqwest::get(&url).await.unwrap().text().await.unwrap());
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    let client = reqwest::Client::new();
    let rest = client.get(&url).header("last-event-id", "3").send().await.unwrap().text().await.unwrap();
    assert_eq!(ids(&rest), all[3..], "{rest}");
    // The header wins over the query, as a browser that connects again sends the query it began with.
    let rest = client.get(format!("{url}?after=1")).header("last-event-id", "3").send().await.unwrap().text().await.unwrap();
    assert_eq!(ids(&rest), all[3..]);
    let over = client.get(&url).header("last-event-id", all.len().to_string()).send().await.unwrap();
    assert_eq!(over.status(), 204, "nothing is left to come");
    assert_eq!(client.get(&url).header("last-event-id", "x").send().await.unwrap().status(), 422);
}
