//! Reads with neural networks: one finds the lines ([`detect`]), one reads them ([`recognise`]), one tells which stand on their head
//! ([`direction`]); ONNX Runtime runs them ([`runtime`]).
//!
//! All of it is a folder of files ([`files`]). They are loaded when first needed and stay loaded; until then each look asks whether they are
//! there, so that what is installed while the server runs is used. A missing or broken one is a reason, never more.

mod detect;
mod direction;
pub mod files;
mod recognise;
mod runtime;
mod words;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::GrayImage;

use super::prepare::{Prepared, median};
use super::{Error, Step, Word};
use detect::Line;
use files::Stamp;
use recognise::{Alphabet, Strip};
use runtime::Network;
use words::{Found, Turn};

/// What is done to pictures for which nobody says it: the networks were taught with all kinds of pictures.
pub(super) const AUTO: [Step; 0] = [];

/// Processors that it uses at most: more make a small network hardly faster.
const THREADS: usize = 2;
/// A line that is read with less confidence may stand on its head, or on its end.
const DOUBTFUL: f64 = 0.75;

/// The neural engine, or the place where it would be.
#[derive(Debug)]
pub(super) struct Neural {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What was found in the folder, when it was last looked at.
    checked: Option<(Stamp, Result<(), String>)>,
    loaded: Option<Arc<Mutex<Networks>>>,
}

struct Networks {
    detect: Network,
    direction: Network,
    recognise: Network,
    alphabet: Alphabet,
}

/// What is read, as far as it matters here.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// All of the picture is one line.
    pub(super) one_line: bool,
    /// Only these characters.
    pub(super) whitelist: Option<String>,
    /// Chinese or Japanese may stand there.
    pub(super) east_asian: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("checked", &self.checked).field("loaded", &self.loaded.is_some()).finish()
    }
}

impl Neural {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, state: Mutex::default() }
    }

    /// Whether it can be used: the files are there, and are the ones.
    ///
    /// # Errors
    /// [`Error::NoModels`].
    pub(super) fn available(&self) -> Result<(), Error> {
        self.looked_at(&mut self.state()).map_err(|reason| self.unfit(reason))
    }

    /// Loads them, unless they are.
    pub(super) fn load(&self) -> Result<(), Error> {
        self.networks().map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unfit(&self, reason: String) -> Error {
        Error::NoModels { reason, folder: self.folder.clone() }
    }

    fn looked_at(&self, state: &mut State) -> Result<(), String> {
        if state.loaded.is_some() {
            return Ok(());
        }
        let stamp = files::stamp(&self.folder);
        if let Some((_, found)) = state.checked.as_ref().filter(|(at, _)| *at == stamp) {
            return found.clone();
        }
        let found = files::check(&self.folder);
        state.checked = Some((stamp, found.clone()));
        found
    }

    /// The networks, loaded when first needed: about half a second.
    fn networks(&self) -> Result<Arc<Mutex<Networks>>, Error> {
        let mut state = self.state();
        if let Some(loaded) = &state.loaded {
            return Ok(Arc::clone(loaded));
        }
        self.looked_at(&mut state).map_err(|reason| self.unfit(reason))?;
        match Networks::load(&self.folder) {
            Ok(networks) => {
                let networks = Arc::new(Mutex::new(networks));
                state.loaded = Some(Arc::clone(&networks));
                Ok(networks)
            }
            Err(reason) => {
                // Until something changes there, it would fail again.
                state.checked = Some((files::stamp(&self.folder), Err(reason.clone())));
                Err(self.unfit(reason))
            }
        }
    }

    /// Reads one picture: the text, its mean confidence, the words. `over` is asked now and then whether to go on; nothing where not.
    pub(super) fn read(
        &self,
        picture: &Prepared<'_>,
        order: &Order,
        over: &dyn Fn() -> bool,
    ) -> Result<Option<(String, f64, Vec<Word>)>, Error> {
        let networks = self.networks()?;
        let mut networks = networks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = networks.read(&picture.image, order, over).map_err(Error::Failed)?;
        Ok(found.map(|found| words::assembled(found, picture)))
    }
}

impl Networks {
    fn load(folder: &Path) -> Result<Self, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        // What was checked a moment ago may be another file by now, and one that is cut off takes the process along when it is loaded.
        drop(files::read(folder, files::LIBRARY)?);
        let environment = runtime::load(&std::path::absolute(folder.join(files::LIBRARY)).map_err(|error| error.to_string())?)?;
        let network = |name: &str| {
            let model = files::read(folder, name)?;
            Network::new(environment, &model, threads).map_err(|error| format!("{name} does not load: {error}"))
        };
        let (detect, direction, recognise) = (network(files::DETECT)?, network(files::DIRECTION)?, network(files::RECOGNISE)?);
        let list = recognise.note("character").ok_or("the network that reads lines does not say which characters it knows")?;
        Ok(Self { detect, direction, recognise, alphabet: Alphabet::new(&list) })
    }

    fn read(&mut self, picture: &GrayImage, order: &Order, over: &dyn Fn() -> bool) -> Result<Option<Vec<Found>>, String> {
        let lines =
            if order.one_line { Some(vec![one_line(picture)]) } else { detect::lines(picture, median(picture), &mut self.detect, over)? };
        let Some(lines) = lines else { return Ok(None) };
        let allowed = self.alphabet.allowed(order.whitelist.as_deref(), order.east_asian);
        let (upright, strips): (Vec<Line>, Vec<Strip>) =
            lines.into_iter().filter_map(|line| Some((line, Strip::new(&cut(picture, line))?))).unzip();
        let Some(mut found) = self.say(&upright, &strips, Turn::Upright, &allowed, over)? else { return Ok(None) };
        let doubtful: Vec<usize> = (0..found.len()).filter(|place| found.get(*place).is_some_and(|one| one.sure() < DOUBTFUL)).collect();
        for tall in [false, true] {
            // What is high and narrow may be a line that stands on its end, or one letter.
            let places: Vec<usize> = doubtful
                .iter()
                .copied()
                .filter(|place| upright.get(*place).is_some_and(|line| (2 * line.height >= 3 * line.width) == tall))
                .collect();
            let asked: Vec<Line> = places.iter().filter_map(|place| upright.get(*place).copied()).collect();
            let turned = |line: &Line| {
                if tall { Strip::new(&image::imageops::rotate270(&cut(picture, *line))) } else { Strip::new(&cut(picture, *line)) }
            };
            let strips: Vec<Strip> = asked.iter().filter_map(turned).collect();
            let Some(heads) = direction::on_their_head(&strips, &mut self.direction, over)? else { return Ok(None) };
            let again: Vec<usize> = (0..strips.len()).filter(|place| tall || heads.get(*place) == Some(&true)).collect();
            let of = |place: &usize| {
                let strip = strips.get(*place)?;
                Some(if heads.get(*place) == Some(&true) { strip.turned() } else { strip.clone() })
            };
            let strips: Vec<Strip> = again.iter().filter_map(of).collect();
            let lines: Vec<Line> = again.iter().filter_map(|place| asked.get(*place).copied()).collect();
            let turn = if tall { Turn::Quarter } else { Turn::Half };
            let Some(better) = self.say(&lines, &strips, turn, &allowed, over)? else { return Ok(None) };
            for (place, better) in again.into_iter().zip(better) {
                let before = places.get(place).and_then(|place| found.get_mut(*place));
                if let Some(before) = before.filter(|before| before.sure() < better.sure()) {
                    *before = better;
                }
            }
        }
        Ok(Some(found))
    }

    /// What some lines say.
    fn say(
        &mut self,
        lines: &[Line],
        strips: &[Strip],
        turn: Turn,
        allowed: &[usize],
        over: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Found>>, String> {
        let Some(read) = recognise::read(strips, &mut self.recognise, &self.alphabet, allowed, over)? else { return Ok(None) };
        let found = lines.iter().zip(strips).zip(read).map(|((line, strip), read)| {
            let width = f64::from(strip.pixels.width());
            Found { line: *line, read, turn, scale: strip.scale, width }
        });
        Ok(Some(found.collect()))
    }
}

fn cut(picture: &GrayImage, line: Line) -> GrayImage {
    image::imageops::crop_imm(picture, line.x, line.y, line.width, line.height).to_image()
}

/// All of a picture as one line: what of it has ink, with a little around.
fn one_line(picture: &GrayImage) -> Line {
    let all = Line { x: 0, y: 0, width: picture.width(), height: picture.height() };
    let ink = words::tightened(picture, all);
    let around = (ink.height / 6).max(2);
    let (x, y) = (ink.x.saturating_sub(around), ink.y.saturating_sub(around));
    let (right, bottom) = ((ink.x + ink.width + around).min(all.width), (ink.y + ink.height + around).min(all.height));
    Line { x, y, width: right - x, height: bottom - y }
}
