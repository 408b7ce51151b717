//! The clipboard, with xclip on the other side.

use std::io::Write as _;
use std::process::Stdio;

use trae::clipboard::Clipboard;
use trae::error::{Classify as _, Kind};

use super::display::{Display, eventually};

fn copy(display: &Display, bytes: &[u8], more: &[&str]) {
    let arguments = [&["-selection", "clipboard", "-i"], more].concat();
    let mut child = display.command("xclip", &arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    // It answers from a child of its own once it owns the clipboard.
    assert!(child.wait().unwrap().success());
}

fn paste(display: &Display) -> String {
    display.run("xclip", &["-selection", "clipboard", "-o", "-t", "UTF8_STRING"])
}

#[test]
fn texts_go_both_ways() {
    let display = Display::start((320, 200));
    let clipboard = Clipboard::open(Some(display.name())).unwrap();
    assert_eq!(clipboard.get().unwrap(), "");
    for text in ["hello", "", "äöü € 漢字 🦀\nsecond line\t.", &"long €".repeat(1_000_000)] {
        clipboard.set(text).unwrap();
        let pasted = paste(&display);
        assert!(pasted == text, "xclip read {} bytes of {}", pasted.len(), text.len());
        assert!(clipboard.get().unwrap() == text);
        // xclip takes the clipboard some time after it returns: without a text to wait for, it could be after the next one is set.
        if !text.is_empty() {
            copy(&display, format!("{text}!").as_bytes(), &[]);
            eventually("what xclip holds", || (clipboard.get().unwrap() == format!("{text}!")).then_some(()));
        }
    }
    clipboard.set("and back again").unwrap();
    assert_eq!(paste(&display), "and back again");
}

#[test]
fn a_picture_is_no_text() {
    let display = Display::start((320, 200));
    let clipboard = Clipboard::open(Some(display.name())).unwrap();
    copy(&display, b"\x89PNG", &["-t", "image/png"]);
    let error = eventually("xclip to hold it", || clipboard.get().err());
    assert_eq!(error.kind(), Kind::Conflict);
}

#[test]
fn a_text_too_long_is_refused() {
    let display = Display::start((320, 200));
    let clipboard = Clipboard::open(Some(display.name())).unwrap();
    clipboard.set("kept").unwrap();
    assert_eq!(clipboard.set(&"a".repeat(16 * 1024 * 1024 + 1)).unwrap_err().kind(), Kind::ValidationError);
    assert_eq!(paste(&display), "kept");
}

#[test]
fn a_display_that_restarts_has_a_clipboard_again() {
    let mut display = Display::start_apart((320, 200));
    let name = display.name().to_owned();
    let clipboard = Clipboard::open(Some(&name)).unwrap();
    clipboard.set("before").unwrap();
    display.kill();
    assert_eq!(clipboard.set("lost").unwrap_err().kind(), Kind::ServiceUnavailable);
    assert_eq!(clipboard.get().unwrap_err().kind(), Kind::ServiceUnavailable);
    display.restart((320, 200));
    eventually("the display to come back", || clipboard.set("after").ok());
    assert_eq!(clipboard.get().unwrap(), "after");
}
