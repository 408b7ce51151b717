//! Scripts and the server as a process: what the log says of those that break, and what is left of them when it is killed.

use super::trae::{Place, eventually};

#[test]
fn a_script_that_breaks_is_logged_with_its_place() {
    let place = Place::new();
    let served = place.serve(&[]);
    place.write("data/scripts/told.rhai", "let a = 1;\nlet b = ;\n");
    eventually("the log says where", || served.terminal().contains("told.rhai:2:9: "));
    let log = served.end();
    let line = log.lines().find(|line| line.contains("told.rhai:2:9: ")).unwrap();
    assert!(line.contains("WARN") && line.contains("its last good version stays"), "{line}");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let file = place.data().join("scripts/kept.rhai");
    let client = reqwest::Client::new();
    let text = |number: u32| format!("{}{number}", "// filler\n".repeat(500));
    let (mut number, mut all) = (0, Vec::new());
    for round in 0..4 {
        let served = place.serve(&[]);
        let url = served.url("/api/scripts/kept.rhai");
        let put = |number: u32| client.put(&url).json(&serde_json::json!({ "source": text(number) })).send();
        for _ in 0..3 {
            number += 1;
            assert!(put(number).await.unwrap().status().is_success());
            all.push(number);
        }
        // The next one is under way, or not yet, or done, when the server is killed.
        let kill = async {
            tokio::time::sleep(std::time::Duration::from_millis(round * 8)).await;
            std::process::Command::new("kill").args(["-9", &served.pid().to_string()]).status().unwrap();
        };
        let (last, ()) = tokio::join!(put(number + 1), kill);
        number += 1;
        if last.is_ok_and(|answer| answer.status().is_success()) {
            all.push(number);
        }
        drop(served);
        let written = std::fs::read_to_string(&file).unwrap();
        let newest = all.last().copied().unwrap_or_default();
        assert!(written == text(number) || written == text(newest), "round {round}: {} bytes", written.len());
        let served = place.serve(&[]);
        let list = reqwest::get(served.url("/api/script-versions?path=kept&limit=500")).await.unwrap();
        let list: serde_json::Value = list.json().await.unwrap();
        let mut kept = Vec::new();
        for version in list["versions"].as_array().unwrap() {
            let path = format!("/api/script-versions/{}?path=kept", version["version"]);
            kept.push(reqwest::get(served.url(&path)).await.unwrap().text().await.unwrap());
        }
        for number in &all {
            assert!(kept.contains(&text(*number)), "round {round}: {number} was acknowledged and is lost");
        }
    }
}
