//! Pictures like screens, with what stands in them: forms, tables, terminals, buttons and dialogs, light and dark, 9 to 16 pixels an em, in
//! several fonts and four languages. The same every time.

use ab_glyph::FontVec;

use crate::paint::{Canvas, Fonts, width};
use crate::phrases::{Phrases, of};
use crate::{LANGUAGES, Page};

const SIZES: [f32; 8] = [9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0];

/// Colours of a theme.
struct Theme {
    dark: bool,
    ground: [u8; 3],
    panel: [u8; 3],
    ink: [u8; 3],
    faint: [u8; 3],
    line: [u8; 3],
    button: [u8; 3],
    on_button: [u8; 3],
}

const LIGHT: [Theme; 2] = [
    Theme {
        dark: false,
        ground: [250, 250, 250],
        panel: [255, 255, 255],
        ink: [26, 26, 26],
        faint: [96, 96, 96],
        line: [200, 200, 200],
        button: [53, 132, 228],
        on_button: [255, 255, 255],
    },
    Theme {
        dark: false,
        ground: [236, 233, 216],
        panel: [255, 255, 255],
        ink: [0, 0, 0],
        faint: [80, 80, 110],
        line: [160, 160, 150],
        button: [220, 220, 210],
        on_button: [0, 0, 0],
    },
];
const DARK: [Theme; 2] = [
    Theme {
        dark: true,
        ground: [36, 36, 36],
        panel: [30, 30, 30],
        ink: [235, 235, 235],
        faint: [160, 160, 160],
        line: [70, 70, 70],
        button: [26, 95, 180],
        on_button: [255, 255, 255],
    },
    Theme {
        dark: true,
        ground: [0, 43, 54],
        panel: [7, 54, 66],
        ink: [147, 161, 161],
        faint: [131, 148, 150],
        line: [30, 80, 95],
        button: [38, 139, 210],
        on_button: [253, 246, 227],
    },
];

/// Numbers that look as if they came by chance.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }
}

struct Sheet<'a> {
    canvas: Canvas,
    theme: &'a Theme,
    font: &'a FontVec,
    size: f32,
    words: &'a Phrases,
    dice: Dice,
}

/// A kind of screen, and what draws it.
type Kind = (&'static str, fn(&mut Sheet));

pub fn pages() -> Vec<Page> {
    let fonts = Fonts::load();
    let kinds: [Kind; 5] = [("form", form), ("table", table), ("terminal", terminal), ("buttons", buttons), ("dialog", dialog)];
    let mut pages = Vec::new();
    for (number, (kind, draw)) in kinds.iter().enumerate() {
        for (place, language) in LANGUAGES.into_iter().enumerate() {
            for (round, themes) in [&LIGHT, &DARK].into_iter().enumerate() {
                let seed = (number * 8 + place * 2 + round) as u64;
                let font = if *kind == "terminal" {
                    &fonts.monospace[(place + round) % 2]
                } else {
                    &fonts.proportional[(number + place + 3 * round) % 6]
                };
                let theme = &themes[(number + place) % 2];
                let size = SIZES[(3 * seed as usize + number) % SIZES.len()];
                let canvas = Canvas::new(560, 300, theme.ground);
                let mut sheet = Sheet { canvas, theme, font, size, words: of(language), dice: Dice(seed + 1) };
                draw(&mut sheet);
                let Canvas { picture, truth } = sheet.canvas;
                pages.push(Page {
                    name: format!("{kind}-{language}-{}-{size}", if theme.dark { "dark" } else { "light" }),
                    language,
                    dark: theme.dark,
                    picture,
                    truth,
                });
            }
        }
    }
    pages
}

/// One zone of a form.
pub fn zone() -> Page {
    let fonts = Fonts::load();
    let mut canvas = Canvas::new(400, 40, LIGHT[0].ground);
    canvas.write(&fonts.proportional[0], 13.0, (10, 12), "Invoice 4711 of 30 November, total 1,234.50 EUR", LIGHT[0].ink);
    Page { name: "zone".to_owned(), language: "eng", dark: false, picture: canvas.picture, truth: canvas.truth }
}

/// A whole screen of text.
pub fn screen() -> Page {
    let fonts = Fonts::load();
    let mut dice = Dice(7);
    let mut canvas = Canvas::new(1920, 1080, LIGHT[0].panel);
    for column in 0..3 {
        for line in 0..48 {
            let text = format!("{} {}", dice.of(of("eng").sentences), dice.of(of("eng").labels));
            canvas.write(&fonts.proportional[column % 3], 13.0, (20 + 640 * column as i32, 14 + 22 * line), &text, LIGHT[0].ink);
        }
    }
    Page { name: "screen".to_owned(), language: "eng", dark: false, picture: canvas.picture, truth: canvas.truth }
}

impl Sheet<'_> {
    fn high(&self) -> i32 {
        (self.size * 1.4) as i32
    }

    fn write(&mut self, x: i32, y: i32, text: &str, colour: [u8; 3]) -> i32 {
        self.canvas.write(self.font, self.size, (x, y), text, colour)
    }
}

/// Labels and fields, and two buttons below.
fn form(sheet: &mut Sheet) {
    let (step, theme) = (sheet.high() + 16, sheet.theme);
    let mut y = 16;
    while y + 2 * step < 300 {
        let (label, value) = (sheet.dice.of(sheet.words.labels), sheet.dice.of(sheet.words.values));
        sheet.write(16, y + 4, &format!("{label}:"), theme.faint);
        sheet.canvas.fill((200, y, 330, step - 8), theme.panel);
        sheet.canvas.frame((200, y, 330, step - 8), theme.line);
        sheet.write(208, y + 4, value, theme.ink);
        y += step;
    }
    row_of_buttons(sheet, y, 2);
}

fn row_of_buttons(sheet: &mut Sheet, y: i32, count: usize) {
    let theme = sheet.theme;
    let mut x = 16;
    for _ in 0..count {
        let text = sheet.dice.of(sheet.words.buttons);
        let wide = width(sheet.font, sheet.size, text) + 28;
        sheet.canvas.fill((x, y, wide, sheet.high() + 12), theme.button);
        sheet.canvas.frame((x, y, wide, sheet.high() + 12), theme.line);
        sheet.write(x + 14, y + 6, text, theme.on_button);
        x += wide + 12;
    }
}

/// A head and rows of names, dates and amounts.
fn table(sheet: &mut Sheet) {
    let (step, theme) = (sheet.high() + 8, sheet.theme);
    let columns = [12, 90, 260, 370, 470];
    sheet.canvas.fill((4, 8, 552, step), theme.line);
    for (x, label) in columns.iter().zip(sheet.words.heads) {
        sheet.write(*x, 12, label, theme.ink);
    }
    let mut y = 8 + step;
    let mut odd = false;
    while y + step < 296 {
        if odd {
            sheet.canvas.fill((4, y, 552, step), theme.panel);
        }
        odd = !odd;
        let number = 4000 + sheet.dice.roll(5000);
        let (day, month) = (1 + sheet.dice.roll(28), 1 + sheet.dice.roll(12));
        let amount = format!("{},{:02}", 1 + sheet.dice.roll(9000), sheet.dice.roll(100));
        let cells = [
            number.to_string(),
            sheet.dice.of(sheet.words.names).to_owned(),
            format!("{day:02}.{month:02}.2026"),
            sheet.dice.of(sheet.words.states).to_owned(),
            amount,
        ];
        for (x, cell) in columns.iter().zip(cells) {
            sheet.write(*x, y + 3, &cell, theme.ink);
        }
        sheet.canvas.fill((4, y + step - 1, 552, 1), theme.line);
        y += step;
    }
}

/// Commands, their output, messages.
fn terminal(sheet: &mut Sheet) {
    let theme = sheet.theme;
    sheet.canvas.fill((0, 0, 560, 300), theme.panel);
    let mut y = 6;
    while y + sheet.high() < 298 {
        let (hour, minute, id) = (sheet.dice.roll(24), sheet.dice.roll(60), sheet.dice.roll(9000));
        let text = match sheet.dice.roll(4) {
            0 => format!("user@host:~/src$ {}", sheet.dice.of(COMMANDS)),
            1 => format!("[{hour:02}:{minute:02}] INFO job={id} {}", sheet.dice.of(sheet.words.states)),
            2 => format!("-rw-r--r-- 1 root {id:>6} {}", sheet.dice.of(FILES)),
            _ => sheet.dice.of(sheet.words.sentences).to_owned(),
        };
        let fits = (548.0 / (f64::from(width(sheet.font, sheet.size, "mmmmmmmmmm")) / 10.0)) as usize;
        let text: String = text.chars().take(fits).collect();
        sheet.write(6, y, text.trim_end(), theme.ink);
        y += sheet.high();
    }
}

const COMMANDS: &[&str] = &[
    "cargo build --release",
    "git status -sb",
    "ls -la /var/log",
    "grep -rn TODO src/",
    "ssh admin@10.0.0.12",
    "tail -n 50 error.log",
    "df -h | sort -k5",
];
const FILES: &[&str] = &["Cargo.toml", "README.md", "main.rs", "backup_2026-11-30.tar.gz", "index.html", "notes.txt", ".bashrc"];

/// A menu bar, tabs and buttons, and a line of state.
fn buttons(sheet: &mut Sheet) {
    let theme = sheet.theme;
    sheet.canvas.fill((0, 0, 560, sheet.high() + 10), theme.panel);
    let mut x = 10;
    for text in sheet.words.menu {
        x += sheet.write(x, 5, text, theme.ink) + 18;
    }
    let mut y = sheet.high() + 24;
    while y + 3 * sheet.high() < 290 {
        row_of_buttons(sheet, y, 3);
        y += sheet.high() + 26;
    }
    sheet.canvas.fill((0, 299 - sheet.high() - 6, 560, 1), theme.line);
    let state = sheet.dice.of(sheet.words.states);
    sheet.write(10, 298 - sheet.high() - 2, state, theme.faint);
}

/// A message in sentences, broken into lines, and buttons.
fn dialog(sheet: &mut Sheet) {
    let theme = sheet.theme;
    let title = sheet.dice.of(sheet.words.labels);
    sheet.canvas.fill((0, 0, 560, sheet.high() + 12), theme.button);
    sheet.write(12, 6, title, theme.on_button);
    let mut y = sheet.high() + 28;
    while y + 3 * sheet.high() < 280 {
        let text = format!("{} {}", sheet.dice.of(sheet.words.sentences), sheet.dice.of(sheet.words.sentences));
        let mut line = String::new();
        for word in text.split(' ') {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if width(sheet.font, sheet.size, &longer) > 520 {
                sheet.write(20, y, &line, theme.ink);
                y += sheet.high();
                line = word.to_owned();
            } else {
                line = longer;
            }
        }
        sheet.write(20, y, &line, theme.ink);
        y += 2 * sheet.high();
    }
    if y + sheet.high() + 12 < 296 {
        row_of_buttons(sheet, y, 3);
    }
}
