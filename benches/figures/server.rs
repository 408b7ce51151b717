//! Cold start, idle memory, requests a second, webhooks, idle sockets.

use std::net::TcpStream;
use std::time::Duration;

use tokio_tungstenite::tungstenite;

use crate::ROUNDS;
use crate::load::{load, missing};
use crate::peer::Peer;
use crate::report::Target::{AtLeast, AtMost, None as Untargeted};
use crate::report::{milliseconds, ratios, show, skip};
use crate::served::Served;

pub fn measure() {
    starts();
    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path(), None);
    served.client().expect_success("POST", "/api/workflows/", include_str!("../../examples/workflows/webhook_echo.json"));
    if let Some(why) = missing() {
        skip("requests a second", why);
    } else {
        health(&served);
        webhooks(&served);
    }
    sockets(&served);
}

fn starts() {
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let data = tempfile::tempdir().unwrap();
        let mut served = None;
        starts.push(milliseconds(|| served = Some(Served::start(data.path(), None))));
        std::thread::sleep(Duration::from_millis(500));
        memory.push(served.unwrap().resident() / 1e6);
    }
    show("cold start to the first healthy answer", "ms", AtMost(100.0), starts);
    show("idle memory of the server", "MB", AtMost(40.0), memory);
}

/// Beside FastAPI's, in turns.
fn health(served: &Served) {
    let peer = Peer::start();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(load(&served.url("/api/health/"), 16, None).rate);
        if let Ok(peer) = &peer {
            theirs.push(load(&peer.url("/api/health/"), 16, None).rate);
        }
    }
    show("GET /api/health/, 16 at a time", "a second", Untargeted, ours.clone());
    match peer {
        Ok(_) => {
            show("  the same of FastAPI on uvicorn, one worker", "a second", Untargeted, theirs.clone());
            show("  TRAE by FastAPI", "×", AtLeast(10.0), ratios(&ours, &theirs));
        }
        Err(why) => skip("  the same of FastAPI on uvicorn, one worker", &why),
    }
}

/// The answer of a webhook's own run, journaled, warm.
fn webhooks(served: &Served) {
    let (url, body) = (served.url("/api/webhooks/bench"), Some(r#"{"total":150}"#));
    load(&url, 16, body);
    for (connections, rate, half) in [(1, Untargeted, AtMost(1.0)), (16, AtLeast(2_500.0), Untargeted)] {
        let loads: Vec<_> = (0..ROUNDS).map(|_| load(&url, connections, body)).collect();
        let name = format!("webhook → if → respond, {connections} at a time");
        show(&name, "a second", rate, loads.iter().map(|load| load.rate).collect());
        show(&format!("{name}: p50"), "ms", half, loads.iter().map(|load| load.p50).collect());
        show(&format!("{name}: p99"), "ms", Untargeted, loads.iter().map(|load| load.p99).collect());
    }
}

/// What a hundred connected clients cost that say nothing, in hundredths of a core.
fn sockets(served: &Served) {
    let open: Vec<_> = (0..100)
        .map(|_| {
            let stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
            let url = format!("ws://127.0.0.1:{}/ws/workflow-automation", served.port);
            tungstenite::client(url, stream).unwrap().0
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let costs = (0..ROUNDS).map(|_| {
        let before = served.busy();
        std::thread::sleep(Duration::from_secs(5));
        (served.busy() - before) / 5.0 * 100.0
    });
    show("100 idle WebSocket clients", "% of a core", AtMost(1.0), costs.collect());
    drop(open);
}
