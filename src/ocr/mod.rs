//! Reads the text of pictures, with Tesseract or with neural networks ([`neural`]).
//!
//! Engines are kept warm: Tesseract's by language, the networks once loaded. Tesseract reads a screen line by line ([`page`]), on as many threads
//! as there are cores that nobody wants, and is asked within each whether to go on ([`raw`]); the networks use up to two and are asked between
//! batches. A reading that is cancelled or out of time answers at once while its threads finish by themselves. What was read is searched by [`Pattern`]; where on a screen that is does not live here.

mod error;
mod find;
mod languages;
mod likeness;
mod lines;
mod neural;
mod page;
mod pool;
mod posts;
mod prepare;
#[expect(unsafe_code, reason = "Tesseract speaks C, and the safe words for it cannot tell it to stop")]
mod raw;
mod tesseract;
mod threads;
mod traineddata;
mod words;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use image::GrayImage;
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use find::{Hit, Hits, Pattern};
use neural::Neural;
pub use neural::files as models;
use pool::{Pool, Turn, Turns};
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
    /// Where the neural engine's files are, or would be.
    pub models: PathBuf,
}

/// The reader.
#[derive(Debug)]
pub struct Ocr {
    settings: Settings,
    pool: Arc<Pool>,
    neural: Arc<Neural>,
    /// The networks use as many threads as are good for them: one reading at a time.
    neural_turns: Arc<Turns>,
    /// Cancelled while nothing is read.
    open: Mutex<CancellationToken>,
    /// Whether engines were loaded, or are being.
    warmed: AtomicBool,
    taken: [(&'static str, Tally); 2],
}

/// What an engine makes of a picture: the text, its mean confidence, the words.
type Answer = (String, f64, Vec<Word>);

/// A reading that goes on in a thread of its own.
struct Begun {
    answer: Receiver<Result<Answer, Error>>,
    language: String,
    engine: &'static str,
}

/// How long a reading may go on.
struct Limits<'a> {
    started: Instant,
    deadline: Instant,
    cancel: &'a CancellationToken,
    /// Cancelled when reading is stopped altogether.
    session: CancellationToken,
}

impl Ocr {
    /// A reader without engines: each is started when first needed, which takes about 0.1 s, and the networks half a second.
    pub fn new(settings: Settings) -> Self {
        let neural = Arc::new(Neural::new(settings.models.clone()));
        let taken = [("tesseract", Tally::default()), ("onnx", Tally::default())];
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            settings,
            pool: Arc::new(Pool::new(cores)),
            neural,
            neural_turns: Turns::new(1),
            open: Mutex::default(),
            warmed: AtomicBool::new(false),
            taken,
        }
    }

    /// Reads from now on; gives the languages there are for Tesseract. Nothing is warmed.
    ///
    /// # Errors
    /// Where no language is installed that a reading without one would use, and the neural engine is not there either.
    pub fn start(&self) -> Result<Vec<String>, Error> {
        let there = languages::chosen(None, &self.settings.languages);
        if there.is_err() && self.neural.available().is_err() {
            there?;
        }
        *self.session() = CancellationToken::new();
        Ok(self.languages().unwrap_or_default())
    }

    /// Loads engines for readings that name no language, one for each core, in the background and once: for when somebody shows that he will
    /// read. Each takes about 14 MB, which nobody needs who reads nothing.
    pub fn warm(&self) {
        let session = self.session().clone();
        if session.is_cancelled() || self.warmed.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok((folder, language)) = languages::chosen(None, &self.settings.languages) else { return };
        let (pool, cores) = (Arc::clone(&self.pool), std::thread::available_parallelism().map_or(1, usize::from));
        let load = move || pool.warm(&folder, &language, cores, &|| session.is_cancelled());
        // Without it the first reading loads its own.
        let _ = std::thread::Builder::new().name("ocr-warm".to_owned()).spawn(load);
    }

    /// Reads no more: readings that go on are given up, and Tesseract's warm engines are let go.
    pub fn stop(&self) {
        self.session().cancel();
        self.pool.clear();
        self.warmed.store(false, Ordering::Relaxed);
    }

    /// How long readings took, by engine.
    pub fn taken(&self) -> &[(&'static str, Tally)] {
        &self.taken
    }

    fn session(&self) -> MutexGuard<'_, CancellationToken> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The languages that are installed for Tesseract, by name.
    pub fn languages(&self) -> Result<Vec<String>, Error> {
        languages::installed()
    }

    /// The languages of the settings that are not installed for Tesseract, and so left out.
    pub fn missing_languages(&self) -> Vec<String> {
        languages::missing(&self.settings.languages)
    }

    /// The language, or several joined by `+`, in which a reading that asks for `asked` would be read.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no language; [`Error::Language`] for one that is not installed; [`Error::Unread`] for one that the
    /// neural engine does not read.
    pub fn language(&self, asked: Option<&str>, engine: Engine) -> Result<String, Error> {
        match engine {
            Engine::Onnx | Engine::Easyocr => languages::of_neural(asked, &self.settings.languages),
            Engine::Tesseract => Ok(languages::chosen(asked, &self.settings.languages)?.1),
            // What the one cannot read the other may.
            Engine::Auto => self.language(asked, Engine::Tesseract).or_else(|error| {
                let neural = self.neural.available().and_then(|()| self.language(asked, Engine::Onnx));
                neural.map_err(|_| error)
            }),
        }
    }

    /// Whether the neural engine can be used: its files are there, and are the ones. The first look takes some tenths of a second, later
    /// ones nothing while they stay as they are.
    ///
    /// # Errors
    /// [`Error::NoModels`] with the reason, and the command that helps.
    pub fn neural(&self) -> Result<(), Error> {
        self.neural.available()
    }

    /// Loads the networks, unless they are: half a second.
    ///
    /// # Errors
    /// [`Error::NoModels`] as well where the library, or a network, does not load.
    pub fn load_neural(&self) -> Result<(), Error> {
        self.neural.load()
    }

    /// The longest that one reading may take.
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// How long a reading may take that says so.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no time, or longer than any may take.
    pub fn time(&self, seconds: Option<f64>) -> Result<Option<Duration>, Error> {
        let Some(seconds) = seconds else { return Ok(None) };
        let most = self.settings.timeout;
        let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero() && *time <= most);
        let message = || format!("a timeout of {seconds} s is none: give more than 0 and at most {} (OCR_TIMEOUT)", most.as_secs_f64());
        time.map(Some).ok_or_else(|| Error::Invalid(message()))
    }

    /// Reads a picture. Boxes are in its pixels.
    pub fn read(&self, picture: &GrayImage, reading: &Reading, cancel: &CancellationToken) -> Result<Text, Error> {
        self.read_until(picture, reading, Instant::now() + self.settings.timeout, cancel)
    }

    /// The same for one of several readings, which have to be done by `deadline` together.
    pub fn read_until(&self, picture: &GrayImage, reading: &Reading, deadline: Instant, cancel: &CancellationToken) -> Result<Text, Error> {
        let started = Instant::now();
        let own = self.time(reading.timeout)?.and_then(|time| started.checked_add(time));
        let deadline = own.map_or(deadline, |own| own.min(deadline));
        let limits = Limits { started, deadline, cancel, session: self.session().clone() };
        if limits.session.is_cancelled() {
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
        prepare::check(reading.preprocess.as_ref(), (width, height))?;
        let order = tesseract::Order::new(reading, prepare::default_segmentation(width, height))?;

        let ((text, confidence, words), language, engine) = match reading.engine.unwrap_or_default() {
            Engine::Tesseract => self.finished(self.tesseract(picture, reading, order, &limits)?, &limits)?,
            Engine::Onnx | Engine::Easyocr => self.finished(self.networks(picture, reading, &limits)?, &limits)?,
            Engine::Auto => self.better(picture, reading, order, &limits)?,
        };
        let accepted = !text.is_empty() && confidence >= threshold;
        let execution_time = limits.started.elapsed().as_secs_f64();
        Ok(Text { text, confidence, accepted, words, language, engine: engine.to_owned(), execution_time })
    }

    /// Both read; of what they made of it the one with the higher confidence. Who cannot read it, or fails, is left out.
    fn better(&self, picture: &GrayImage, reading: &Reading, order: tesseract::Order, limits: &Limits<'_>) -> Result<Read, Error> {
        // Begun first: it takes longer.
        let neural = self.neural.available().and_then(|()| self.networks(picture, reading, limits)).ok();
        let tesseract = self.tesseract(picture, reading, order, limits).and_then(|begun| self.finished(begun, limits));
        let Some(neural) = neural else { return tesseract };
        match (tesseract, self.finished(neural, limits)) {
            (Ok(one), Ok(other)) => Ok(if other.0.1 > one.0.1 { other } else { one }),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(error), Err(_)) => Err(error),
        }
    }

    fn tesseract(&self, picture: &GrayImage, reading: &Reading, order: tesseract::Order, limits: &Limits<'_>) -> Result<Begun, Error> {
        let (folder, language) = languages::chosen(reading.language.as_deref(), &self.settings.languages)?;
        // What it loads is there for the next.
        self.warmed.store(true, Ordering::Relaxed);
        let (deadline, cancel, session) = (limits.deadline, limits.cancel.clone(), limits.session.clone());
        let over: page::Over = Arc::new(move || cancel.is_cancelled() || session.is_cancelled() || Instant::now() >= deadline);
        let desk = page::Desk { pool: Arc::clone(&self.pool), folder, language: language.clone(), session: limits.session.clone() };
        let (picture, how) = (picture.clone(), reading.preprocess.clone().unwrap_or_default());
        // Who says how it is laid out, or prepares it, wants just that; and lines from top to bottom are not looked for.
        let by_line = reading.page_segmentation.is_none() && how == Preprocess::Auto && !language.contains("_vert");
        let answer = self.begin(self.pool.turns(), limits, move || {
            let words = if by_line {
                page::read(picture, &desk, &order, over)?
            } else {
                desk.with(|engine| engine.read(&prepare::prepared(&picture, &how, &prepare::AUTO), &order, &*over))?
            };
            Ok(page::answer(words))
        })?;
        Ok(Begun { answer, language, engine: "tesseract" })
    }

    fn networks(&self, picture: &GrayImage, reading: &Reading, limits: &Limits<'_>) -> Result<Begun, Error> {
        let language = languages::of_neural(reading.language.as_deref(), &self.settings.languages)?;
        self.neural.available()?;
        let (neural, picture, how) = (Arc::clone(&self.neural), picture.clone(), reading.preprocess.clone().unwrap_or_default());
        let one_line = reading.page_segmentation.is_some_and(|mode| [7, 8, 10, 13].contains(&mode));
        let east_asian = languages::east_asian(&language);
        let order = neural::Order { one_line, whitelist: reading.whitelist.clone(), east_asian };
        let (deadline, cancel, session) = (limits.deadline, limits.cancel.clone(), limits.session.clone());
        let answer = self.begin(&self.neural_turns, limits, move || {
            let over = || cancel.is_cancelled() || session.is_cancelled() || Instant::now() >= deadline;
            // Whoever waits says itself why it is over.
            neural.read(&prepare::prepared(&picture, &how, &neural::AUTO), &order, &over)?.ok_or(Error::Cancelled)
        })?;
        Ok(Begun { answer, language, engine: "onnx" })
    }

    /// Waits for a turn, and reads in a thread of its own.
    fn begin(
        &self,
        turns: &Arc<Turns>,
        limits: &Limits<'_>,
        read: impl FnOnce() -> Result<Answer, Error> + Send + 'static,
    ) -> Result<Receiver<Result<Answer, Error>>, Error> {
        let Some(turn) = turns.take(limits.deadline, limits.cancel) else {
            return Err(if limits.cancel.is_cancelled() { Error::Cancelled } else { Error::Busy(limits.seconds()) });
        };
        let (sender, answer) = sync_channel(1);
        let work = move |turn: Turn, sender: SyncSender<Result<Answer, Error>>| {
            // Held to the end of the thread, also where nobody waits for it any more.
            let _turn = turn;
            let _ = sender.send(read());
        };
        std::thread::Builder::new()
            .name("ocr".to_owned())
            .spawn(move || work(turn, sender))
            .map_err(|error| Error::Failed(format!("no thread could be started: {error}")))?;
        Ok(answer)
    }

    /// Waits for what was begun.
    fn finished(&self, begun: Begun, limits: &Limits<'_>) -> Result<Read, Error> {
        let Begun { answer, language, engine } = begun;
        loop {
            match answer.recv_timeout(LOOK) {
                _ if limits.session.is_cancelled() => return Err(Error::Off),
                Ok(Err(Error::Cancelled)) => return Err(limits.stopped()),
                Ok(read) => {
                    let read = read?;
                    let own = self.taken.iter().filter(|(name, _)| *name == engine);
                    own.for_each(|(_, taken)| taken.add(limits.started.elapsed()));
                    return Ok((read, language, engine));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Failed("its thread ended without an answer".to_owned())),
                Err(RecvTimeoutError::Timeout) if limits.cancel.is_cancelled() || Instant::now() >= limits.deadline => {
                    return Err(limits.stopped());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Limits<'_> {
    /// How long it may go on altogether, in seconds as they are told.
    fn seconds(&self) -> f64 {
        (self.deadline.saturating_duration_since(self.started).as_secs_f64() * 100.0).round() / 100.0
    }

    fn stopped(&self) -> Error {
        if self.cancel.is_cancelled() { Error::Cancelled } else { Error::Timeout(self.seconds()) }
    }
}

/// What was read, in which language, by which engine.
type Read = (Answer, String, &'static str);

/// Whether `language` is written like one, installed or not.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_language(language: &str) -> Result<(), Error> {
    languages::split(language).map(drop)
}
