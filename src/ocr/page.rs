//! Reads a picture with Tesseract line by line, on the cores that are free.
//!
//! Tesseract reads a line well that was cut out for it, and much of a screen badly: frames and several columns mislead it. Its time goes by how
//! wide a line is. So high enough letters are first read narrow, and only the words of which it is not sure once more as large as they are read
//! best; low ones at once so. `benches/reading` says what each number here brings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use image::GrayImage;
use tokio_util::sync::CancellationToken;

use super::lines::{self, Area};
use super::pool::{Pool, Turn};
use super::posts::Posts;
use super::prepare::{self, default_segmentation};
use super::tesseract::{Order, Tesseract};
use super::{Error, Preprocess, Word, threads};

/// How much larger lines are read best, across and down. Letters a little narrower than they are cost less and are read as well.
const BEST: (f64, f64) = (1.8, 2.0);
/// How much larger lines are read first.
const NARROW: (f64, f64) = (1.0, 1.5);
/// Pixels of height of lines that are read narrow first: lower ones nearly always have to be read again.
const NARROW_FROM: u32 = 12;
/// Pixels of height of lines that are enlarged: higher ones are large enough, and those of the double height become smaller.
const ENLARGED_TO: u32 = 24;
/// A word that is read narrow with less confidence is read again.
const SURE: f64 = 0.9;
/// Of which part of a line's width on it is all of it that is read again.
const MUCH: f64 = 0.5;
/// Pixels around a line that are read with it.
const AROUND: u32 = 3;
const BESIDE: u32 = 4;
/// Lines for which another core is worth it.
const LINES: usize = 3;
/// One block of text: lines that were cut out are read so, as a line that is read as one (7) is not looked at whether it is two.
const BLOCK: u8 = 6;
/// Pixels of a picture whose rows are lines of text, also where they have several columns, at most. In a larger one, columns are windows.
const ROWS: u64 = 640 * 480;

/// Where engines come from, and whether to give them back.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) pool: Arc<Pool>,
    pub(super) folder: String,
    pub(super) language: String,
    /// Cancelled when reading is stopped altogether: engines are let go then.
    pub(super) session: CancellationToken,
}

/// A picture that is read by several.
struct Page {
    picture: GrayImage,
    order: Order,
    areas: Vec<Area>,
    posts: Posts,
    next: AtomicUsize,
    read: Mutex<Vec<(usize, Vec<Word>)>>,
    over: Over,
}

/// Whether to stop.
pub(super) type Over = Arc<dyn Fn() -> bool + Send + Sync>;

/// The words of a picture in reading order.
pub(super) fn read(picture: GrayImage, desk: &Desk, order: &Order, over: Over) -> Result<Vec<Word>, Error> {
    let (rows, posts) = lines::find(&picture);
    let size = u64::from(picture.width()) * u64::from(picture.height());
    let (areas, order) = (rows.concat(), order.segmented(BLOCK));
    let page = Arc::new(Page { picture, order, areas, posts, next: AtomicUsize::new(0), read: Mutex::default(), over });
    let most = page.areas.len() / LINES;
    let helpers: Vec<_> = std::iter::from_fn(|| desk.pool.turns().spare())
        .take(most.saturating_sub(1))
        .filter_map(|turn| helper(&page, desk, turn))
        .collect();
    let own = desk.with(|engine| page.work(engine, &|| false));
    let helped: Vec<Result<(), Error>> = helpers
        .into_iter()
        .map(|helper| helper.join().unwrap_or_else(|_| Err(Error::Failed("a thread of it ended without an answer".to_owned()))))
        .collect();
    own?;
    helped.into_iter().collect::<Result<(), Error>>()?;
    if (page.over)() {
        // Whoever waits says itself why it is over.
        return Err(Error::Cancelled);
    }
    let mut read = std::mem::take(&mut *page.read.lock().unwrap_or_else(PoisonError::into_inner));
    read.sort_unstable_by_key(|(place, _)| *place);
    let mut parts = read.into_iter().map(|(_, words)| words);
    let rows = rows.iter().map(|row| parts.by_ref().take(row.len()).collect());
    Ok(if size <= ROWS { numbered(rows) } else { numbered(rows.flat_map(|row: Vec<_>| row.into_iter().map(|part| vec![part]))) })
}

/// The text of some words, their mean confidence, the words.
pub(super) fn answer(words: Vec<Word>) -> super::Answer {
    let mut text = String::new();
    let mut before: Option<&Word> = None;
    for word in &words {
        if let Some(before) = before {
            text.push(if before.line == word.line { ' ' } else { '\n' });
        }
        text.push_str(&word.text);
        before = Some(word);
    }
    let confidence = if words.is_empty() { 0.0 } else { words.iter().map(|word| word.confidence).sum::<f64>() / words.len() as f64 };
    (text, confidence, words)
}

/// Words of rows of parts, with the numbers of their lines. Where a part turned out to have several, so has its row.
fn numbered(rows: impl Iterator<Item = Vec<Vec<Word>>>) -> Vec<Word> {
    let mut all = Vec::new();
    let mut line = 0;
    for row in rows {
        let mut words: Vec<Word> = row.into_iter().flatten().collect();
        words.sort_by_key(|word| word.line);
        let mut before = None;
        for word in &mut words {
            line += u32::from(before.is_some_and(|before| before != word.line));
            before = Some(word.line);
            word.line = line;
        }
        line += u32::from(before.is_some());
        all.append(&mut words);
    }
    all
}

/// Somebody else who reads of the page as long as nobody else wants the core.
fn helper(page: &Arc<Page>, desk: &Desk, turn: Turn) -> Option<std::thread::JoinHandle<Result<(), Error>>> {
    let (page, desk) = (Arc::clone(page), desk.clone());
    let help = move || {
        let _turn = turn;
        desk.with(|engine| page.work(engine, &|| desk.pool.turns().wanted()))
    };
    std::thread::Builder::new().name("ocr".to_owned()).spawn(help).ok()
}

impl Desk {
    /// Does something with a warm engine.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Tesseract) -> Result<T, Error>) -> Result<T, Error> {
        threads::one_only();
        let mut engine = self.pool.engine(&self.folder, &self.language)?;
        let done = work(&mut engine);
        // Back before the answer, or the next reading would find none; also where it was stopped, or refused what it was to read.
        if !self.session.is_cancelled() && !matches!(done, Err(Error::Failed(_))) {
            self.pool.put_back(self.language.clone(), engine);
        }
        done
    }
}

impl Page {
    /// Reads what nobody has read yet, until somebody else wants the core: a line that was begun is read to its end then.
    fn work(&self, engine: &mut Tesseract, wanted: &dyn Fn() -> bool) -> Result<(), Error> {
        while !wanted() && !(self.over)() {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(area) = self.areas.get(place) else { break };
            let words = if area.line { self.line(engine, area)? } else { self.block(engine, area)? };
            self.read.lock().unwrap_or_else(PoisonError::into_inner).push((place, words));
        }
        Ok(())
    }

    /// What is laid out somehow is left to Tesseract.
    fn block(&self, engine: &mut Tesseract, area: &Area) -> Result<Vec<Word>, Error> {
        let cut = self.cut(area.x, area.y, area.width, area.height);
        let order = self.order.segmented(default_segmentation(area.width, area.height));
        let words = match engine.read(&prepare::prepared(&cut, &Preprocess::Auto, &prepare::AUTO), &order, &*self.over) {
            // A photograph beside text is no reason not to read the text.
            Err(Error::Crowded(_)) => Vec::new(),
            read => read?,
        };
        Ok(words.into_iter().map(|word| moved(word, area.x, area.y)).collect())
    }

    fn line(&self, engine: &mut Tesseract, area: &Area) -> Result<Vec<Word>, Error> {
        let (above, below) = self.around(area);
        let (x, y) = (area.x.saturating_sub(BESIDE), area.y - above);
        let width = (area.x + area.width + BESIDE).min(self.picture.width()) - x;
        let mut cut = self.cut(x, y, width, above + area.height + below);
        self.posts.paint_over(&mut cut, (x, y), area);
        let words = self.read_line(engine, &cut, area.height)?;
        let (top, bottom) = (area.y.saturating_sub(1), area.y + area.height + 1);
        let bottom = bottom.min(self.picture.height());
        // What of the lines above and below was read with it belongs to no word.
        let fitted = |word: Word| {
            let word = moved(word, x, y);
            let (start, end) = (u32::try_from(word.y).unwrap_or(0).max(top), word.y.saturating_add_unsigned(word.height));
            let end = u32::try_from(end).unwrap_or(0).min(bottom);
            let (start, end) = if start < end { (start, end) } else { (area.y, area.y + area.height) };
            Word { y: i32::try_from(start).unwrap_or(i32::MAX), height: end - start, ..word }
        };
        Ok(words.into_iter().map(fitted).collect())
    }

    /// Reads a line that was cut out: narrow first where it is high enough, and then what of it is unsure.
    fn read_line(&self, engine: &mut Tesseract, cut: &GrayImage, height: u32) -> Result<Vec<Word>, Error> {
        let less = match height {
            ..=ENLARGED_TO => 1.0,
            height if height <= 2 * ENLARGED_TO => 0.5,
            height => f64::from(ENLARGED_TO) / f64::from(height),
        };
        let best = (BEST.0 * less, BEST.1 * less);
        let all = |engine: &mut Tesseract, cut: &GrayImage| engine.read(&prepare::line(cut, best), &self.order, &*self.over);
        if !(NARROW_FROM..=ENLARGED_TO).contains(&height) {
            return all(engine, cut);
        }
        let words = engine.read(&prepare::line(cut, NARROW), &self.order, &*self.over)?;
        let wide = |words: &mut dyn Iterator<Item = &Word>| words.map(|word| f64::from(word.width)).sum::<f64>();
        let unsure = wide(&mut words.iter().filter(|word| word.confidence < SURE));
        if words.is_empty() || unsure > MUCH * wide(&mut words.iter()) || words.iter().any(|word| word.line > 0) {
            return all(engine, cut);
        }
        let mut read: Vec<Word> = Vec::new();
        let mut from = 0;
        // Unsure words side by side are read together.
        for group in words.chunk_by(|one, other| (one.confidence < SURE) == (other.confidence < SURE)) {
            let until = from + group.len();
            let between = |left: usize| {
                let (left, right) = (words.get(left)?, words.get(left + 1)?);
                u32::try_from((left.x.saturating_add_unsigned(left.width)).midpoint(right.x)).ok()
            };
            let start = from.checked_sub(1).and_then(between).unwrap_or(0);
            let end = between(until - 1).map_or(cut.width(), |end| (end + 1).min(cut.width()));
            from = until;
            let sure = group.first().is_none_or(|word| word.confidence >= SURE);
            let again = if sure || end < start + BESIDE {
                Vec::new()
            } else {
                all(engine, &image::imageops::crop_imm(cut, start, 0, end - start, cut.height()).to_image())?
            };
            match again.is_empty() {
                true => read.extend_from_slice(group),
                false => read.extend(again.into_iter().map(|word| Word { line: 0, ..moved(word, start, 0) })),
            }
        }
        Ok(read)
    }

    /// How many pixels above and below a line are no other line's.
    fn around(&self, area: &Area) -> (u32, u32) {
        let bottom = area.y + area.height;
        let (mut above, mut below) = (AROUND.min(area.y), AROUND.min(self.picture.height().saturating_sub(bottom)));
        let beside = |other: &&Area| other.x < area.x + area.width && area.x < other.x + other.width;
        for other in self.areas.iter().filter(beside) {
            let end = other.y + other.height;
            if other.y < area.y && end <= area.y + 2 {
                above = above.min(area.y.saturating_sub(end));
            }
            if end > bottom && other.y + 2 >= bottom {
                below = below.min(other.y.saturating_sub(bottom));
            }
        }
        (above, below)
    }

    fn cut(&self, x: u32, y: u32, width: u32, height: u32) -> GrayImage {
        image::imageops::crop_imm(&self.picture, x, y, width, height).to_image()
    }
}

fn moved(word: Word, x: u32, y: u32) -> Word {
    Word { x: word.x.saturating_add_unsigned(x), y: word.y.saturating_add_unsigned(y), ..word }
}
