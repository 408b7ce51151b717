//! How well screens are read: `make bench-ocr`, or `cargo bench --bench reading`.
//!
//! The same pictures ([`corpus`], and windows of real programs in Xvfb, [`real`]) are read by every engine with every pipeline, and by what
//! one would take instead ([`peers`]): pytesseract, tesserocr and RapidOCR, as they are when nothing is set but the language. A line is: how
//! many characters of a hundred are wrong (CER), how many words (WER), how long a picture took on average, and the CER of each half: light
//! and dark, and each language. [`score`] says how that is counted. Words given on the command line choose lines: `auto` shows only those
//! with `auto` in their name.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::cast_precision_loss
)]

mod corpus;
mod paint;
mod peers;
mod phrases;
mod real;
mod score;
#[path = "../figures/venv.rs"]
mod venv;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use image::buffer::ConvertBuffer;
use image::{GrayImage, RgbImage};
use tokio_util::sync::CancellationToken;
use trae::ocr::{Engine, Ocr, Preprocess, Reading, Settings, Step};

use score::{Piece, Score};

/// One picture and what stands in it.
pub struct Page {
    pub name: String,
    /// Tesseract's name of the language.
    pub language: &'static str,
    pub dark: bool,
    pub picture: RgbImage,
    pub truth: Vec<Piece>,
}

fn main() {
    trae::ocr::init_threads();
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|word| name.contains(word.as_str()));
    let made = corpus::pages();
    let folder = tempfile::tempdir().unwrap();
    // Kept to be looked at.
    let folder = std::env::var_os("READING_PICTURES").map_or_else(|| folder.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    let models = std::env::var_os("OCR_MODELS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/models"), PathBuf::from);
    let ocr =
        Ocr::new(Settings { languages: vec!["eng".to_owned()], timeout: Duration::from_secs(120), confidence_threshold: 0.7, models });
    let (terminals, dialogs): (Vec<Page>, Vec<Page>) = real::pages().into_iter().partition(|page| page.name.starts_with("xterm"));
    for (what, pages) in [("pictures that were drawn", &made), ("windows of xterm", &terminals), ("windows of GTK, by zenity", &dialogs)] {
        if pages.is_empty() {
            println!("{what}: skipped, as there is no Xvfb, or not that program\n");
            continue;
        }
        println!("{} {what}", pages.len());
        println!("{:<46} {:>6} {:>6} {:>8}   CER of light dark | {}", "", "CER %", "WER %", "ms each", LANGUAGES.join("  "));
        for (name, reading) in lines().into_iter().filter(|(name, _)| wanted(name)) {
            measured(&ocr, &name, &reading, pages);
        }
        peers::measure(&folder, pages, wanted);
        println!();
    }
    if wanted("zone") {
        zone(&ocr, &folder);
    }
    if wanted("screen") {
        screen(&ocr);
    }
}

const LANGUAGES: [&str; 4] = ["eng", "deu", "fra", "spa"];

/// Every engine with every pipeline that is worth a look.
fn lines() -> Vec<(String, Reading)> {
    let pipelines: [(&str, Preprocess); 10] = [
        ("auto", Preprocess::Auto),
        ("none", Preprocess::None),
        ("scale 2", Preprocess::Steps(vec![Step::Scale(2)])),
        ("invert_dark", Preprocess::Steps(vec![Step::InvertDark])),
        ("scale 2, invert_dark", Preprocess::Steps(vec![Step::Scale(2), Step::InvertDark])),
        ("scale 2, invert_dark, border 10", Preprocess::Steps(vec![Step::Scale(2), Step::InvertDark, Step::Border(10)])),
        ("scale 3, invert_dark, border 10", Preprocess::Steps(vec![Step::Scale(3), Step::InvertDark, Step::Border(10)])),
        ("scale 4, invert_dark, border 10", Preprocess::Steps(vec![Step::Scale(4), Step::InvertDark, Step::Border(10)])),
        (
            "scale 3, invert_dark, contrast, border 10",
            Preprocess::Steps(vec![Step::Scale(3), Step::InvertDark, Step::Contrast, Step::Border(10)]),
        ),
        ("scale 3, invert_dark, threshold", Preprocess::Steps(vec![Step::Scale(3), Step::InvertDark, Step::Threshold])),
    ];
    let mut lines = Vec::new();
    for (engine, name, most) in [(Engine::Tesseract, "tesseract", 10), (Engine::Onnx, "onnx", 6), (Engine::Auto, "both", 1)] {
        for (pipeline, preprocess) in pipelines.iter().take(most) {
            let reading = Reading { engine: Some(engine), preprocess: Some(preprocess.clone()), ..Reading::default() };
            lines.push((format!("{name}: {pipeline}"), reading));
        }
    }
    for mode in [3, 4, 6, 11] {
        for scale in [2, 3] {
            let preprocess = Preprocess::Steps(vec![Step::Scale(scale), Step::InvertDark, Step::Border(10)]);
            let reading = Reading { preprocess: Some(preprocess), page_segmentation: Some(mode), ..Reading::default() };
            lines.push((format!("tesseract: segmentation {mode}, scale {scale}"), reading));
        }
    }
    lines
}

fn measured(ocr: &Ocr, name: &str, reading: &Reading, pages: &[Page]) {
    let mut score = Score::default();
    for page in pages {
        let picture: GrayImage = page.picture.convert();
        let reading = Reading { language: Some(page.language.to_owned()), ..reading.clone() };
        let begun = Instant::now();
        let read = match ocr.read(&picture, &reading, &CancellationToken::new()) {
            Ok(read) => read,
            Err(error) => return println!("{name:<46} skipped: {error}"),
        };
        let took = begun.elapsed().as_secs_f64();
        let words = read.words.iter().map(|word| Piece {
            text: word.text.clone(),
            x: word.x.into(),
            y: word.y.into(),
            width: word.width.into(),
            height: word.height.into(),
        });
        score.add(page, words.collect(), took);
    }
    score.print(name);
}

/// A zone of 400×40, read over and over, beside the same in Python.
fn zone(ocr: &Ocr, folder: &Path) {
    let page = corpus::zone();
    let picture: GrayImage = page.picture.convert();
    println!("a zone of {}×{}, the median of 15 readings, ms", picture.width(), picture.height());
    let mut times = Vec::new();
    let cases = [
        ("tesseract, warm", Engine::Tesseract, None),
        ("onnx, warm", Engine::Onnx, None),
        ("onnx as one line (7), warm", Engine::Onnx, Some(7)),
    ];
    for (name, engine, page_segmentation) in cases {
        let reading = Reading { language: Some("eng".to_owned()), engine: Some(engine), page_segmentation, ..Reading::default() };
        let mut all = Vec::new();
        for _ in 0..16 {
            let begun = Instant::now();
            match ocr.read(&picture, &reading, &CancellationToken::new()) {
                Ok(_) => all.push(begun.elapsed().as_secs_f64() * 1e3),
                Err(error) => return println!("{name:<46} skipped: {error}"),
            }
        }
        times.push(median(all.split_off(1)));
        println!("{name:<46} {:>8.1}", times[times.len() - 1]);
    }
    peers::zone(folder, &page, times[0]);
    five(ocr, &picture);
}

/// Five zones one after the other, and on all cores.
fn five(ocr: &Ocr, picture: &GrayImage) {
    let reading = Reading { language: Some("eng".to_owned()), ..Reading::default() };
    let read = || drop(ocr.read(picture, &reading, &CancellationToken::new()));
    let next = AtomicUsize::new(0);
    let work = || {
        while next.fetch_add(1, Ordering::Relaxed) < 5 {
            read();
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(5);
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        let begun = Instant::now();
        (0..5).for_each(|_| read());
        let one = begun.elapsed().as_secs_f64();
        next.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
        let all = begun.elapsed().as_secs_f64();
        ratios.push(one / all);
        times.push(all * 1e3);
    }
    // Five do not share evenly between two: one core reads three.
    println!("five zones on {cores} cores {:>26.1}   {:.2} times as fast as one after the other", median(times), median(ratios));
}

/// A page of 1920×1080 full of text.
fn screen(ocr: &Ocr) {
    let page = corpus::screen();
    let picture: GrayImage = page.picture.convert();
    println!("\na page of 1920×1080 with {} lines of text", page.truth.len());
    for (name, engine) in [("tesseract", Engine::Tesseract), ("onnx", Engine::Onnx)] {
        let reading = Reading { language: Some("eng".to_owned()), engine: Some(engine), ..Reading::default() };
        let begun = Instant::now();
        match ocr.read(&picture, &reading, &CancellationToken::new()) {
            Ok(read) => println!("{name:<46} {:>8.2} s, {} words", begun.elapsed().as_secs_f64(), read.words.len()),
            Err(error) => println!("{name:<46} skipped: {error}"),
        }
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
