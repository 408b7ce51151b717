//! Compile and run chains of pure nodes, journaled.

use std::time::Instant;

use serde_json::{Value, json};
use trae::app::{App, Options};
use trae::config::{Config, DisplayMode};
use trae::policy::Permissions;
use trae::runs::Execute;

use crate::report::Target::{AtMost, None as Untargeted};
use crate::report::show;
use crate::{BINARY, ROUNDS};

pub fn measure() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.storage.data_dir = data.path().to_path_buf();
    config.desktop.mode = DisplayMode::None;
    runtime.block_on(async {
        let app = App::with(config, Options { runner: BINARY.into(), allowed: Permissions::all() }).await.unwrap();
        for length in [10, 100, 1_000, 10_000] {
            let (mut cold, mut warm) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                // Another graph each time: nothing of it is compiled.
                let id = format!("chain-{length}-{round}");
                let graph = serde_json::from_value(chain(&id, length)).unwrap();
                let begun = Instant::now();
                app.workflows.create(graph).await.unwrap();
                app.runs.execute_workflow(&id, Execute::default()).await.unwrap().ended().await;
                cold.push(begun.elapsed().as_secs_f64() * 1e3);
                let begun = Instant::now();
                app.runs.execute_workflow(&id, Execute::default()).await.unwrap().ended().await;
                warm.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(length));
            }
            let targets = match length {
                1_000 => (Untargeted, AtMost(15.0)),
                10_000 => (AtMost(1_000.0), Untargeted),
                _ => (Untargeted, Untargeted),
            };
            show(&format!("chain of {length}: compile and first run"), "ms", targets.0, cold);
            show(&format!("chain of {length}: a warm run"), "µs a node", targets.1, warm);
        }
        app.shutdown().await;
    });
}

/// A chain of so many pure nodes.
pub fn chain(id: &str, length: u32) -> Value {
    let node = |index: u32| match index {
        0 => json!({ "id": "n0", "type": "manual_trigger", "data": {} }),
        _ => json!({ "id": format!("n{index}"), "type": "set_variable", "data": { "config": { "name": id, "value": index } } }),
    };
    let edge = |index: u32| json!({ "id": format!("e{index}"), "source": format!("n{}", index - 1), "target": format!("n{index}") });
    json!({ "id": id, "name": id, "nodes": (0..length).map(node).collect::<Vec<_>>(), "edges": (1..length).map(edge).collect::<Vec<_>>() })
}
