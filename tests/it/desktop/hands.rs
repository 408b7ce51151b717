//! Whose turn it is at mouse and keyboard, and what becomes of what somebody held down.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use trae::desktop::{Action, Desktop, Desktops, Hands, Mode, Settings};
use trae::error::{Classify as _, Kind};
use trae::input::{Button, Hold, KeyHold};

use super::display::{Window, eventually, managed};

fn open() -> (Arc<Desktops>, Arc<Desktop>, Window) {
    let desktops = Arc::new(Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (800, 600), ..Settings::default() }));
    let desktop = desktops.default().unwrap();
    managed(desktop.display().unwrap());
    let window = Window::open_on(desktop.display().unwrap(), (0, 0), (800, 600), 0);
    window.focus();
    (desktops, desktop, window)
}

fn never() -> CancellationToken {
    CancellationToken::new()
}

fn click(x: i32, duration: f64) -> Action {
    Action::Click(serde_json::from_value(json!({ "x": x, "y": 10, "duration": duration })).unwrap())
}

fn press(button: Button) -> Action {
    Action::ButtonDown(Hold { x: Some(5), y: Some(5), button })
}

/// What the window sees, until it is so much.
fn seen(window: &Window, count: usize) -> Vec<String> {
    let mut story = Vec::new();
    eventually("the window to see it", || {
        story.extend(window.story());
        (story.len() >= count).then_some(())
    });
    story
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_waits_for_whoever_has_the_turn() {
    let (_desktops, desktop, window) = open();
    let lease = desktop.lease("run 7", &never()).await.unwrap();
    assert_eq!(desktop.holder().as_deref(), Some("run 7"));
    let waiting = tokio::spawn({
        let desktop = Arc::clone(&desktop);
        async move { desktop.act("a test", click(20, 0.0), &never()).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(window.story(), Vec::<String>::new());
    drop(lease);
    waiting.await.unwrap().unwrap();
    assert_eq!(seen(&window, 2), ["press 1 at 20,10", "release 1 at 20,10"]);
    assert_eq!(desktop.holder(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_vain_is_told_for_whom() {
    let (_desktops, desktop, window) = open();
    let _lease = desktop.lease("run 7", &never()).await.unwrap();
    let error = desktop.act("a test", click(20, 0.0), &never()).await.unwrap_err();
    assert_eq!((error.kind(), error.details().unwrap()["holder"].as_str()), (Kind::Conflict, Some("run 7")), "{error}");
    assert_eq!(window.story(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_nobody_waits_for_stops_and_lets_go() {
    let (_desktops, desktop, window) = open();
    let action = {
        let desktop = Arc::clone(&desktop);
        tokio::spawn(async move { desktop.act("a test", click(30, 60.0), &never()).await })
    };
    assert_eq!(seen(&window, 1), ["press 1 at 30,10"]);
    action.abort();
    assert_eq!(seen(&window, 1), ["release 1 at 30,10"]);
    eventually("the turn to be free", || (!desktop.is_leased()).then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_vanished_client_held_is_let_go() {
    let (desktops, desktop, window) = open();
    let hands = Hands::new(Arc::clone(&desktops), "a client".to_owned());
    hands.act(press(Button::Right), never()).unwrap();
    hands.act(Action::KeyDown(KeyHold { key: "shift".to_owned() }), never()).unwrap();
    let story = seen(&window, 2);
    assert!(story[0].starts_with("press 3") && story[1].ends_with("down"), "{story:?}");
    // As long as something is held nobody comes between.
    assert_eq!(desktop.holder().as_deref(), Some("a client"));
    drop(hands);
    let story = seen(&window, 2);
    assert!(story.iter().any(|told| told.starts_with("release 3")) && story.iter().any(|told| told.ends_with("up")), "{story:?}");
    eventually("the turn to be free", || (!desktop.is_leased()).then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_and_its_release_are_one_turn() {
    let (desktops, desktop, window) = open();
    let hands = Hands::new(Arc::clone(&desktops), "a client".to_owned());
    hands.act(press(Button::Left), never()).unwrap();
    seen(&window, 1);
    let run = tokio::spawn({
        let desktop = Arc::clone(&desktop);
        async move { desktop.act("a run", click(99, 0.0), &never()).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    hands.act(Action::ButtonUp(Hold { x: Some(6), y: Some(6), button: Button::Left }), never()).unwrap();
    run.await.unwrap().unwrap();
    assert_eq!(seen(&window, 3), ["release 1 at 6,6", "press 1 at 99,10", "release 1 at 99,10"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_told_and_the_rest_is_done() {
    let (desktops, _desktop, window) = open();
    let mut hands = Hands::new(Arc::clone(&desktops), "a client".to_owned());
    for at in 0..1000 {
        hands.act(Action::Move(serde_json::from_value(json!({ "x": at % 800, "y": 1 })).unwrap()), never()).unwrap();
    }
    hands.act(click(8000, 0.0), never()).ok();
    let failure = tokio::time::timeout(Duration::from_secs(20), hands.complaint()).await.unwrap();
    assert_eq!(failure.code, Kind::ValidationError);
    hands.act(click(7, 0.0), never()).unwrap();
    assert_eq!(seen(&window, 2), ["press 1 at 7,10", "release 1 at 7,10"]);
}

#[test]
fn all_that_is_held_down_can_be_let_go_at_once() {
    let (_desktops, desktop, window) = open();
    desktop.input().down(&Hold { x: None, y: None, button: Button::Left }).unwrap();
    desktop.input().key_down(&KeyHold { key: "ctrl".to_owned() }).unwrap();
    seen(&window, 2);
    desktop.input().let_go().unwrap();
    let story = seen(&window, 2);
    assert!(story.iter().any(|told| told.starts_with("release 1")) && story.iter().any(|told| told.ends_with("up")), "{story:?}");
    desktop.input().let_go().unwrap();
    assert_eq!(window.story(), Vec::<String>::new());
}
