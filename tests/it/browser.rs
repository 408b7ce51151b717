//! The pages of `examples/clients/`, opened in a real browser: one shows what is on the screen, the other what is in a terminal.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use serde_json::json;
use tokio::time::Instant;
use trae::desktop::Desktop;
use trae::screen::Capture;

use super::api::{served, shell};
use super::desktop::display::{Window, managed};
use super::support::browser::{self, Browser, Line, serve_folder};

const PATIENCE: Duration = Duration::from_secs(40);

/// A terminal in which lines scroll by until it is told to stop, and then nothing happens any more.
struct Terminal {
    process: Child,
    folder: tempfile::TempDir,
}

impl Terminal {
    fn start(display: &str) -> Self {
        let script = "tput civis; i=0; while [ ! -e stop ]; do i=$((i+1)); printf '%d the quick brown fox %d\\n' $i $((i*7919)); sleep 0.01; done; exec sleep 600";
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("xterm");
        command.args(["-geometry", "120x50+20+20", "-fn", "fixed", "+sb", "-e", "sh", "-c", script]);
        command.env("DISPLAY", display).current_dir(folder.path());
        Self { process: command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), folder }
    }

    fn stop(&self) {
        std::fs::write(self.folder.path().join("stop"), "").unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until an expression is true in the page.
async fn becomes_true(browser: &mut Browser, expression: &str) {
    let end = Instant::now() + PATIENCE;
    while browser.ask(expression).await != true {
        assert!(Instant::now() < end, "{expression} did not become true; the page said {:?}", browser.complaints);
    }
}

/// What is on the page's canvas.
async fn canvas(browser: &mut Browser) -> Option<image::RgbImage> {
    let picture = browser.ask("document.getElementById('desktop').toDataURL('image/png')").await;
    let png = picture.as_str()?.strip_prefix("data:image/png;base64,")?.to_owned();
    let png = base64::engine::general_purpose::STANDARD.decode(png).ok()?;
    Some(image::load_from_memory(&png).ok()?.to_rgb8())
}

/// Waits until the page shows the screen, to the pixel, at a moment when the screen is at rest.
async fn shows_the_screen(browser: &mut Browser, desktop: &Arc<Desktop>, when: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let screen = desktop.screen().capture(&Capture { monitor: Some(0), region: None }).unwrap().to_rgb();
        let shown = canvas(browser).await;
        if shown.as_ref() == Some(&screen) {
            return;
        }
        if Instant::now() > end {
            let size = shown.as_ref().map(image::RgbImage::dimensions);
            let other = shown.map(|shown| shown.pixels().zip(screen.pixels()).filter(|(a, b)| a != b).count());
            panic!("{when} the page does not show the screen: {size:?}, {other:?} pixels differ; it said {:?}", browser.complaints);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_screen_after_changes_scrolls_and_a_lost_connection() {
    if !browser::is_there() {
        return;
    }
    let origin = serve_folder("examples/clients").await;
    let allowed = origin.clone();
    let server = served::start_with(|config| config.cors.origins = vec![allowed]).await;
    let desktop = server.app.desktops.ready().await.unwrap();
    let name = desktop.display().unwrap().to_owned();
    managed(&name);
    let line = Line::to(server.address).await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{origin}/desktop_stream.html?server={}", line.address)).await;
    shows_the_screen(&mut browser, &desktop, "at first").await;

    let window = Window::open_on(&name, (900, 100), (200, 150), 0x00_80_ff);
    shows_the_screen(&mut browser, &desktop, "with a window").await;
    window.paint(0xff_40_00);
    shows_the_screen(&mut browser, &desktop, "with another colour").await;
    window.paint_noise((200, 150), 7);
    shows_the_screen(&mut browser, &desktop, "with a photograph").await;

    // What scrolls comes as rectangles that are moved.
    let counted = "window.moves = 0; { const move = DesktopPicture.prototype.move; \
        DesktopPicture.prototype.move = function (moved) { window.moves += 1; return move.call(this, moved); } }";
    browser.ask(counted).await;
    let terminal = Terminal::start(&name);
    becomes_true(&mut browser, "window.moves >= 5").await;
    terminal.stop();
    shows_the_screen(&mut browser, &desktop, "after a scroll").await;

    // The mouse on the canvas is the mouse on the desktop, however large the canvas is shown.
    let place = browser.ask("(() => { const box = document.getElementById('desktop').getBoundingClientRect(); const scale = box.width / 1280; return [box.left + 1000.5 * scale, box.top + 160.5 * scale]; })()").await;
    window.events();
    for kind in ["mousePressed", "mouseReleased"] {
        let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
        browser.call("Input.dispatchMouseEvent", event).await;
    }
    let end = Instant::now() + PATIENCE;
    let mut story = Vec::new();
    while story.len() < 2 {
        assert!(Instant::now() < end, "the window heard {story:?}");
        story.extend(window.story());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(story, ["press 1 at 1000,160", "release 1 at 1000,160"]);

    line.cut();
    window.paint(0x20_c0_20);
    shows_the_screen(&mut browser, &desktop, "after the connection was lost").await;
    assert_eq!(browser.complaints, Vec::<String>::new());
}

/// What xterm.js shows: each line, those above the screen among them, the cursor, and whether it is the alternate screen.
const SHOWN: &str = "(() => { const all = terminal.buffer.active; const lines = []; \
    for (let row = 0; row < all.length; row += 1) { lines.push(all.getLine(row).translateToString(true)); } \
    return { text: lines.join('\\n').trimEnd(), cursor: [all.cursorX, all.cursorY], type: all.type }; })()";

/// Waits until the terminal in the page shows something.
async fn terminal_shows(browser: &mut Browser, wanted: &str) -> serde_json::Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let shown = browser.ask(SHOWN).await;
        if shown["text"].as_str().is_some_and(|text| text.contains(wanted)) {
            return shown;
        }
        assert!(Instant::now() < end, "{wanted:?} does not come: {shown}; it said {:?}", browser.complaints);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether the page has a terminal to show. Without one a test fails, unless it was said that nothing is to be installed.
fn has_terminal() -> bool {
    let there = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clients/node_modules/@xterm/xterm").exists();
    let skipped = std::env::var("PACKAGES").is_ok_and(|packages| packages == "skip");
    assert!(there || skipped, "xterm.js is not there: make packages-clients, or PACKAGES=skip to go without");
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_in_xterm_js_is_the_same_again_after_a_lost_connection() {
    if !browser::is_there() || !has_terminal() {
        return;
    }
    let origin = serve_folder("examples/clients").await;
    let allowed = origin.clone();
    let server = served::start_with(|config| config.cors.origins = vec![allowed]).await;
    let id = shell::open(&server).await;
    let line = Line::to(server.address).await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{origin}/shell_terminal.html?server={}&session={id}", line.address)).await;
    becomes_true(&mut browser, "shell.writer").await;

    for key in "echo ty''ped; stty size".chars().map(String::from).chain(["Enter".to_owned()]) {
        let text = if key == "Enter" { "\r" } else { &key };
        let code = if key == "Enter" { 13 } else { 0 };
        let event = json!({ "type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code });
        browser.call("Input.dispatchKeyEvent", event).await;
    }
    terminal_shows(&mut browser, "typed\n30 100").await;
    let colours = "printf '\\033[1;31mgr\\303\\274n \\342\\224\\200\\342\\224\\200\\033[0m\\n'; seq 150";
    shell::run(&server, Some(&id), colours).await;
    terminal_shows(&mut browser, "150").await;

    // In the alternate screen of an editor, with lines above the ordinary one.
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("note.txt");
    std::fs::write(&place, "first line\nsecond line\n").unwrap();
    browser.ask(&format!("terminal.input({:?})", format!("vi -u NONE {}\r", place.display()))).await;
    terminal_shows(&mut browser, "second line").await;
    browser.ask("terminal.input('joadded')").await;
    let before = terminal_shows(&mut browser, "added").await;
    assert_eq!(before["type"], "alternate");
    browser.ask("window.lost = shell.socket").await;
    line.cut();
    becomes_true(&mut browser, "shell.socket !== window.lost && shell.writer").await;
    let end = Instant::now() + PATIENCE;
    loop {
        let after = browser.ask(SHOWN).await;
        if after == before {
            break;
        }
        assert!(Instant::now() < end, "{after}\nis not\n{before}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    browser.ask("terminal.input('\\x1b:wq\\r')").await;
    let shown = terminal_shows(&mut browser, "150").await;
    let text = shown["text"].as_str().unwrap();
    assert!(shown["type"] == "normal" && text.contains("typed\n30 100") && text.contains("grün ──\n1\n2\n"), "{text}");
    assert!(std::fs::read_to_string(&place).unwrap().contains("added"));

    // More than it can show at once, and then at once what is typed.
    shell::run(&server, Some(&id), "seq 400000 | tr '\\n' ' '; echo fl''ood").await;
    terminal_shows(&mut browser, "flood").await;
    browser.ask("terminal.input('exit 3\\r')").await;
    becomes_true(&mut browser, "document.getElementById('said').textContent.includes('code 3')").await;
    assert_eq!(browser.complaints, Vec::<String>::new());
}
