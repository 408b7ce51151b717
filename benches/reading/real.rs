//! Windows of real programs on a virtual screen: terminals with fonts of the X server and of Debian's packages, light and dark.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use trae::desktop::{Desktop, Desktops, Mode, Settings};
use trae::screen::{Capture, Region};

use crate::Page;
use crate::phrases::of;
use crate::score::Piece;

const SIZE: (u32, u32) = (640, 300);
/// The height of the title bar that the window manager adds.
const TITLE: i32 = 24;

pub fn pages() -> Vec<Page> {
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (SIZE.0, SIZE.1 + TITLE as u32), ..Settings::default() });
    let Ok(desktop) = desktops.default() else { return Vec::new() };
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
                let page = shown(&desktop, &lines, font, (ink, ground));
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
    desktops.shutdown();
    pages
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
    let mut child = command.spawn().ok()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut last: Option<RgbImage> = None;
    let picture = loop {
        std::thread::sleep(Duration::from_millis(400));
        let region = Region { x: 0, y: TITLE, width: SIZE.0, height: SIZE.1 };
        let frame = desktop.screen().capture(&Capture { monitor: None, region: Some(region) }).ok()?;
        let now = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgb(frame.pixel(x, y).unwrap_or_default()));
        let written = now.pixels().any(|pixel| pixel.0[0].abs_diff(now.get_pixel(0, 0).0[0]) > 80);
        if written && last.as_ref() == Some(&now) {
            break Some(now);
        }
        if Instant::now() > deadline {
            break None;
        }
        last = Some(now);
    };
    let _ = child.kill();
    let _ = child.wait();
    picture
}
