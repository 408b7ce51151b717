//! Windows of real programs on a virtual screen, light and dark: terminals with fonts of the X server and of Debian's packages, and the lists and
//! forms that GTK draws.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use trae::desktop::{Desktop, Desktops, Mode, Settings};
use trae::screen::{Capture, Region};
use trae::windows::Filter;

use crate::phrases::of;
use crate::score::Piece;
use crate::{LANGUAGES, Page};

const SCREEN: (u32, u32) = (720, 640);
/// As much of a terminal as is read.
const SIZE: (u32, u32) = (640, 300);
/// The height of the title bar that the window manager adds.
const TITLE: i32 = 24;

/// A window that ends with this.
struct Shown(Child);

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn pages() -> Vec<Page> {
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: SCREEN, ..Settings::default() });
    let Ok(desktop) = desktops.default() else { return Vec::new() };
    let mut pages = terminals(&desktop);
    for language in LANGUAGES {
        for dark in [false, true] {
            pages.extend(dialog(&desktop, "list", language, dark));
            pages.extend(dialog(&desktop, "form", language, dark));
        }
    }
    desktops.shutdown();
    pages
}

fn terminals(desktop: &Desktop) -> Vec<Page> {
    let fonts: [(&str, &[&str]); 3] = [
        ("fixed", &["-fn", "-misc-fixed-medium-r-normal--13-*-iso10646-1"]),
        ("mono-8", &["-fa", "DejaVu Sans Mono", "-fs", "8"]),
        ("liberation-9", &["-fa", "Liberation Mono", "-fs", "9"]),
    ];
    let mut pages = Vec::new();
    for (name, font) in fonts {
        for (theme, ink, ground) in [("light", "black", "white"), ("dark", "#d0d0d0", "#202028")] {
            for language in ["eng", "deu"] {
                let lines: Vec<&str> = of(language).sentences.iter().chain(of(language).labels).copied().collect();
                let page = shown(desktop, &lines, font, (ink, ground));
                let truth = lines.iter().enumerate().map(|(line, text)| Piece {
                    text: (*text).to_owned(),
                    x: 0.0,
                    y: line as f64 * 20.0,
                    width: 100.0,
                    height: 10.0,
                });
                pages.extend(page.map(|picture| Page {
                    name: format!("xterm-{name}-{theme}-{language}"),
                    language,
                    dark: theme == "dark",
                    picture,
                    truth: truth.collect(),
                }));
            }
        }
    }
    pages
}

/// A window with a list or a form of one language.
fn dialog(desktop: &Desktop, kind: &str, language: &'static str, dark: bool) -> Option<Page> {
    let phrases = of(language);
    let (title, theme) = (format!("{kind} {language}"), if dark { "dark" } else { "light" });
    let mut command = Command::new("zenity");
    command.env("GTK_THEME", if dark { "Adwaita:dark" } else { "Adwaita" }).env("DISPLAY", desktop.display()?).env("LANG", "C.UTF-8");
    command.env("NO_AT_BRIDGE", "1").args(["--title", &title, "--text", phrases.sentences[1]]);
    command.args(["--ok-label", phrases.buttons[0], "--cancel-label", phrases.buttons[1], "--width", "620"]);
    // From the top, in rows.
    let mut rows = vec![vec![phrases.sentences[1].to_owned()]];
    if kind == "list" {
        command.args(["--list", "--height", "330"]);
        rows.push(phrases.heads.iter().map(|head| (*head).to_owned()).collect());
        for head in phrases.heads {
            command.args(["--column", head]);
        }
        for (number, (name, state)) in phrases.names.iter().zip(phrases.states).enumerate() {
            let (day, amount) = (format!("2026-0{}-1{number}", number + 1), format!("{},50 €", 17 * (number + 3)));
            let row = vec![format!("47{}1", number + 1), (*name).to_owned(), day, (*state).to_owned(), amount];
            command.args(&row);
            rows.push(row);
        }
    } else {
        command.arg("--forms");
        for label in phrases.labels {
            command.args(["--add-entry", label]);
            rows.push(vec![(*label).to_owned()]);
        }
    }
    rows.push(vec![phrases.buttons[1].to_owned(), phrases.buttons[0].to_owned()]);
    let _window = Shown(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?);
    // Without the title, and what is below to be grasped.
    let inside = || {
        let window = desktop.windows().list(&Filter { title: Some(title.clone()), ..Filter::default() }).ok()?.into_iter().next()?;
        let (width, height) = (window.width.checked_sub(4)?, window.height.checked_sub(TITLE as u32 + 8)?);
        Some(Region { x: window.x + 2, y: window.y + TITLE, width, height })
    };
    let picture = still(desktop, inside)?;
    let pieces = rows.into_iter().enumerate().flat_map(|(row, pieces)| {
        let piece = move |(column, text)| Piece { text, x: column as f64 * 100.0, y: row as f64 * 20.0, width: 90.0, height: 10.0 };
        pieces.into_iter().enumerate().map(piece)
    });
    let truth = pieces.collect();
    Some(Page { name: format!("gtk-{kind}-{theme}-{language}"), language, dark, picture, truth })
}

/// A terminal that fills the screen, once its picture stands still.
fn shown(desktop: &Desktop, lines: &[&str], font: &[&str], (ink, ground): (&str, &str)) -> Option<RgbImage> {
    let text = lines.join("\n").replace('\'', "'\\''");
    let script = format!("printf '\\033[?25l%s\\n' '{text}'; exec sleep 60");
    let mut command = Command::new("xterm");
    command
        .args(["-u8", "-display", desktop.display()?, "-geometry", "100x30+0+0", "-fg", ink, "-bg", ground, "-b", "8", "+sb"])
        .args(font);
    command.args(["-e", "sh", "-c", &script]).env("LANG", "C.UTF-8").stdout(Stdio::null()).stderr(Stdio::null());
    let _window = Shown(command.spawn().ok()?);
    still(desktop, || Some(Region { x: 0, y: TITLE, width: SIZE.0, height: SIZE.1 }))
}

/// A part of the screen, once something stands there and nothing moves any more.
fn still(desktop: &Desktop, part: impl Fn() -> Option<Region>) -> Option<RgbImage> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut last: Option<RgbImage> = None;
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(400));
        let Some(region) = part() else { continue };
        let frame = desktop.screen().capture(&Capture { monitor: None, region: Some(region) }).ok()?;
        let now = RgbImage::from_fn(region.width, region.height, |x, y| Rgb(frame.pixel(x, y).unwrap_or_default()));
        let written = now.pixels().any(|pixel| pixel.0[0].abs_diff(now.get_pixel(0, 0).0[0]) > 80);
        if written && last.as_ref() == Some(&now) {
            return Some(now);
        }
        last = Some(now);
    }
    None
}
