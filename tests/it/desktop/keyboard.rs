//! Typing into real windows.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trae::error::{Classify as _, Kind};
use trae::input::{Click, Hotkey, Input, KEY_NAMES, KeyHold, Physical, Press, TypeText};

use super::display::{Display, Window, eventually};

const EVERY: &str = "Aa1!@#{}[]\\|~ äöüß ÄÖÜ éèçñ € \" ' `^´$%&/()=?+*<>,;.:-_";

fn text(text: &str) -> TypeText {
    TypeText { text: text.to_owned(), interval: 0.0, allow_control: true }
}

fn click(x: i32, y: i32) -> Click {
    serde_json::from_value(serde_json::json!({"x": x, "y": y})).unwrap()
}

fn never() -> CancellationToken {
    CancellationToken::new()
}

/// Types `what` with Return after it, and waits for it to arrive.
fn check(input: &Input, file: &Path, what: &str) {
    let before = std::fs::read_to_string(file).unwrap_or_default();
    input.type_text(&text(&format!("{what}\n")), &never()).unwrap();
    let expected = format!("{before}{what}\n");
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let typed = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        if typed == expected {
            return;
        }
        assert!(Instant::now() < end, "\ntyped    {expected:?}\narrived  {typed:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn types_everything(layout: &[&str], managed: bool) {
    let mut display = Display::start((800, 600));
    if managed {
        display.manage();
    }
    display.run("setxkbmap", layout);
    let file = display.typewriter();
    let input = Input::open(Some(display.name())).unwrap();
    input.click(&click(100, 100), &never()).unwrap();
    if managed {
        // Again and again: the window may not be where the first click went yet.
        eventually("the terminal's focus", || {
            input.click(&click(100, 100), &never()).unwrap();
            let active = display.command("xdotool", &["getactivewindow"]).output().unwrap();
            active.status.success().then_some(())
        });
    }
    for _ in 0..3 {
        check(&input, &file, EVERY);
    }
    check(&input, &file, &EVERY.repeat(5));
}

#[test]
fn every_character_arrives_with_the_us_layout() {
    types_everything(&["us"], false);
}

#[test]
fn every_character_arrives_with_the_german_layout() {
    types_everything(&["de"], false);
}

#[test]
fn every_character_arrives_with_the_us_layout_and_a_window_manager() {
    types_everything(&["us"], true);
}

#[test]
fn every_character_arrives_with_the_german_layout_and_a_window_manager() {
    types_everything(&["de"], true);
}

#[test]
fn every_character_arrives_with_a_russian_and_a_french_layout() {
    types_everything(&["ru,fr"], false);
}

#[test]
fn every_character_arrives_with_the_french_layout() {
    types_everything(&["fr"], false);
}

#[test]
fn every_character_arrives_with_a_layout_of_dead_keys() {
    types_everything(&["us", "-variant", "intl"], false);
}

#[test]
fn what_an_input_method_composed_arrives() {
    for layout in [&["de"][..], &["us", "-variant", "intl"]] {
        let mut display = Display::start((800, 600));
        display.run("setxkbmap", layout);
        let file = display.typewriter();
        let input = Input::open(Some(display.name())).unwrap();
        input.click(&click(100, 100), &never()).unwrap();
        for text in ["日本語をにほんごで", "한국어", "ê ñ ő ç ß ÿ", "e\u{301}", "Ελληνικά и кириллица"]
        {
            check(&input, &file, text);
        }
    }
}

/// Presses keys by their places, those before a `+` held down meanwhile.
fn press_places(input: &Input, places: &str) {
    for stroke in places.split_whitespace() {
        let keys: Vec<Physical> = stroke.split('+').map(|code| Physical::of_code(code).unwrap()).collect();
        let (last, held) = keys.split_last().unwrap();
        held.iter().for_each(|key| input.code_down(*key).unwrap());
        input.code_press(*last).unwrap();
        held.iter().rev().for_each(|key| input.code_up(*key).unwrap());
    }
}

#[test]
fn keys_by_place_type_what_the_layout_has_there_dead_keys_and_altgr_too() {
    for (layout, places, typed) in [
        (&["us"][..], "KeyZ KeyY ShiftLeft+Digit2 Slash Quote", "zy@/'"),
        (&["de"], "KeyZ KeyY Minus IntlBackslash AltRight+KeyQ AltRight+KeyE ShiftRight+KeyA", "yzß<@€A"),
        // Acute and circumflex wait for their letter.
        (&["de"], "Equal KeyE Backquote KeyA Backquote Space", "éâ^"),
        (&["fr"], "KeyQ Digit2 AltRight+Digit0 ShiftLeft+Semicolon BracketLeft KeyE ShiftLeft+BracketLeft KeyI", "aé@Mêï"),
        (&["us", "-variant", "intl"], "Quote KeyE ShiftLeft+Backquote KeyN AltRight+KeyS ShiftLeft+Digit6 KeyO Quote Space", "éñßô'"),
    ] {
        let mut display = Display::start((800, 600));
        display.run("setxkbmap", layout);
        let file = display.typewriter();
        let input = Input::open(Some(display.name())).unwrap();
        input.click(&click(100, 100), &never()).unwrap();
        press_places(&input, places);
        press_places(&input, "Enter");
        let typed = typed.to_owned() + "\n";
        let arrived = || std::fs::read_to_string(&file).unwrap_or_default();
        let end = Instant::now() + Duration::from_secs(10);
        while !arrived().ends_with('\n') {
            assert!(Instant::now() < end, "{layout:?} {places}: {:?} instead of {typed:?}", arrived());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(arrived(), typed, "{layout:?} {places}");
    }
}

#[test]
fn every_place_of_a_keyboard_is_known_by_its_browsers_name() {
    let display = Display::start((800, 600));
    let window = Window::open(&display, (0, 0), (800, 600), 0);
    let input = Input::open(Some(display.name())).unwrap();
    input.click(&click(5, 5), &never()).unwrap();
    window.story();
    for (code, key) in [("KeyA", 38), ("KeyQ", 24), ("Digit1", 10), ("Space", 65), ("Enter", 36), ("Escape", 9), ("ShiftLeft", 50)] {
        input.code_press(Physical::of_code(code).unwrap()).unwrap();
        assert_eq!(window.story(), [format!("key {key} down"), format!("key {key} up")], "{code}");
    }
    let error = Physical::of_code("KeyÄ").unwrap_err();
    assert_eq!((error.kind(), error.details().unwrap()["errors"][0]["path"].as_str()), (Kind::ValidationError, Some("/code")), "{error}");
}

#[test]
fn every_character_arrives_while_the_second_layout_is_active() {
    let mut display = Display::start((800, 600));
    display.run("setxkbmap", &["us,de", "-option", "grp:menu_toggle"]);
    display.run("xdotool", &["key", "Menu"]);
    let file = display.typewriter();
    let input = Input::open(Some(display.name())).unwrap();
    input.click(&click(100, 100), &never()).unwrap();
    check(&input, &file, EVERY);
    check(&input, &file, "zyZY");
}

#[test]
fn caps_lock_changes_nothing_and_stays_on() {
    let mut display = Display::start((800, 600));
    let file = display.typewriter();
    let input = Input::open(Some(display.name())).unwrap();
    input.click(&click(100, 100), &never()).unwrap();
    input.press(&Press { key: "capslock".to_owned(), presses: 1, interval: 0.0 }, &never()).unwrap();
    check(&input, &file, EVERY);
    let leds = display.run("xset", &["q"]);
    assert!(leds.contains("Caps Lock:   on"), "{leds}");
}

#[test]
fn more_new_symbols_than_spare_keys_arrive() {
    let mut display = Display::start((800, 600));
    let file = display.typewriter();
    let input = Input::open(Some(display.name())).unwrap();
    input.click(&click(100, 100), &never()).unwrap();
    let greek: String = ('α'..='ω').chain('а'..='я').chain('À'..='ÿ').chain(['→', '√', '‰']).collect();
    check(&input, &file, &greek);
    check(&input, &file, &greek.chars().rev().collect::<String>());
}

#[test]
fn the_keyboard_is_as_before_when_all_is_typed() {
    let display = Display::start((800, 600));
    let before = display.run("xmodmap", &["-pke"]);
    let input = Input::open(Some(display.name())).unwrap();
    input.type_text(&text("äöü→€"), &never()).unwrap();
    assert_ne!(display.run("xmodmap", &["-pke"]), before);
    eventually("the spare keys to go back", || (display.run("xmodmap", &["-pke"]) == before).then_some(()));
    input.type_text(&text("äöü→€"), &never()).unwrap();
    drop(input);
    assert_eq!(display.run("xmodmap", &["-pke"]), before);
}

#[test]
fn a_form_gets_what_is_typed() {
    let mut display = Display::start((800, 600));
    display.manage();
    let child = display.command("zenity", &["--entry", "--text=Name"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    eventually("the form's focus", || {
        let name = display.command("xdotool", &["getactivewindow", "getwindowname"]).output().unwrap();
        String::from_utf8_lossy(&name.stdout).contains("Add a new entry").then_some(())
    });
    let input = Input::open(Some(display.name())).unwrap();
    input.type_text(&text(&format!("{EVERY}\n")), &never()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end_matches('\n'), EVERY);
}

#[test]
fn what_cannot_be_typed_is_refused_whole() {
    let display = Display::start((800, 600));
    let window = Window::open(&display, (0, 0), (800, 600), 0);
    let input = Input::open(Some(display.name())).unwrap();
    for bad in ["abc\0", "abc\u{1b}", &"a".repeat(100_001), &"a".repeat(1 << 20)] {
        assert_eq!(input.type_text(&text(bad), &never()).unwrap_err().kind(), Kind::ValidationError);
    }
    // What came from a screen or a file presses no keys by itself.
    for data in ["rm x\n", "a\tb", "\r"] {
        let action = TypeText { text: data.to_owned(), interval: 0.0, allow_control: false };
        assert_eq!(input.type_text(&action, &never()).unwrap_err().kind(), Kind::ValidationError, "{data:?}");
    }
    for interval in [-1.0, 61.0, f64::NAN, f64::INFINITY] {
        let action = TypeText { text: "abc".to_owned(), interval, allow_control: false };
        assert_eq!(input.type_text(&action, &never()).unwrap_err().kind(), Kind::ValidationError);
        let action = Press { key: "a".to_owned(), presses: 1, interval };
        assert_eq!(input.press(&action, &never()).unwrap_err().kind(), Kind::ValidationError);
    }
    for presses in [0, 1001] {
        let action = Press { key: "a".to_owned(), presses, interval: 0.0 };
        assert_eq!(input.press(&action, &never()).unwrap_err().kind(), Kind::ValidationError);
    }
    let keys = ["ctrl", "entr"].map(str::to_owned).to_vec();
    let error = input.hotkey(&Hotkey { keys }).unwrap_err();
    assert!(error.to_string().contains("enter"), "{error}");
    assert_eq!(error.details().unwrap()["errors"][0]["path"], "/keys/1");
    assert_eq!(input.hotkey(&Hotkey { keys: vec![] }).unwrap_err().kind(), Kind::ValidationError);
    assert_eq!(window.story(), Vec::<String>::new());
}

#[test]
fn every_key_name_presses_and_releases() {
    let display = Display::start((800, 600));
    let window = Window::open(&display, (0, 0), (800, 600), 0);
    let input = Input::open(Some(display.name())).unwrap();
    input.click(&click(5, 5), &never()).unwrap();
    window.story();
    for name in KEY_NAMES {
        input.press(&Press { key: name.to_owned(), presses: 1, interval: 0.0 }, &never()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let story = window.story();
        assert!(story.len() >= 2 && story.len().is_multiple_of(2), "{name}: {story:?}");
    }
}

#[test]
fn keys_go_down_in_order_and_up_in_reverse() {
    let display = Display::start((800, 600));
    let window = Window::open(&display, (0, 0), (800, 600), 0);
    let input = Input::open(Some(display.name())).unwrap();
    input.click(&click(5, 5), &never()).unwrap();
    window.story();
    input.hotkey(&Hotkey { keys: ["ctrl", "shift", "t"].map(str::to_owned).to_vec() }).unwrap();
    assert_eq!(window.story(), ["key 37 down", "key 50 down", "key 28 down", "key 28 up", "key 50 up", "key 37 up"]);
    input.key_down(&KeyHold { key: "A".to_owned() }).unwrap();
    assert_eq!(window.story(), ["key 50 down", "key 38 down"]);
    input.key_up(&KeyHold { key: "A".to_owned() }).unwrap();
    assert_eq!(window.story(), ["key 38 up", "key 50 up"]);
}

#[test]
fn typing_stops_when_cancelled() {
    let display = Display::start((800, 600));
    let input = Input::open(Some(display.name())).unwrap();
    let cancel = never();
    let later = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        later.cancel();
    });
    let start = Instant::now();
    let action = TypeText { text: "abc".repeat(100), interval: 30.0, allow_control: false };
    assert_eq!(input.type_text(&action, &cancel).unwrap_err().kind(), Kind::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(10));
    // The keyboard is free again.
    input.hotkey(&Hotkey { keys: vec!["a".to_owned()] }).unwrap();
}
