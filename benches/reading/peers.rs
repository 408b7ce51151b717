//! What one would take instead, in Python: pytesseract, tesserocr and RapidOCR, each as it is when nothing is set but the language.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::json;

use crate::score::{Piece, Score};
use crate::{Page, median, venv};

const PACKAGES: &[&str] = &["pytesseract", "tesserocr", "rapidocr", "onnxruntime", "pillow"];
const SCRIPT: &str = include_str!("peers.py");

/// What a peer made of one picture.
#[derive(Deserialize)]
struct Read {
    pieces: Vec<(String, f64, f64, f64, f64)>,
    seconds: f64,
}

/// Reads all pages with each of them.
pub fn measure(folder: &Path, pages: &[Page], wanted: impl Fn(&str) -> bool) {
    for (peer, name) in [("pytesseract", "pytesseract"), ("tesserocr", "tesserocr, warm"), ("rapidocr", "RapidOCR, warm")] {
        if !wanted(name) {
            continue;
        }
        match run(folder, peer, pages, 1) {
            Ok(all) => {
                let mut score = Score::default();
                for (page, read) in pages.iter().zip(all) {
                    let pieces = read.pieces.into_iter().map(|(text, x, y, width, height)| Piece { text, x, y, width, height });
                    score.add(page, pieces.collect(), read.seconds);
                }
                score.print(name);
            }
            Err(why) => println!("{name:<46} skipped: {why}"),
        }
    }
}

/// Reads a zone over and over with each of them; `ours` is what Tesseract took here.
pub fn zone(folder: &Path, page: &Page, ours: f64) {
    for (peer, target) in [("tesserocr", 1.3), ("pytesseract", 0.2), ("rapidocr", f64::INFINITY)] {
        match run(folder, peer, std::slice::from_ref(page), 15) {
            Ok(all) => {
                let theirs = median(all.iter().map(|read| read.seconds * 1e3).collect());
                let ratio = ours / theirs;
                let verdict = if target.is_finite() {
                    format!("(≤ {target}: {})", if ratio <= target { "met" } else { "NOT MET" })
                } else {
                    String::new()
                };
                println!("{peer:<46} {theirs:>8.1}   tesseract by it {ratio:.2} × {verdict}");
            }
            Err(why) => println!("{peer:<46} skipped: {why}"),
        }
    }
}

fn run(folder: &Path, peer: &str, pages: &[Page], rounds: usize) -> Result<Vec<Read>, String> {
    let python: PathBuf = venv::environment(PACKAGES)?;
    let mut list = Vec::new();
    for page in pages {
        let path = folder.join(format!("{}.png", page.name));
        page.picture.save(&path).map_err(|error| error.to_string())?;
        list.push(json!({ "path": path, "language": page.language }));
    }
    let (order, script) = (folder.join("order.json"), folder.join("peers.py"));
    std::fs::write(&order, json!({ "peer": peer, "rounds": rounds, "pages": list }).to_string()).map_err(|error| error.to_string())?;
    std::fs::write(&script, SCRIPT).map_err(|error| error.to_string())?;
    let mut command = Command::new(python);
    let done =
        command.arg(&script).arg(&order).env("OMP_THREAD_LIMIT", "1").stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).trim().lines().next_back().unwrap_or("no reason given").to_owned());
    }
    serde_json::from_slice(&done.stdout).map_err(|error| error.to_string())
}
