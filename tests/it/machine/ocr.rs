//! Reading real windows, drawn by a real toolkit on a virtual screen.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use image::{GrayImage, Luma};
use tokio_util::sync::CancellationToken;
use trae::error::{Classify, Kind};
use trae::ocr::{Error, Ocr, Preprocess, Reading, Settings, Text};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, ImageFormat};
use x11rb::rust_connection::RustConnection;

/// A virtual screen with a window on it; both end with this.
pub struct Shown {
    server: Child,
    window: Child,
    display: String,
}

impl Drop for Shown {
    fn drop(&mut self) {
        for child in [&mut self.window, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Shown {
    fn new(size: &str, program: &str, arguments: &[&str]) -> Self {
        // A server that resets itself when its last client leaves takes along who is just connecting.
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &format!("{size}x24"), "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need Xvfb (apt-get install xvfb)");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let display = format!(":{}", number.trim());
        let window = Command::new(program)
            .args(arguments)
            .env("DISPLAY", &display)
            .env("NO_AT_BRIDGE", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("these tests need {program}: {error}"));
        Self { server, window, display }
    }

    fn capture(&self) -> GrayImage {
        let (connection, screen) = RustConnection::connect(Some(&self.display)).unwrap();
        let screen = &connection.setup().roots[screen];
        let (width, height) = (screen.width_in_pixels, screen.height_in_pixels);
        let pixels = connection.get_image(ImageFormat::Z_PIXMAP, screen.root, 0, 0, width, height, !0).unwrap().reply().unwrap().data;
        GrayImage::from_fn(width.into(), height.into(), |x, y| {
            let at = (y as usize * usize::from(width) + x as usize) * 4;
            let [b, g, r] = [pixels[at], pixels[at + 1], pixels[at + 2]].map(u32::from);
            Luma([((r * 299 + g * 587 + b * 114) / 1000) as u8])
        })
    }

    /// One line of a terminal, cut out of it.
    pub fn line(text: &str) -> GrayImage {
        let picture = xterm(["black", "white"], text).still();
        image::imageops::crop_imm(&picture, 0, 0, 300, 24).to_image()
    }

    /// Captures until the picture stands still with something on it.
    pub fn still(&self) -> GrayImage {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut last = self.capture();
        loop {
            std::thread::sleep(Duration::from_millis(400));
            let now = self.capture();
            let first = now.get_pixel(0, 0);
            if now == last && now.pixels().any(|pixel| pixel.0[0].abs_diff(first.0[0]) > 40) {
                return now;
            }
            assert!(Instant::now() < deadline, "no window appeared");
            last = now;
        }
    }
}

pub fn form() -> Shown {
    let arguments = ["--forms", "--title=Invoice", "--text=Enter the invoice", "--add-entry=Customer", "--add-entry=Amount"];
    Shown::new("1280x800", "zenity", &arguments)
}

const LINES: &str = "Invoice total 1234 EUR\\nThe quick brown fox jumps\\nover the lazy dog\\n";

/// A terminal that shows lines, written as `printf` has them.
pub fn xterm(colours: [&str; 2], lines: &str) -> Shown {
    let show = format!("printf '{lines}'; sleep 60");
    let arguments = [
        "-u8",
        "-fa",
        "DejaVu Sans Mono",
        "-fs",
        "11",
        "-fg",
        colours[0],
        "-bg",
        colours[1],
        "-geometry",
        "60x10+0+0",
        "+sb",
        "-e",
        "sh",
        "-c",
        &show,
    ];
    Shown::new("560x200", "xterm", &arguments)
}

fn ocr() -> Ocr {
    Ocr::new(Settings {
        languages: vec!["eng".to_owned()],
        timeout: Duration::from_secs(60),
        confidence_threshold: 0.7,
        models: "no-models".into(),
    })
}

fn read(picture: &GrayImage, reading: &Reading) -> Text {
    ocr().read(picture, reading, &CancellationToken::new()).unwrap()
}

#[test]
fn what_stands_right_above_a_terminals_cursor_is_read() {
    // A letter that reaches down to the cursor, which is a filled box and stands below the first one.
    let show = "printf 'Rechnung\\nSpeichern Abbrechen\\n'; sleep 60";
    let arguments = ["-fn", "fixed", "-fg", "black", "-bg", "white", "-geometry", "60x10+0+0", "+sb", "-e", "sh", "-c", show];
    let picture = Shown::new("560x200", "xterm", &arguments).still();
    let text = ocr().read(&picture, &Reading::default(), &CancellationToken::new()).unwrap();
    assert_eq!(text.text, "Rechnung\nSpeichern Abbrechen");
}

#[test]
fn a_form_on_a_whole_screen_is_read_with_boxes_in_its_pixels() {
    let picture = form().still();
    let text = read(&picture, &Reading::default());
    for wanted in ["Customer", "Amount", "Cancel", "OK"] {
        let word = text.words.iter().find(|word| word.text == wanted).unwrap_or_else(|| panic!("{wanted} is not in {:?}", text.text));
        assert!(word.confidence > 0.5 && word.confidence <= 1.0, "{word:?}");
        // The box holds the word and nothing else: read alone, it says the same.
        let (x, y) = (word.x as u32 - 4, word.y as u32 - 4);
        let cut = image::imageops::crop_imm(&picture, x, y, word.width + 8, word.height + 8).to_image();
        let alone = read(&cut, &Reading { page_segmentation: Some(7), ..Reading::default() });
        assert_eq!(alone.text, wanted, "the box of {word:?} holds something else");
    }
    assert!(text.confidence > 0.5 && text.execution_time > 0.0);
    assert_eq!((text.language.as_str(), text.engine.as_str()), ("eng", "tesseract"));
}

#[test]
fn light_and_dark_terminals_are_read_alike() {
    for colours in [["black", "white"], ["white", "black"], ["#c0c0c0", "#202030"]] {
        let text = read(&xterm(colours, LINES).still(), &Reading::default());
        assert!(
            text.text.starts_with("Invoice total 1234 EUR\nThe quick brown fox jumps\nover the lazy dog"),
            "{colours:?}: {:?}",
            text.text
        );
        let lines: Vec<u32> = text.words.iter().map(|word| word.line).take(12).collect();
        assert_eq!(lines[..12], [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2], "{:?}", text.words);
    }
}

/// How many threads read at once while something is done, at most.
pub fn readers(work: impl FnOnce()) -> usize {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let most = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(reading());
            }
            most
        });
        work();
        done.store(true, Ordering::Relaxed);
        most.join().unwrap()
    })
}

#[test]
fn a_screen_is_read_by_all_cores_and_says_what_each_part_says_alone() {
    let part = xterm(["black", "white"], LINES).still();
    let screen = GrayImage::from_fn(1120, 800, |x, y| *part.get_pixel(x % 560, y % 200));
    let words =
        |text: &Text| text.words.iter().map(|word| (word.text.clone(), word.x, word.y, word.width, word.height)).collect::<Vec<_>>();
    let alone = words(&read(&part, &Reading::default()));
    assert!(alone.len() >= 12, "{alone:?}");
    let mut text = None;
    let most = readers(|| text = Some(read(&screen, &Reading::default())));
    let text = text.unwrap();
    for (column, row) in (0..2).flat_map(|column| (0..4).map(move |row| (column, row))) {
        let (left, top) = (560 * column, 200 * row);
        let here = words(&text).into_iter().filter(|word| (left..left + 560).contains(&word.1) && (top..top + 200).contains(&word.2));
        let here: Vec<_> = here.map(|(text, x, y, width, height)| (text, x - left, y - top, width, height)).collect();
        assert_eq!(here, alone, "at ({left}, {top})");
    }
    // Rows from the top, each from the left, and each column's line by itself.
    assert!(text.text.starts_with("Invoice total 1234 EUR\nInvoice total 1234 EUR\nThe quick brown fox jumps\n"), "{:?}", text.text);
    let cores = std::thread::available_parallelism().unwrap().get();
    // The thread of a helper that gave its core back may be seen to end beside the next.
    assert!(most <= 2 * cores && (most >= 2 || cores == 1), "{most} threads read, of {cores} cores");
}

#[test]
fn rows_of_a_form_are_lines_and_buttons_are_read_in_any_colour() {
    // Light on dark in a light window, beside dark on light: one line each, and frames are no letters.
    let mut picture = GrayImage::from_pixel(400, 60, Luma([240]));
    let (dark, light) = (xterm(["white", "#204080"], LINES).still(), xterm(["black", "#f0f0f0"], LINES).still());
    // Without the side of the terminal: so short a part of it would be a stroke like any other.
    let cut = |from: &GrayImage, width| image::imageops::crop_imm(from, 1, 2, width, 18).to_image();
    for (x, one) in [(11, cut(&light, 204)), (281, cut(&dark, 69))] {
        image::imageops::replace(&mut picture, &one, x, 20);
    }
    for (x, y) in (0..400).flat_map(|x| [(x, 12), (x, 48)]).chain((12..48).flat_map(|y| [(2, y), (397, y)])) {
        picture.put_pixel(x, y, Luma([120]));
    }
    let text = read(&picture, &Reading::default());
    assert!(text.text.starts_with("Invoice total 1234 EUR Invoice"), "{:?}", text.text);
    assert!(text.words.iter().all(|word| word.line == 0), "{:?}", text.words);
}

#[test]
fn strokes_in_running_text_are_letters_and_the_sides_of_boxes_are_none() {
    let text = read(&xterm(["black", "white"], "name | value [12] list\\nps aux | grep Ill | sort\\n").still(), &Reading::default());
    assert!(text.text.starts_with("name | value [12] list\nps aux | grep Ill | sort"), "{:?}", text.text);
    let boxes = "\u{250c}\u{2500}\u{2500}\u{2500}\u{2500}\u{2500}\u{2500}\u{252c}\u{2500}\u{2500}\u{2500}\u{2500}\u{2500}\u{2500}\u{2510}\\n\u{2502} name \u{2502} cost \u{2502}\\n\u{2502} milk \u{2502} 1234 \u{2502}\\n";
    let text = read(&xterm(["#c0c0c0", "#202030"], boxes).still(), &Reading::default());
    let words: Vec<_> = text.words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(words, ["name", "cost", "milk", "1234"], "{:?}", text.words);
}

#[test]
fn a_whitelist_counts_for_one_reading_only() {
    let picture = xterm(["black", "white"], LINES).still();
    let line = image::imageops::crop_imm(&picture, 0, 0, 260, 24).to_image();
    let ocr = ocr();
    let digits = Reading { whitelist: Some("0123456789".to_owned()), ..Reading::default() };
    let only = ocr.read(&line, &digits, &CancellationToken::new()).unwrap();
    assert!(only.text.contains("1234") && only.text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace()), "{:?}", only.text);
    let all = ocr.read(&line, &Reading::default(), &CancellationToken::new()).unwrap();
    assert!(all.text.contains("Invoice"), "{:?}", all.text);
}

#[test]
fn an_empty_wall_has_no_words() {
    for shade in [0, 128, 255] {
        let text = read(&GrayImage::from_pixel(300, 200, Luma([shade])), &Reading::default());
        assert_eq!((text.text.as_str(), text.words.len(), text.confidence), ("", 0, 0.0));
    }
    // A single pixel, also as it is.
    for preprocess in [Preprocess::Auto, Preprocess::None] {
        assert_eq!(read(&GrayImage::new(1, 1), &Reading { preprocess: Some(preprocess), ..Reading::default() }).text, "");
    }
}

#[test]
fn bad_requests_say_what_to_do() {
    let picture = GrayImage::from_pixel(20, 20, Luma([255]));
    let fails = |picture: &GrayImage, reading: Reading| ocr().read(picture, &reading, &CancellationToken::new()).unwrap_err();
    let language = |language: &str| Reading { language: Some(language.to_owned()), ..Reading::default() };

    for bad in ["../../x", "eng\0", "", &"x".repeat(10_000)] {
        assert_eq!(fails(&picture, language(bad)).kind(), Kind::ValidationError, "{bad:?}");
    }
    let missing = fails(&picture, language("eng+xyz"));
    assert_eq!(missing.kind(), Kind::ServiceUnavailable);
    let details = missing.details().unwrap();
    assert_eq!(details["service"], "enhanced_ocr");
    assert_eq!(details["hint"], "apt-get install tesseract-ocr-xyz");
    assert!(details["installed"].as_array().unwrap().iter().any(|name| name == "eng"));

    assert_eq!(fails(&GrayImage::new(0, 5), Reading::default()).kind(), Kind::ValidationError);
    assert_eq!(fails(&GrayImage::new(40_000, 1), Reading::default()).kind(), Kind::ValidationError);
    for mode in [0, 2, 14, 255] {
        assert_eq!(fails(&picture, Reading { page_segmentation: Some(mode), ..Reading::default() }).kind(), Kind::ValidationError);
    }
    assert_eq!(fails(&picture, Reading { whitelist: Some("a\0b".to_owned()), ..Reading::default() }).kind(), Kind::ValidationError);
}

#[test]
fn installed_languages_are_listed() {
    assert!(ocr().languages().unwrap().contains(&"eng".to_owned()));
}

#[test]
fn a_cancelled_reading_answers_at_once() {
    // Much text, so that it would take seconds.
    let screen = xterm(["black", "white"], LINES).still();
    let picture = GrayImage::from_fn(2800, 2000, |x, y| *screen.get_pixel(x % 560, y % 200));
    let ocr = std::sync::Arc::new(ocr());
    let cancel = CancellationToken::new();
    let canceller = cancel.clone();
    let reader = std::thread::spawn({
        let ocr = std::sync::Arc::clone(&ocr);
        move || {
            let ended = ocr.read(&picture, &Reading::default(), &cancel);
            (ended, Instant::now())
        }
    });
    std::thread::sleep(Duration::from_millis(600));
    let cancelled = Instant::now();
    canceller.cancel();
    let (ended, at) = reader.join().unwrap();
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    assert!(at - cancelled < Duration::from_millis(500), "it took {:?}", at - cancelled);
}

#[test]
fn a_reading_that_takes_too_long_times_out() {
    let ocr = Ocr::new(Settings {
        languages: vec!["eng".to_owned()],
        timeout: Duration::from_millis(1),
        confidence_threshold: 0.7,
        models: "no-models".into(),
    });
    let picture = GrayImage::from_pixel(3000, 3000, Luma([255]));
    assert_eq!(ocr.read(&picture, &Reading::default(), &CancellationToken::new()).unwrap_err().kind(), Kind::Timeout);
}

/// How many threads read now.
fn reading() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "ocr")).count()
}

fn until(what: &str, check: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !check() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_reading_that_is_given_up_ends_within_the_picture_and_lets_others_read() {
    let (screen, line) = (xterm(["black", "white"], LINES).still(), Shown::line(LINES));
    // Letters for minutes.
    let letters = GrayImage::from_fn(5600, 4000, |x, y| *screen.get_pixel(x % 560, y % 200));
    let whole =
        |timeout| Reading { page_segmentation: Some(6), preprocess: Some(Preprocess::None), timeout: Some(timeout), ..Reading::default() };
    let ocr = ocr();
    let cores = std::thread::available_parallelism().unwrap().get();
    let ended: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..cores).map(|_| scope.spawn(|| ocr.read(&letters, &whole(4.0), &CancellationToken::new()))).collect();
        until("all cores read", || reading() == cores);
        // Whoever wants to read as well hears why that takes too long.
        let short = Reading { timeout: Some(0.2), ..Reading::default() };
        let busy = ocr.read(&line, &short, &CancellationToken::new()).unwrap_err();
        assert!(busy.kind() == Kind::Timeout && busy.to_string().contains("no engine was free within 0.2 s"), "{busy}");
        all.into_iter().map(|reader| reader.join().unwrap().unwrap_err()).collect()
    });
    assert!(ended.iter().all(|error| error.to_string().contains("longer than 4 s")), "{ended:?}");
    until("what was given up ends", || reading() == 0);
    assert!(ocr.read(&line, &Reading::default(), &CancellationToken::new()).unwrap().text.contains("Invoice"));
    for none in [0.0, -1.0, f64::NAN, 61.0] {
        assert_eq!(ocr.read(&line, &whole(none), &CancellationToken::new()).unwrap_err().kind(), Kind::ValidationError, "{none}");
    }
}

#[test]
fn a_picture_full_of_dots_is_refused_as_a_whole_and_is_no_text_where_lines_are_looked_for() {
    let mut state = 1_u32;
    let noise = GrayImage::from_fn(1200, 800, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Luma([(state >> 24) as u8])
    });
    let whole = Reading { page_segmentation: Some(6), preprocess: Some(Preprocess::None), ..Reading::default() };
    let refused = ocr().read(&noise, &whole, &CancellationToken::new()).unwrap_err();
    assert!(refused.kind() == Kind::ValidationError && refused.to_string().contains("dark spots"), "{refused}");
    // Beside a text it keeps nobody from reading that.
    let mut screen = GrayImage::from_pixel(1600, 1000, Luma([255]));
    image::imageops::replace(&mut screen, &noise, 390, 190);
    image::imageops::replace(&mut screen, &Shown::line(LINES), 20, 20);
    let text = read(&screen, &Reading::default());
    let words: Vec<_> = text.words.iter().map(|word| word.text.as_str()).collect();
    assert!(words.starts_with(&["Invoice", "total", "1234", "EUR"]), "{:?}", text.text);
}

#[test]
fn letters_of_french_and_spanish_and_amounts_are_read() {
    let lines = [("fra", "Été déjà payé: 1 250,75 €"), ("spa", "Señor Muñoz, ¿cuánto cuesta? 99,95 €"), ("eng", "Price $4.50, fee £12")];
    // The cursor stands below them.
    let picture = xterm(["black", "white"], &lines.map(|(_, line)| format!("{line}\\n")).concat()).still();
    for (language, line) in lines {
        let text = read(&picture, &Reading { language: Some(language.to_owned()), ..Reading::default() });
        assert!(text.text.lines().any(|read| read == line), "{language}: {:?}", text.text);
        assert_eq!(text.language, language);
    }
}
