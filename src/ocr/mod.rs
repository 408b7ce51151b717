//! Reads the text of pictures with Tesseract.
//!
//! Engines are kept warm by language. One reading takes one thread; Tesseract cannot be interrupted, so a reading that is cancelled or
//! out of time answers at once while its thread finishes by itself. What was read is searched by [`Pattern`]; where on a screen that is does not
//! live here.

mod engine;
mod error;
mod find;
mod languages;
mod likeness;
mod pool;
mod prepare;
mod threads;
mod words;

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use image::GrayImage;
use tokio_util::sync::CancellationToken;

use engine::Order;
pub use error::Error;
pub use find::{Hit, Hits, Pattern};
use pool::Pool;
pub use threads::init_threads;
pub use words::*;

use crate::tally::Tally;

/// How often a waiting reading looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(10);

/// Pixels of a picture at most.
const LARGEST: u64 = 100_000_000;

/// How pictures are read that say nothing else.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Languages of readings that name none. Those that are not installed are left out, as long as one is.
    pub languages: Vec<String>,
    /// The longest that one reading may take, waiting for its turn included.
    pub timeout: Duration,
    /// From which confidence on a text is accepted, 0–1, where a reading does not say.
    pub confidence_threshold: f64,
}

/// The reader.
#[derive(Debug)]
pub struct Ocr {
    settings: Settings,
    pool: Arc<Pool>,
    /// Cancelled while nothing is read.
    open: Mutex<CancellationToken>,
    taken: Tally,
}

impl Ocr {
    /// A reader without engines: each is started when first needed, which takes about 0.1 s.
    pub fn new(settings: Settings) -> Self {
        Self { settings, pool: Arc::new(Pool::new()), open: Mutex::default(), taken: Tally::default() }
    }

    /// Reads from now on; gives the languages there are. Nothing is warmed.
    ///
    /// # Errors
    /// Where no language is installed that a reading without one would use.
    pub fn start(&self) -> Result<Vec<String>, Error> {
        languages::chosen(None, &self.settings.languages)?;
        *self.session() = CancellationToken::new();
        self.languages()
    }

    /// Reads no more: readings that go on are given up, and the warm engines are let go.
    pub fn stop(&self) {
        self.session().cancel();
        self.pool.clear();
    }

    /// How long readings took.
    pub fn taken(&self) -> &Tally {
        &self.taken
    }

    fn session(&self) -> MutexGuard<'_, CancellationToken> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The languages that are installed, by name.
    pub fn languages(&self) -> Result<Vec<String>, Error> {
        languages::installed()
    }

    /// The language, or several joined by `+`, in which a reading that asks for `asked` would be read.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no language; [`Error::Language`] for one that is not installed.
    pub fn language(&self, asked: Option<&str>) -> Result<String, Error> {
        Ok(languages::chosen(asked, &self.settings.languages)?.1)
    }

    /// The longest that one reading may take.
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Reads a picture. Boxes are in its pixels.
    pub fn read(&self, picture: &GrayImage, reading: &Reading, cancel: &CancellationToken) -> Result<Text, Error> {
        self.read_until(picture, reading, Instant::now() + self.settings.timeout, cancel)
    }

    /// The same for one of several readings, which have to be done by `deadline` together.
    pub fn read_until(&self, picture: &GrayImage, reading: &Reading, deadline: Instant, cancel: &CancellationToken) -> Result<Text, Error> {
        let started = Instant::now();
        let session = self.session().clone();
        if session.is_cancelled() {
            return Err(Error::Off);
        }
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return Err(Error::Invalid("the picture is empty: give one with at least one pixel".to_owned()));
        }
        if u64::from(width) * u64::from(height) > LARGEST || width.max(height) > prepare::LONGEST {
            return Err(Error::Invalid(format!(
                "a picture of {width}x{height} is too large to read: give at most 100 million pixels and {} a side, or a part of it",
                prepare::LONGEST
            )));
        }
        let threshold = reading.confidence_threshold.unwrap_or(self.settings.confidence_threshold);
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::Invalid(format!("{threshold} is no confidence: give a number from 0 to 1")));
        }
        let (folder, language) = languages::chosen(reading.language.as_deref(), &self.settings.languages)?;
        prepare::check(&reading.preprocess)?;
        let order = Order::new(reading, prepare::default_segmentation(width, height))?;

        let Some(turn) = self.pool.turn(deadline, cancel) else {
            return Err(self.stopped(cancel));
        };
        let (sender, receiver) = sync_channel(1);
        let given_up = session.clone();
        let (pool, picture, preprocess, wanted) = (Arc::clone(&self.pool), picture.clone(), reading.preprocess.clone(), language.clone());
        std::thread::Builder::new()
            .name("ocr".to_owned())
            .spawn(move || {
                // Held to the end of the thread, also where nobody waits for it any more.
                let _turn = turn;
                threads::one_only();
                let read = pool.engine(&folder, &wanted).and_then(|mut engine| {
                    let read = engine.read(&prepare::prepared(&picture, &preprocess), &order);
                    // Back before the answer, or the next reading would find none.
                    if read.is_ok() && !given_up.is_cancelled() {
                        pool.put_back(wanted, engine);
                    }
                    read
                });
                let _ = sender.send(read);
            })
            .map_err(|error| Error::Failed(format!("no thread could be started: {error}")))?;

        loop {
            match receiver.recv_timeout(LOOK) {
                Ok(read) => {
                    let (text, confidence, words) = read?;
                    self.taken.add(started.elapsed());
                    let execution_time = started.elapsed().as_secs_f64();
                    let accepted = !text.is_empty() && confidence >= threshold;
                    return Ok(Text { text, confidence, accepted, words, language, engine: "tesseract".to_owned(), execution_time });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Failed("its thread ended without an answer".to_owned())),
                Err(RecvTimeoutError::Timeout) if session.is_cancelled() => return Err(Error::Off),
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() || Instant::now() >= deadline => return Err(self.stopped(cancel)),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn stopped(&self, cancel: &CancellationToken) -> Error {
        if cancel.is_cancelled() { Error::Cancelled } else { Error::Timeout(self.settings.timeout.as_secs_f64()) }
    }
}

/// Whether `language` is written like one, installed or not.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_language(language: &str) -> Result<(), Error> {
    languages::split(language).map(drop)
}
