//! `/api/desktop/targets`: several desktops at once, each with its own screen, mouse, clipboard, windows and lease.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::served::{self, Server, node};
use super::socket::{connect_to, hear, say};
use crate::desktop::display::{Window, managed};

async fn create(server: &Server, spec: Value) -> Value {
    let (status, created) = server.post("/api/desktop/targets", &spec).await;
    assert_eq!(status, 201, "{created}");
    created
}

async fn delete(server: &Server, name: &str) -> (u16, Value) {
    let answer = reqwest::Client::new().delete(server.url(&format!("/api/desktop/targets/{name}"))).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// The size of what is seen there.
async fn size(server: &Server, target: &str) -> Value {
    let (status, seen) = server.post("/api/desktop/screenshot", &json!({ "target": target })).await;
    assert_eq!(status, 200, "{seen}");
    json!([seen["data"]["width"], seen["data"]["height"]])
}

async fn display(server: &Server, target: &str) -> String {
    let (status, told) = server.get(&format!("/api/desktop/targets/{target}")).await;
    assert_eq!((status, &told["alive"]), (200, &json!(true)), "{told}");
    told["display"].as_str().unwrap().to_owned()
}

/// The colour of a point there.
async fn colour(server: &Server, target: &str, x: u32, y: u32) -> [u8; 3] {
    let frame = reqwest::get(server.url(&format!("/api/desktop/frame?format=png&target={target}"))).await.unwrap();
    image::load_from_memory(&frame.bytes().await.unwrap()).unwrap().to_rgb8().get_pixel(x, y).0
}

/// The value that a script gives, run to its end.
async fn run(server: &Server, source: &str) -> Value {
    let (status, saved) = reqwest_put(server, "/api/scripts/probe.rhai", &json!({ "source": source })).await;
    assert!(status < 300, "{saved}");
    let (status, ran) = server.post("/api/scripts/probe.rhai/run", &json!({ "wait": true })).await;
    assert_eq!((status, &ran["status"]), (200, &json!("succeeded")), "{ran}");
    ran["result"].clone()
}

async fn reqwest_put(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    let answer = reqwest::Client::new().put(server.url(path)).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

const SCREEN: &str =
    "//! ---\n//! [permissions]\n//! screen = true\n//! input = true\n//! clipboard = true\n//! shell = [\"*\"]\n//! ---\n";

#[tokio::test(flavor = "multi_thread")]
async fn several_desktops_are_used_side_by_side_and_know_nothing_of_each_other() {
    let server = served::start().await;
    let one = create(&server, json!({ "name": "one", "kind": "virtual", "width": 640, "height": 480 })).await;
    assert_eq!((&one["kind"], &one["alive"], &one["width"]), (&json!("virtual"), &json!(false), &json!(640)));
    create(&server, json!({ "name": "two", "kind": "virtual", "width": 800, "height": 600, "window_manager": [] })).await;
    assert_eq!(size(&server, "one").await, json!([640, 480]));
    assert_eq!(size(&server, "two").await, json!([800, 600]));
    assert_eq!(size(&server, "default").await, json!([1280, 800]));
    let (one, two) = (display(&server, "one").await, display(&server, "two").await);
    managed(&one);
    assert_ne!(one, two);

    let _red = Window::open_on(&one, (0, 0), (640, 480), 0xff_00_00);
    let _blue = Window::open_on(&two, (0, 0), (800, 600), 0x00_00_ff);
    assert_eq!(colour(&server, "one", 320, 240).await, [255, 0, 0]);
    assert_eq!(colour(&server, "two", 320, 240).await, [0, 0, 255]);

    // Mouse, clipboard and windows of each.
    for (target, x) in [("one", 11), ("two", 22)] {
        let (status, moved) = server.post("/api/automation/mouse/move", &json!({ "x": x, "y": 33, "target": target })).await;
        assert_eq!(status, 200, "{moved}");
        server.post("/api/automation/clipboard", &json!({ "text": target, "target": target })).await;
    }
    for (target, x) in [("one", 11), ("two", 22)] {
        assert_eq!(server.get(&format!("/api/automation/mouse/position?target={target}")).await.1, json!({ "x": x, "y": 33 }));
        assert_eq!(server.get(&format!("/api/automation/clipboard?target={target}")).await.1["data"]["text"], target);
    }
    assert_eq!(server.get("/api/automation/status?target=two").await.1["data"]["screen_size"], json!({ "width": 800, "height": 600 }));
    let (_, all) = server.get("/api/desktop/targets").await;
    let names: Vec<&Value> = all["targets"].as_array().unwrap().iter().map(|target| &target["name"]).collect();
    assert_eq!((names, &all["count"]), (vec![&json!("default"), &json!("one"), &json!("two")], &json!(3)));

    // Scripts, for the rest of the run, for a block, and for a step.
    let seen = run(
        &server,
        &format!(
            r#"{SCREEN}
let seen = [];
seen += desktop::use("two", || screen::capture().width);
step("inside", || {{ desktop::use("one"); screen::capture().width }});
seen += screen::capture().width;
desktop::use("one");
seen += screen::capture().width;
mouse::move_to(5, 6);
seen += desktop::use("two", || {{ mouse::move_to(7, 8); clipboard::get() }});
seen += shell::run(["sh", "-c", "echo $DISPLAY"]).output.trimmed();
seen"#
        ),
    )
    .await;
    assert_eq!(seen, json!([800, 1280, 640, "two", one]));
    assert_eq!(server.get("/api/automation/mouse/position?target=one").await.1, json!({ "x": 5, "y": 6 }));
    assert_eq!(server.get("/api/automation/mouse/position?target=two").await.1, json!({ "x": 7, "y": 8 }));

    // A snapshot remembers which it shows.
    let (status, shot) = server.post("/api/snapshots/create", &json!({ "target": "one" })).await;
    assert_eq!((status, &shot["target"], &shot["width"]), (201, &json!("one"), &json!(640)));
    let click =
        json!({ "snapshot_id": shot["snapshot_id"], "actions": [{ "id": "a", "name": "a", "x": 100, "y": 200, "action_type": "click" }] });
    assert_eq!(server.post("/api/snapshots/click/execute", &click).await.1["success"], true);
    assert_eq!(server.get("/api/automation/mouse/position?target=one").await.1, json!({ "x": 100, "y": 200 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_works_on_the_desktop_that_its_settings_or_its_nodes_name() {
    let server = served::start().await;
    for name in ["one", "two"] {
        create(&server, json!({ "name": name, "kind": "virtual", "width": 640, "height": 480 })).await;
    }
    let click = |id: &str, x: u32, config: Value| {
        let mut config = config;
        config["x"] = json!(x);
        config["y"] = json!(20);
        node(id, "click_action", config)
    };
    let nodes = [node("start", "manual_trigger", json!({})), click("a", 10, json!({ "target": "two" })), click("b", 30, json!({}))];
    let edges = json!([{ "id": "e", "source": "start", "target": "a" }, { "id": "f", "source": "a", "target": "b" }]);
    let graph = json!({ "id": "flow", "name": "flow", "nodes": nodes, "edges": edges, "settings": { "target": "one" } });
    assert_eq!(server.post("/api/workflows/", &graph).await.0, 201);
    let (status, ran) = server.post("/api/workflows/flow/execute", &json!({ "wait": true })).await;
    assert_eq!((status, &ran["status"]), (200, &json!("succeeded")), "{ran}");
    assert_eq!(server.get("/api/automation/mouse/position?target=one").await.1, json!({ "x": 30, "y": 20 }));
    assert_eq!(server.get("/api/automation/mouse/position?target=two").await.1, json!({ "x": 10, "y": 20 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_the_desktop_it_names_and_its_input_goes_there() {
    let server = served::start().await;
    create(&server, json!({ "name": "small", "kind": "virtual", "width": 320, "height": 200 })).await;
    let mut client = connect_to(&server, "/ws/desktop-stream").await;
    say(&mut client, json!({ "type": "start_stream", "config": { "target": "small", "scale_factor": 0.5 } })).await;
    let started = hear(&mut client).await;
    assert_eq!((&started["target"], &started["width"]), (&json!("small"), &json!(160)), "{started}");
    say(&mut client, json!({ "type": "mouse_move", "x": 50, "y": 60 })).await;
    say(&mut client, json!({ "type": "mouse_move", "x": 70, "y": 80, "target": "default" })).await;
    say(&mut client, json!({ "type": "mouse_move", "x": 1, "y": 1, "target": "nowhere" })).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "error") {
        kinds.push(hear(&mut client).await["type"].as_str().unwrap().to_owned());
    }
    for (target, place) in [("small", json!({ "x": 100, "y": 120 })), ("default", json!({ "x": 70, "y": 80 }))] {
        let path = format!("/api/automation/mouse/position?target={target}");
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        while server.get(&path).await.1 != place {
            assert!(tokio::time::Instant::now() < end, "{target}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // The same stream, of another desktop.
    say(&mut client, json!({ "type": "configure", "target": "default" })).await;
    loop {
        let message = hear(&mut client).await;
        if message["type"] == "stream_started" && message["target"] == "default" {
            assert_eq!(message["width"], 640);
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_there_after_a_restart_and_gone_once_deleted() {
    let server = served::start().await;
    create(
        &server,
        json!({ "name": "kept", "kind": "virtual", "width": 640, "height": 480, "startup": ["xsetroot", "-solid", "#336699"] }),
    )
    .await;
    create(&server, json!({ "name": "gone", "kind": "virtual" })).await;
    assert_eq!(size(&server, "gone").await, json!([1280, 800]));
    let xvfb = crate::desktop::targets::server(&display(&server, "gone").await);
    let (status, answer) = delete(&server, "gone").await;
    assert_eq!(status, 200, "{answer}");
    assert!(!Command::new("kill").args(["-0", &xvfb.to_string()]).status().unwrap().success());
    let server = server.restarted().await;
    assert_eq!(server.get("/api/desktop/targets/gone").await.0, 404);
    let (_, kept) = server.get("/api/desktop/targets/kept").await;
    assert_eq!((&kept["width"], &kept["alive"]), (&json!(640), &json!(false)));
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while colour(&server, "kept", 5, 5).await != [0x33, 0x66, 0x99] {
        assert!(tokio::time::Instant::now() < end, "what is started on it does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_started_on_it_comes_once_windows_are_managed() {
    let server = served::start().await;
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let startup = format!("xprop -root _NET_SUPPORTING_WM_CHECK > '{0}.new'; mv '{0}.new' '{0}'", told.display());
    // One that takes its time.
    let manager = ["sh", "-c", "sleep 1; exec openbox --sm-disable"];
    create(&server, json!({ "name": "slow", "kind": "virtual", "window_manager": manager, "startup": ["sh", "-c", startup] })).await;
    assert_eq!(size(&server, "slow").await, json!([1280, 800]));
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while !told.exists() {
        assert!(tokio::time::Instant::now() < end, "it is not started");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = std::fs::read_to_string(&told).unwrap();
    assert!(told.contains("window id # 0x"), "there was no window manager yet: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let server = served::start_with(|config| config.desktop.max_targets = 1).await;
    for (spec, path) in [
        (json!({ "kind": "virtual" }), "/name"),
        (json!({ "name": "", "kind": "virtual" }), "/name"),
        (json!({ "name": "a/b", "kind": "virtual" }), "/name"),
        (json!({ "name": "x".repeat(65), "kind": "virtual" }), "/name"),
        (json!({ "name": "default", "kind": "virtual" }), "/name"),
        (json!({ "name": "a", "kind": "mirror" }), "/kind"),
        (json!({ "name": "a", "kind": "virtual", "width": 9 }), "/width"),
        (json!({ "name": "a", "kind": "virtual", "height": 1_000_000_000 }), "/height"),
        (json!({ "name": "a", "kind": "virtual", "width": 16000 }), "/width"),
        (json!({ "name": "a", "kind": "virtual", "speed": 1 }), "/speed"),
        (json!({ "name": "a", "kind": "virtual", "startup": [""] }), "/startup"),
    ] {
        let (status, answer) = server.post("/api/desktop/targets", &spec).await;
        assert_eq!((status, &answer["details"]["errors"][0]["path"]), (422, &json!(path)), "{spec}: {answer}");
    }
    create(&server, json!({ "name": "a", "kind": "virtual" })).await;
    for name in ["a", "b"] {
        let (status, answer) = server.post("/api/desktop/targets", &json!({ "name": name, "kind": "virtual" })).await;
        assert_eq!((status, &answer["error_code"]), (409, &json!("CONFLICT")), "{answer}");
    }
    assert_eq!(delete(&server, "default").await.0, 409);
    assert_eq!(server.get("/api/desktop/targets").await.1["count"], 2);
    // Whoever names what is not there hears what is.
    for (status, answer) in [
        server.get("/api/desktop/info?target=b").await,
        server.get("/api/desktop/frame?target=b").await,
        server.get("/api/desktop/windows?target=b").await,
        server.get("/api/automation/clipboard?target=b").await,
        server.get("/api/automation/status?target=b").await,
        server.get("/api/desktop/targets/b").await,
        server.post("/api/desktop/screenshot", &json!({ "target": "b" })).await,
        server.post("/api/automation/mouse/click", &json!({ "x": 1, "y": 1, "target": "b" })).await,
        server.post("/api/automation/keyboard/type", &json!({ "text": "a", "target": "b" })).await,
        server.post("/api/snapshots/create", &json!({ "target": "b" })).await,
        delete(&server, "b").await,
    ] {
        assert_eq!((status, &answer["details"]["targets"]), (404, &json!(["default", "a"])), "{answer}");
    }
    let (status, answer) = server.post("/api/desktop/screenshot", &json!({ "target": "no such name" })).await;
    assert_eq!((status, &answer["details"]["errors"][0]["path"]), (422, &json!("/target")), "{answer}");
    let said = run(
        &server,
        &format!("{SCREEN}let said = (); try {{ desktop::use(\"b\"); }} catch (error) {{ said = error.details.targets; }} said"),
    )
    .await;
    assert_eq!(said, json!(["default", "a"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_makes_and_deletes_them() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let (user, admin) = (server.key("desktop read").await, server.key("admin").await);
    let client = reqwest::Client::new();
    let make = async |key: &str| {
        let spec = json!({ "name": "a", "kind": "virtual" });
        client.post(server.url("/api/desktop/targets")).bearer_auth(key).json(&spec).send().await.unwrap().status().as_u16()
    };
    assert_eq!((make(&user).await, make(&admin).await), (403, 201));
    let seen = client.get(server.url("/api/desktop/frame?target=a")).bearer_auth(&user).send().await.unwrap();
    assert_eq!(seen.status(), 200);
    let gone = client.delete(server.url("/api/desktop/targets/a")).bearer_auth(&user).send().await.unwrap();
    assert_eq!(gone.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_away_says_so_and_nobody_is_shown_its_password() {
    let server = served::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("vnc://127.0.0.1:{nobody}");
    let spec = json!({ "name": "far", "kind": "vnc", "address": address, "password": "sesame-4711" });
    let created = create(&server, spec).await;
    assert_eq!((&created["kind"], &created["address"], &created["width"]), (&json!("vnc"), &json!(address), &Value::Null));
    let (status, answer) = server.post("/api/desktop/screenshot", &json!({ "target": "far" })).await;
    assert_eq!((status, &answer["details"]["target"]), (503, &json!("far")), "{answer}");
    let said = run(
        &server,
        &format!("{SCREEN}let said = (); try {{ desktop::use(\"far\"); screen::capture(); }} catch (error) {{ said = error; }} said"),
    )
    .await;
    assert_eq!((&said["code"], &said["details"]["target"]), (&json!("SERVICE_UNAVAILABLE"), &json!("far")));
    let (_, all) = server.get("/api/desktop/targets").await;
    for shown in [&created, &answer, &said, &all] {
        assert!(!shown.to_string().contains("sesame"), "{shown}");
    }
    assert_eq!(server.get("/api/desktop/info").await.0, 200);
    let server = server.restarted().await;
    assert_eq!(server.get("/api/desktop/targets/far").await.1["address"], json!(address));
}
