//! Reading real windows with the neural engine, and what becomes of a server that does not have it.
//!
//! `make test` installs it into `target/models`. Where it could not be fetched, these tests say so and pass over what needs it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::{GrayImage, Luma, imageops};
use tokio_util::sync::CancellationToken;
use trae::error::{Classify, Kind};
use trae::ocr::{Engine, Error, Ocr, Preprocess, Reading, Settings, Text, models};

use super::ocr::{Shown, form, xterm};

/// Where `make test` puts the neural engine, if it is there.
pub fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/models");
    match models::check(&folder) {
        Ok(()) => Some(folder),
        Err(reason) => {
            eprintln!("skipped: the neural engine is not in target/models ({reason})");
            None
        }
    }
}

fn reader(models: &Path, timeout: Duration) -> Ocr {
    Ocr::new(Settings { languages: vec!["eng".to_owned()], timeout, confidence_threshold: 0.7, models: models.to_owned() })
}

fn reading(engine: Engine) -> Reading {
    Reading { engine: Some(engine), ..Reading::default() }
}

fn read(ocr: &Ocr, picture: &GrayImage, reading: &Reading) -> Text {
    ocr.read(picture, reading, &CancellationToken::new()).unwrap()
}

fn patient(models: &Path) -> Ocr {
    reader(models, Duration::from_secs(120))
}

#[test]
fn a_form_on_a_whole_screen_is_read_with_boxes_in_its_pixels() {
    let Some(models) = installed() else { return };
    let (ocr, picture) = (patient(&models), form().still());
    let text = read(&ocr, &picture, &reading(Engine::Onnx));
    for wanted in ["Customer", "Amount", "Cancel", "OK"] {
        let word = text.words.iter().find(|word| word.text == wanted).unwrap_or_else(|| panic!("{wanted} is not in {:?}", text.text));
        assert!(word.confidence > 0.5 && word.confidence <= 1.0, "{word:?}");
        // The box holds the word and nothing else: read alone, it says the same.
        let (x, y) = (word.x as u32 - 4, word.y as u32 - 4);
        let cut = imageops::crop_imm(&picture, x, y, word.width + 8, word.height + 8).to_image();
        let alone = Reading { page_segmentation: Some(7), ..reading(Engine::Easyocr) };
        assert_eq!(read(&ocr, &cut, &alone).text, wanted, "the box of {word:?} holds something else");
    }
    assert!(text.confidence > 0.5 && text.accepted && text.execution_time > 0.0);
    assert_eq!((text.language.as_str(), text.engine.as_str()), ("eng", "onnx"));
}

#[test]
fn light_and_dark_terminals_are_read_in_four_languages() {
    let Some(models) = installed() else { return };
    let ocr = patient(&models);
    let lines = "Invoice total 1234 EUR\\nGrößenänderung für Müller\\nDéjà reçu, être à Noël\\nMañana, ¿qué más?\\n";
    for colours in [["black", "white"], ["#c0c0c0", "#202030"]] {
        let text = read(&ocr, &xterm(colours, lines).still(), &reading(Engine::Onnx));
        let wanted = ["Invoice total 1234 EUR", "Größenänderung für Müller", "Déjà reçu, être à Noël", "Mañana, ¿qué más?"];
        assert!(text.text.starts_with(&wanted.join("\n")), "{colours:?}: {:?}", text.text);
        assert_eq!(text.words[..7].iter().map(|word| word.line).collect::<Vec<_>>(), [0, 0, 0, 0, 1, 1, 1], "{:?}", text.words);
    }
}

#[test]
fn lines_that_stand_on_their_head_or_on_their_end_are_read() {
    let Some(models) = installed() else { return };
    let ocr = patient(&models);
    let screen = xterm(["black", "white"], "Invoice total 1234 EUR\\n").still();
    let line = imageops::crop_imm(&screen, 0, 0, 260, 40).to_image();
    for turned in [imageops::rotate180(&line), imageops::rotate90(&line), imageops::rotate270(&line)] {
        let text = read(&ocr, &turned, &reading(Engine::Onnx));
        assert!(text.text.contains("Invoice total 1234"), "{:?}: {:?}", turned.dimensions(), text.text);
        let inside =
            |word: &trae::ocr::Word| word.x as u32 + word.width <= turned.width() && word.y as u32 + word.height <= turned.height();
        assert!(text.words.iter().all(inside), "{:?}", text.words);
    }
}

#[test]
fn a_whitelist_a_line_and_an_empty_wall() {
    let Some(models) = installed() else { return };
    let ocr = patient(&models);
    let screen = xterm(["black", "white"], "Invoice total 1234 EUR\\n").still();
    let line = imageops::crop_imm(&screen, 0, 0, 260, 24).to_image();
    let digits = Reading { whitelist: Some("0123456789".to_owned()), ..reading(Engine::Onnx) };
    let only = read(&ocr, &line, &digits).text;
    assert!(only.contains("1234") && only.chars().all(|c| c.is_ascii_digit() || c.is_whitespace()), "{only:?}");
    let whole = Reading { page_segmentation: Some(7), preprocess: Some(Preprocess::None), ..reading(Engine::Onnx) };
    assert_eq!(read(&ocr, &line, &whole).text, "Invoice total 1234 EUR");
    for (width, height) in [(1, 1), (3, 200), (300, 2), (640, 300)] {
        for shade in [0, 255] {
            let text = read(&ocr, &GrayImage::from_pixel(width, height, Luma([shade])), &reading(Engine::Onnx));
            assert_eq!((text.text.as_str(), text.words.len(), text.confidence, text.accepted), ("", 0, 0.0, false));
        }
    }
}

#[test]
fn languages_that_it_does_not_read_are_refused() {
    let Some(models) = installed() else { return };
    let ocr = patient(&models);
    let wall = GrayImage::from_pixel(20, 20, Luma([255]));
    let fails = |engine, language: &str| {
        ocr.read(&wall, &Reading { language: Some(language.to_owned()), ..reading(engine) }, &CancellationToken::new()).unwrap_err()
    };
    let unread = fails(Engine::Onnx, "eng+rus");
    assert!(matches!(&unread, Error::Unread(language) if language == "rus"), "{unread}");
    assert!(unread.kind() == Kind::ValidationError && unread.to_string().contains("use engine tesseract"), "{unread}");
    assert_eq!(fails(Engine::Onnx, "eng\0").kind(), Kind::ValidationError);
    assert_eq!(fails(Engine::Auto, "\u{202e}eng").kind(), Kind::ValidationError);
    let one = Reading { language: Some("fra+eng".to_owned()), ..reading(Engine::Onnx) };
    assert_eq!(read(&ocr, &wall, &one).language, "fra+eng");
}

#[test]
fn two_rules_are_the_sign_for_two_only_where_japanese_is_read() {
    let Some(models) = installed() else { return };
    let ocr = patient(&models);
    // A short one above a long one, as edges and lines between rows are.
    let rules = GrayImage::from_fn(40, 40, |x, y| {
        let ink = ((12..28).contains(&x) && (10..12).contains(&y)) || ((8..32).contains(&x) && (26..28).contains(&y));
        Luma([if ink { 0 } else { 255 }])
    });
    let read_as = |language: &str| {
        read(&ocr, &rules, &Reading { language: Some(language.to_owned()), page_segmentation: Some(7), ..reading(Engine::Onnx) }).text
    };
    assert_eq!(read_as("jpn+eng"), "二");
    for language in ["eng", "deu+fra"] {
        assert!(read_as(language).is_ascii(), "{language}: {:?}", read_as(language));
    }
}

/// A picture full of noise, in which there are thousands of what might be lines.
fn noise(width: u32, height: u32) -> GrayImage {
    let mut state = 1_u32;
    GrayImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Luma([(state >> 24) as u8])
    })
}

#[test]
fn a_reading_that_is_cancelled_or_out_of_time_answers_at_once_and_leaves_the_engine_usable() {
    let Some(models) = installed() else { return };
    let ocr = reader(&models, Duration::from_secs(2));
    let began = Instant::now();
    let late = ocr.read(&noise(6000, 5000), &reading(Engine::Onnx), &CancellationToken::new()).unwrap_err();
    assert!(late.kind() == Kind::Timeout && began.elapsed() < Duration::from_secs(15), "{late} after {:?}", began.elapsed());
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert!(matches!(ocr.read(&noise(600, 500), &reading(Engine::Onnx), &cancel), Err(Error::Cancelled)));
    let huge = ocr.read(&GrayImage::new(40_000, 1), &reading(Engine::Onnx), &CancellationToken::new()).unwrap_err();
    assert_eq!(huge.kind(), Kind::ValidationError);
    // What was given up ends between two batches, and lets the next one have its turn.
    let patient = Instant::now() + Duration::from_secs(60);
    let wall = GrayImage::from_pixel(60, 40, Luma([255]));
    assert_eq!(ocr.read_until(&wall, &reading(Engine::Onnx), patient, &CancellationToken::new()).unwrap().text, "");
}

#[test]
fn auto_takes_the_surer_of_the_two() {
    let Some(models) = installed() else { return };
    let ocr = patient(&models);
    let picture = xterm(["#c0c0c0", "#202030"], "Invoice total 1234 EUR\\n").still();
    let [tesseract, onnx, auto] = [Engine::Tesseract, Engine::Onnx, Engine::Auto].map(|engine| read(&ocr, &picture, &reading(engine)));
    let better = if onnx.confidence > tesseract.confidence { &onnx } else { &tesseract };
    assert_eq!((&auto.engine, &auto.text, auto.confidence), (&better.engine, &better.text, better.confidence));
    // A language that only one of them reads, or has, is read by that one.
    let only = Reading { language: Some("ell".to_owned()), ..reading(Engine::Auto) };
    assert_eq!(read(&ocr, &picture, &only).engine, "onnx");
    assert!(ocr.taken().iter().all(|(_, taken)| taken.totals().count > 0));
}

#[test]
fn without_it_the_command_is_told_and_tesseract_reads_on() {
    let empty = tempfile::tempdir().unwrap();
    let ocr = patient(empty.path());
    let picture = xterm(["black", "white"], "Invoice total 1234 EUR\\n").still();
    let missing = ocr.read(&picture, &reading(Engine::Onnx), &CancellationToken::new()).unwrap_err();
    assert_eq!(missing.kind(), Kind::ServiceUnavailable);
    let command = format!("trae models install --to {}", empty.path().display());
    assert_eq!(missing.details().unwrap()["hint"], command, "{missing}");
    assert!(missing.to_string().contains(&command) && missing.to_string().contains("libonnxruntime.so is not there"), "{missing}");
    for engine in [Engine::Tesseract, Engine::Auto] {
        let text = read(&ocr, &picture, &reading(engine));
        assert_eq!((text.engine.as_str(), text.text.contains("Invoice")), ("tesseract", true));
    }
}

#[test]
fn what_is_cut_off_or_changed_is_never_loaded_and_what_is_put_right_is_used() {
    let Some(models) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = models::files().unwrap();
    let put = |name: &str| {
        std::fs::copy(models.join(name), folder.path().join(name)).unwrap();
    };
    files.iter().for_each(|file| put(file.name));
    let ocr = patient(folder.path());
    for file in files {
        let path = folder.path().join(file.name);
        for spoiled in ["cut off", "changed", "gone"] {
            put(file.name);
            match spoiled {
                "cut off" => std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(file.bytes / 2).unwrap(),
                "gone" => std::fs::remove_file(&path).unwrap(),
                _ => {
                    let mut bytes = std::fs::read(&path).unwrap();
                    bytes[1000] ^= 1;
                    std::fs::write(&path, bytes).unwrap();
                }
            }
            let refused = ocr.neural().unwrap_err().to_string();
            assert!(refused.contains(file.name), "{} {spoiled}: {refused}", file.name);
        }
        put(file.name);
    }
    ocr.neural().unwrap();
    ocr.load_neural().unwrap();
    // Loaded, it stays.
    std::fs::remove_file(folder.path().join(files[1].name)).unwrap();
    let text = read(&ocr, &Shown::line("Still here 42"), &reading(Engine::Onnx));
    assert_eq!(text.text, "Still here 42");
}
