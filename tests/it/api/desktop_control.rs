//! Who is at the controls of the desktop: people, runs, and the emergency stop that ends what they do.

use std::process::Command;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use super::served::{self, Server, node};
use crate::desktop::display::{Window, eventually, managed};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server, the name of its display, and a window that fills it.
async fn start() -> (Server, String, Window) {
    start_with(|_| {}).await
}

async fn start_with(change: impl FnOnce(&mut trae::config::Config)) -> (Server, String, Window) {
    let server = served::start_with(change).await;
    let name = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&name);
    let window = Window::open_on(&name, (0, 0), (1280, 800), 0);
    window.focus();
    (server, name, window)
}

/// Starts a script that may use mouse, keyboard and files; gives the run.
async fn run(server: &Server, name: &str, source: &str) -> String {
    let source = format!(
        "//! A test's.\n//! ---\n//! permissions = {{ input = true, read = [\"**\"] }}\n//! [limits]\n//! seconds = 2\n//! ---\n{source}"
    );
    let put = reqwest::Client::new().put(server.url(&format!("/api/scripts/{name}.rhai"))).json(&json!({ "source": source }));
    let put = put.send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let (_, started) = server.post(&format!("/api/scripts/{name}.rhai/run"), &json!({})).await;
    started["run_id"].as_str().unwrap_or_else(|| panic!("it was not started: {started}")).to_owned()
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The run, once it has that status.
async fn run_is(server: &Server, run_id: &str, status: &str) -> Value {
    until(status, async || {
        let (_, run) = server.get(&format!("/api/runs/{run_id}")).await;
        assert!(run["finished_at"].is_null() || run["status"] == status, "instead of {status}: {run}");
        (run["status"] == status).then_some(run)
    })
    .await
}

async fn post_as(server: &Server, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(server.url(path)).header("X-Control-Token", token).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Takes control over REST; gives the token.
async fn take(server: &Server, name: &str) -> String {
    let (status, answer) = server.post("/api/desktop/control/take", &json!({ "name": name })).await;
    assert_eq!((status, &answer["you"]["holds"], &answer["holder"]["name"]), (200, &json!(true), &json!(name)), "{answer}");
    answer["you"]["token"].as_str().unwrap().to_owned()
}

/// What the window has seen, once it is so much.
fn seen(window: &Window, count: usize) -> Vec<String> {
    let mut story = Vec::new();
    eventually("the window to see it", || {
        story.extend(window.story());
        (story.len() >= count).then_some(())
    });
    story
}

async fn connect(server: &Server) -> Client {
    connect_async(format!("ws://{}/ws/desktop-stream", server.address)).await.unwrap().0
}

async fn say(client: &mut Client, message: Value) {
    client.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message that fits; pictures and others before it are passed over.
async fn hear(client: &mut Client, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let heard = async {
        loop {
            match client.next().await.unwrap().unwrap() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if fits(&message) {
                        return message;
                    }
                }
                Message::Close(_) => panic!("the socket was closed instead of {what}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn hears_that(client: &mut Client, holder: &str) -> Value {
    hear(client, holder, |message| message["type"] == "control" && message["holder"]["name"] == holder).await
}

/// The keys that are down at a display.
fn keys_down(display: &str) -> Vec<usize> {
    let (connection, _) = RustConnection::connect(Some(display)).unwrap();
    let keys = connection.query_keymap().unwrap().reply().unwrap().keys;
    (0..256).filter(|code| keys[code / 8] & (1 << (code % 8)) != 0).collect()
}

/// The buttons and modifiers that are down at a display.
fn mask(display: &str) -> u16 {
    let (connection, screen) = RustConnection::connect(Some(display)).unwrap();
    let root = connection.setup().roots[screen].root;
    connection.query_pointer(root).unwrap().reply().unwrap().mask.into()
}

fn xdotool(display: &str, arguments: &[&str]) {
    assert!(Command::new("xdotool").env("DISPLAY", display).args(arguments).status().expect("xdotool is installed").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_waits_while_a_person_is_at_the_controls_and_says_so() {
    let (server, _, window) = start().await;
    assert_eq!(server.get("/api/desktop/control").await.1["holder"], Value::Null);
    let token = take(&server, "Ann").await;
    let id = run(&server, "clicks", r#"step("click", || mouse::click(30, 40));"#).await;
    let waiting = run_is(&server, &id, "waiting").await;
    let wait = &waiting["waits"][0];
    assert_eq!((&wait["kind"], &wait["step_id"], &wait["until"]), (&json!("control"), &json!("click"), &Value::Null), "{waiting}");
    assert_eq!(wait["details"], json!({ "reason": "person at the controls", "holder": "Ann" }));
    assert_eq!(waiting["steps"][0]["status"], "waiting");
    let (_, queue) = server.get("/api/queue").await;
    assert_eq!((&queue["running"][0]["run_id"], &queue["waiting"]), (&json!(id), &json!(0)), "{queue}");
    assert_eq!(queue["running"][0]["reason"], "person at the controls: Ann");
    assert_eq!(queue["desktop"], json!({ "holder": "Ann", "waiting": [format!("run {id}")] }));
    let (_, control) = server.get("/api/desktop/control").await;
    assert_eq!((&control["holder"]["kind"], &control["waiting"][0]["run_id"]), (&json!("person"), &json!(id)), "{control}");
    assert_eq!(control["you"], Value::Null);

    // Who is not at the controls is told who is; who is, works.
    let click = json!({ "x": 5, "y": 6 });
    let (status, refused) = server.post("/api/automation/mouse/click", &click).await;
    assert_eq!((status, &refused["error_code"], &refused["details"]["holder"]), (409, &json!("CONFLICT"), &json!("Ann")), "{refused}");
    assert_eq!(post_as(&server, "/api/automation/mouse/click", "another", &click).await.0, 409);
    assert_eq!(post_as(&server, "/api/automation/mouse/click", &token, &click).await.0, 200);
    assert_eq!(seen(&window, 2), ["press 1 at 5,6", "release 1 at 5,6"]);

    // Longer than the script may compute.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(run_is(&server, &id, "waiting").await["steps"][0]["status"], "waiting");
    assert_eq!(window.story(), Vec::<String>::new());
    assert_eq!(post_as(&server, "/api/desktop/control/release", &token, &json!({})).await.0, 200);
    assert_eq!(seen(&window, 2), ["press 1 at 30,40", "release 1 at 30,40"]);
    let done = run_is(&server, &id, "succeeded").await;
    assert_eq!(done["waits"], json!([]));
    // The record keeps it, under numbers without gaps.
    let events = reqwest::get(server.url(&format!("/api/runs/{id}/events"))).await.unwrap().text().await.unwrap();
    let told = |name: &str| events.lines().filter(|line| *line == format!("event: {name}")).count();
    assert_eq!((told("wait_started"), told("wait_finished")), (1, 1), "{events}");
    assert!(events.contains("person at the controls"), "{events}");
    let numbers: Vec<u64> = events.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert_eq!(numbers, (1..=u64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>(), "{events}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_over_has_it_between_two_steps_of_a_run_which_then_goes_on_as_it_was() {
    let (server, name, window) = start().await;
    let source = r#"
        keyboard::down("ctrl");
        mouse::click(10, 10);
        while !files::exists("go") { time::sleep(0.05); }
        mouse::click(20, 20);
        keyboard::up("ctrl");
    "#;
    let id = run(&server, "two", source).await;
    let story = seen(&window, 3);
    assert_eq!(story[1..], ["press 1 at 10,10", "release 1 at 10,10"], "{story:?}");
    let other = run(&server, "other", "mouse::click(50, 50);").await;
    let token = take(&server, "Ann").await;
    // What the run holds down does not trouble the person.
    eventually("the key to be let go", || keys_down(&name).is_empty().then_some(()));
    std::fs::write(server.data.path().join("files/go"), "").unwrap();
    run_is(&server, &id, "waiting").await;
    assert_eq!(post_as(&server, "/api/automation/mouse/click", &token, &json!({ "x": 1, "y": 2 })).await.0, 200);
    window.story();
    assert_eq!(post_as(&server, "/api/desktop/control/release", &token, &json!({})).await.0, 200);
    run_is(&server, &id, "succeeded").await;
    run_is(&server, &other, "succeeded").await;
    let story = seen(&window, 6);
    let at = |told: &str| story.iter().position(|seen| seen == told).unwrap_or_else(|| panic!("{told} is not in {story:?}"));
    // The run that was interrupted goes first, with its key down.
    assert!(at("press 1 at 20,20") < at("press 1 at 50,50"));
    let (down, up) =
        (story.iter().position(|seen| seen.ends_with("down")).unwrap(), story.iter().position(|seen| seen.ends_with(" up")).unwrap());
    assert!(story[down].starts_with("key ") && down < at("press 1 at 20,20") && at("release 1 at 20,20") < up, "{story:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_is_asked_for_given_and_lost_with_the_connection() {
    let (server, _, window) = start().await;
    let (mut ann, mut bob, mut viewer) = (connect(&server).await, connect(&server).await, connect(&server).await);
    say(&mut viewer, json!({ "type": "start_stream", "config": { "fps": 5 } })).await;
    say(&mut ann, json!({ "type": "request_control", "name": "Ann" })).await;
    let told = hears_that(&mut ann, "Ann").await;
    assert_eq!((&told["you"]["holds"], &told["holder"]["id"]), (&json!(true), &told["you"]["id"]), "{told}");
    let told = hears_that(&mut viewer, "Ann").await;
    assert_eq!(told["you"], Value::Null, "{told}");
    say(&mut bob, json!({ "type": "request_control", "name": "Bob" })).await;
    let told = hear(&mut ann, "Bob's request", |message| message["requests"][0]["name"] == "Bob").await;
    // Whoever only waits or watches cannot do anything, and hears why; once for all movements.
    for client in [&mut bob, &mut viewer] {
        for x in 0..5 {
            say(client, json!({ "type": "mouse_move", "x": x, "y": 1 })).await;
            say(client, json!({ "type": "ping" })).await;
            hear(client, "a pong", |message| message["type"] == "pong").await;
        }
        say(client, json!({ "type": "click", "x": 1, "y": 1 })).await;
        let refused = hear(client, "an error", |message| message["type"] == "error").await;
        assert_eq!((&refused["error_code"], &refused["details"]["holder"]), (&json!("CONFLICT"), &json!("Ann")), "{refused}");
    }
    say(&mut bob, json!({ "type": "give_control", "to": 1 })).await;
    assert_eq!(
        hear(&mut bob, "an error", |message| message["type"] == "error" && !message["error"].as_str().unwrap().contains("at the controls"))
            .await["error_code"],
        "CONFLICT"
    );
    say(&mut ann, json!({ "type": "give_control", "to": 9999 })).await;
    assert_eq!(hear(&mut ann, "an error", |message| message["type"] == "error").await["error_code"], "NOT_FOUND");
    say(&mut ann, json!({ "type": "give_control", "to": told["requests"][0]["id"] })).await;
    let told = hears_that(&mut bob, "Bob").await;
    assert_eq!(told["you"]["holds"], true, "{told}");
    hears_that(&mut viewer, "Bob").await;
    say(&mut bob, json!({ "type": "click", "x": 7, "y": 8 })).await;
    assert_eq!(seen(&window, 2), ["press 1 at 7,8", "release 1 at 7,8"]);
    // A run waits for him too. He vanishes without a word, with a key down.
    say(&mut bob, json!({ "type": "key", "code": "ShiftLeft", "action": "down" })).await;
    seen(&window, 1);
    let id = run(&server, "clicks", "mouse::click(30, 40);").await;
    run_is(&server, &id, "waiting").await;
    drop(bob);
    run_is(&server, &id, "succeeded").await;
    let story = seen(&window, 3);
    assert!(story[0].ends_with("up") && story[1..] == ["press 1 at 30,40", "release 1 at 30,40"], "{story:?}");
    hear(&mut viewer, "nobody at the controls", |message| message["type"] == "control" && message["holder"].is_null()).await;
    // Take over from a person: who had control is told, and has it no longer.
    say(&mut ann, json!({ "type": "take_control", "name": "Ann" })).await;
    hear(&mut ann, "control", |message| message["you"]["holds"] == true).await;
    let token = take(&server, "Cleo").await;
    let lost = hear(&mut ann, "an error", |message| message["type"] == "error").await;
    assert_eq!((&lost["error_code"], &lost["details"]["holder"]), (&json!("CONFLICT"), &json!("Cleo")), "{lost}");
    assert_eq!(hears_that(&mut ann, "Cleo").await["you"], Value::Null);
    assert_eq!(post_as(&server, "/api/desktop/control/release", &token, &json!({})).await.0, 200);
    assert_eq!(post_as(&server, "/api/desktop/control/release", &token, &json!({})).await.0, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_nothing_loses_control_and_runs_go_on() {
    let (server, _, window) = start_with(|config| config.desktop.control_idle = Duration::from_secs(1)).await;
    let token = take(&server, "Ann").await;
    let id = run(&server, "clicks", "mouse::click(30, 40);").await;
    run_is(&server, &id, "succeeded").await;
    assert_eq!(seen(&window, 2), ["press 1 at 30,40", "release 1 at 30,40"]);
    assert_eq!(post_as(&server, "/api/desktop/control/release", &token, &json!({})).await.0, 409);
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "request_control" })).await;
    hears_that(&mut client, "somebody").await;
    let lost = hear(&mut client, "an error", |message| message["type"] == "error").await;
    assert!(lost["error"].as_str().unwrap().contains("nothing was done"), "{lost}");
    // Whoever works keeps it, for longer than that.
    say(&mut client, json!({ "type": "request_control", "name": "Ann" })).await;
    for x in 0..15 {
        say(&mut client, json!({ "type": "mouse_move", "x": x, "y": 1 })).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(server.get("/api/desktop/control").await.1["holder"]["name"], "Ann");
    }
}

/// Ends a run in the midst of typing, with a key and a button down.
async fn ends_mid_typing(server: &Server, name: &str, window: &Window, how: &str, stop: impl AsyncFnOnce()) {
    let source = r#"
        let text = "";
        for i in 0..200 { text += "typed "; }
        keyboard::down("f9");
        mouse::down(#{ x: 100, y: 100 });
        try { step("type", || keyboard::type_text(#{ text: text, interval: 0.02 })); } catch { }
        loop { time::sleep(0.1); }
    "#;
    window.story();
    let id = run(server, "types", source).await;
    seen(window, 20);
    stop().await;
    let ended = run_is(server, &id, "cancelled").await;
    assert_eq!(ended["error"]["code"], "CANCELLED", "{ended}");
    assert!(ended["error"]["message"].as_str().unwrap().contains(&format!("emergency stop ({how})")), "{ended}");
    assert_eq!(ended["steps"][0]["status"], "cancelled", "{ended}");
    eventually("everything to be let go", || (keys_down(name).is_empty() && mask(name) & 0x1f00 == 0).then_some(()));
    window.story();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(window.story(), Vec::<String>::new(), "nothing comes after it");
    let (_, control) = server.get("/api/desktop/control").await;
    assert_eq!(control["emergency"]["stopped"], json!([format!("run {id}")]), "{control}");
    assert_eq!((&control["holder"]["name"], &control["holder"]["kind"]), (&json!("the emergency stop"), &json!("person")), "{control}");
    // Whoever wants to go on at once ends the quiet.
    assert_eq!(server.post("/api/desktop/control/release", &json!({})).await.0, 200);
    assert_eq!(server.get("/api/desktop/control").await.1["holder"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_stop_ends_a_run_in_the_midst_of_typing_in_each_of_its_ways() {
    let (server, name, window) = start().await;
    let stop = async || {
        let (status, answer) = server.post("/api/desktop/emergency-stop", &json!({})).await;
        assert_eq!((status, &answer["stopped"][0]["kind"]), (200, &json!("run")), "{answer}");
        // It is quiet when this is answered.
        assert_eq!(keys_down(&name), Vec::<usize>::new());
    };
    ends_mid_typing(&server, &name, &window, "API", stop).await;
    ends_mid_typing(&server, &name, &window, "hot key", async || xdotool(&name, &["key", "ctrl+alt+shift+Escape"])).await;
    ends_mid_typing(&server, &name, &window, "corner of the screen", async || xdotool(&name, &["mousemove", "0", "0"])).await;
    // As a hand moves it, step by step, and not only to a point.
    xdotool(&name, &["mousemove", "300", "300"]);
    let push = async || xdotool(&name, &["mousemove_relative", "--", "-2000", "-2000"]);
    ends_mid_typing(&server, &name, &window, "corner of the screen", push).await;
    // Nothing is held up by what was not meant.
    xdotool(&name, &["mousemove", "300", "300", "mousemove", "0", "0", "key", "ctrl+alt+shift+Escape"]);
    assert_eq!(server.post("/api/automation/mouse/click", &json!({ "x": 1, "y": 1 })).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_script_does_in_the_corner_or_with_those_keys_stops_nothing() {
    let (server, name, window) = start().await;
    let source = r#"
        for i in 0..5 {
            mouse::move_to(0, 0);
            time::sleep(0.06);
            mouse::move_to(#{ x: 300, y: 300, duration: 0.1 });
            mouse::move_to(#{ x: 0, y: 0, duration: 0.1 });
            keyboard::hotkey(["ctrl", "alt", "shift", "esc"]);
            mouse::scroll(#{ x: 0, y: 0, dy: 1 });
        }
        while !files::exists("go") { time::sleep(0.05); }
        mouse::move_to(0, 0);
    "#;
    let id = run(&server, "corner", source).await;
    eventually("the last turn of the wheel", || {
        (window.story().iter().filter(|told| told.starts_with("press 5")).count() >= 1).then_some(())
    });
    // A viewer's hand is no stranger's either.
    std::fs::write(server.data.path().join("files/go"), "").unwrap();
    run_is(&server, &id, "succeeded").await;
    let token = take(&server, "Ann").await;
    let waits = run(&server, "waits", "mouse::click(9, 9);").await;
    run_is(&server, &waits, "waiting").await;
    assert_eq!(post_as(&server, "/api/automation/mouse/move", &token, &json!({ "x": 0, "y": 0 })).await.0, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.get("/api/desktop/control").await.1["holder"]["name"], "Ann");
    // A person who pushes the pointer out and in again means it, although it is where it was put.
    xdotool(&name, &["mousemove", "200", "200", "sleep", "0.5", "mousemove", "0", "0"]);
    until("the stop", async || {
        let (_, control) = server.get("/api/desktop/control").await;
        (control["emergency"]["how"] == "corner").then_some(())
    })
    .await;
    // The run that only waited goes on after the quiet.
    run_is(&server, &waits, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_stop_ends_actions_and_what_viewers_hold_and_others_go_on() {
    let (server, name, window) = start_with(|config| config.desktop.emergency_pause = Duration::from_secs(1)).await;
    let held = tokio::spawn({
        let url = server.url("/api/automation/mouse/click");
        async move { reqwest::Client::new().post(url).json(&json!({ "x": 5, "y": 5, "duration": 60 })).send().await.unwrap() }
    });
    assert_eq!(seen(&window, 1), ["press 1 at 5,5"]);
    let waits = run(&server, "waits", "mouse::click(9, 9);").await;
    until("the run to wait", async || (server.get("/api/desktop/control").await.1["waiting"][0]["run_id"] == json!(waits)).then_some(()))
        .await;
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "emergency_stop" })).await;
    let told = hears_that(&mut client, "the emergency stop").await;
    assert_eq!((&told["emergency"]["how"], &told["emergency"]["stopped"]), (&json!("api"), &json!(["an action over REST"])), "{told}");
    let answer = held.await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert_eq!((status, &body["details"]["emergency_stop"]), (409, &json!("api")), "{body}");
    run_is(&server, &waits, "succeeded").await;
    assert_eq!(seen(&window, 3), ["release 1 at 5,5", "press 1 at 9,9", "release 1 at 9,9"]);
    // What a viewer holds down is let go, and it is told; its control is gone as well.
    say(&mut client, json!({ "type": "take_control", "name": "Ann" })).await;
    say(&mut client, json!({ "type": "key", "code": "KeyA", "action": "down" })).await;
    say(&mut client, json!({ "type": "mouse_down", "x": 3, "y": 3 })).await;
    seen(&window, 2);
    assert_eq!(server.post("/api/desktop/emergency-stop", &json!({})).await.1["stopped"][0]["name"], "Ann");
    assert!(keys_down(&name).is_empty() && mask(&name) & 0x1f00 == 0);
    let lost = hear(&mut client, "an error", |message| message["type"] == "error").await;
    assert_eq!(lost["details"]["emergency_stop"], "api", "{lost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_look_can_neither_take_control_nor_stop_anything() {
    let (server, ..) = start_with(|config| config.security.api_key_enabled = true).await;
    let (look, act) = (server.key("read").await, server.key("desktop").await);
    let ask = async |method: reqwest::Method, path: &str, key: &str| {
        let request = reqwest::Client::new().request(method, server.url(path)).bearer_auth(key).json(&json!({}));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    for path in ["control/request", "control/take", "control/give", "control/release", "emergency-stop"] {
        assert_eq!(ask(reqwest::Method::POST, &format!("/api/desktop/{path}"), &look).await.0, 403, "{path}");
    }
    assert_eq!(ask(reqwest::Method::GET, "/api/desktop/control", &look).await.0, 200);
    // Who gives no name goes by the key's.
    let (status, taken) = ask(reqwest::Method::POST, "/api/desktop/control/take", &act).await;
    assert_eq!((status, &taken["holder"]["name"]), (200, &json!("a test")), "{taken}");
    let (_, seen) = ask(reqwest::Method::GET, "/api/desktop/control", &look).await;
    assert!(!seen.to_string().contains(taken["you"]["token"].as_str().unwrap()), "{seen}");
    let request = format!("ws://{}/ws/desktop-stream", server.address);
    let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(request).unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {look}").parse().unwrap());
    let mut client = connect_async(request).await.unwrap().0;
    for kind in ["request_control", "take_control", "release_control", "emergency_stop"] {
        say(&mut client, json!({ "type": kind })).await;
        let refused = hear(&mut client, "an error", |message| message["type"] == "error").await;
        assert_eq!(refused["error_code"], "PERMISSION_DENIED", "{kind}: {refused}");
    }
    assert_eq!(server.app.desktops.current().unwrap().controls().holder.unwrap().name, "a test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_outlives_the_display() {
    let (server, name, window) = start().await;
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "start_stream", "config": { "fps": 30 } })).await;
    say(&mut client, json!({ "type": "take_control", "name": "Ann" })).await;
    hears_that(&mut client, "Ann").await;
    drop(window);
    let pid = crate::desktop::targets::server(&name);
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    hear(&mut client, "the end of the stream", |message| message["type"] == "stream_stopped").await;
    until("another display", async || {
        say(&mut client, json!({ "type": "start_stream" })).await;
        let answer = hear(&mut client, "an answer", |message| message["type"] == "stream_started" || message["type"] == "error").await;
        (answer["type"] == "stream_started").then_some(())
    })
    .await;
    let name = server.app.desktops.current().unwrap().display().unwrap().to_owned();
    managed(&name);
    let window = Window::open_on(&name, (0, 0), (1280, 800), 0);
    assert_eq!(server.get("/api/desktop/control").await.1["holder"]["name"], "Ann");
    assert_eq!(server.post("/api/automation/mouse/click", &json!({ "x": 1, "y": 1 })).await.0, 409);
    say(&mut client, json!({ "type": "click", "x": 4, "y": 4 })).await;
    assert_eq!(seen(&window, 2), ["press 1 at 4,4", "release 1 at 4,4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_short_and_readable_and_a_request_is_renewed_by_its_token() {
    let (server, ..) = start().await;
    for name in ["", "a\u{7}b", &"x".repeat(65)] {
        for path in ["request", "take"] {
            let (status, refused) = server.post(&format!("/api/desktop/control/{path}"), &json!({ "name": name })).await;
            assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!("/name")), "{name:?}: {refused}");
        }
    }
    assert_eq!(server.post("/api/desktop/control/take", &json!({ "who": "me" })).await.0, 422);
    let ann = take(&server, "Ann").await;
    let (_, asked) = server.post("/api/desktop/control/request", &json!({ "name": "Bob" })).await;
    assert_eq!((&asked["you"]["holds"], &asked["requests"][0]["name"]), (&json!(false), &json!("Bob")), "{asked}");
    let bob = asked["you"]["token"].as_str().unwrap();
    let (_, again) = post_as(&server, "/api/desktop/control/request", bob, &json!({})).await;
    assert_eq!((&again["you"], again["requests"].as_array().unwrap().len()), (&asked["you"], 1), "{again}");
    let (status, given) = post_as(&server, "/api/desktop/control/give", &ann, &json!({ "to": asked["you"]["id"] })).await;
    assert_eq!((status, &given["holder"]["name"]), (200, &json!("Bob")), "{given}");
    assert_eq!(post_as(&server, "/api/desktop/control/request", bob, &json!({})).await.1["you"]["holds"], true);
    assert_eq!(post_as(&server, "/api/desktop/control/give", &ann, &json!({ "to": 1 })).await.0, 409);
}

/// A step has a time of its own; what a person takes of it does not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_does_not_run_out_of_time_while_a_person_is_at_the_controls() {
    let (server, _, window) = start().await;
    let mut click = node("click", "click_action", json!({ "x": 30, "y": 40 }));
    click["data"]["settings"] = json!({ "timeout": 1.5 });
    let nodes = [node("start", "manual_trigger", json!({})), click];
    let edges = json!([{ "id": "a", "source": "start", "target": "click" }]);
    server.post("/api/workflows/", &json!({ "id": "patient", "name": "patient", "nodes": nodes, "edges": edges })).await;
    let token = take(&server, "Ann").await;
    let (_, run) = server.post("/api/workflows/patient/execute", &json!({})).await;
    let id = run["run_id"].as_str().unwrap();
    run_is(&server, id, "waiting").await;
    // Twice as long as the step may take.
    tokio::time::sleep(Duration::from_secs(3)).await;
    run_is(&server, id, "waiting").await;
    assert_eq!(post_as(&server, "/api/desktop/control/release", &token, &json!({})).await.0, 200);
    run_is(&server, id, "succeeded").await;
    assert_eq!(seen(&window, 2), ["press 1 at 30,40", "release 1 at 30,40"]);
}
