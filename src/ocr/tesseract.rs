//! Tesseract.

use std::ffi::{CStr, CString};

use super::prepare::{self, Prepared};
use super::raw::{Ended, Engine};
use super::{Error, Reading, Word};

/// Bytes of a whitelist at most.
const LONGEST_WHITELIST: usize = 4096;
/// Dark spots that are apart in a picture that is read, at most. A page has some thousands of letters; with more of them than this Tesseract
/// looks for lines for longer than anybody waits, and is not to be stopped before it has found them.
const MOST_SPOTS: usize = 40_000;
/// Pixels of pictures that are small enough to be looked for lines whatever is in them.
const SMALL: usize = 500_000;

/// One engine with its languages loaded.
#[derive(Debug)]
pub(super) struct Tesseract {
    engine: Engine,
}

/// What Tesseract is told of one reading.
#[derive(Debug, Clone)]
pub(super) struct Order {
    segmentation: CString,
    whitelist: CString,
}

impl Order {
    pub(super) fn new(reading: &Reading, default_segmentation: u8) -> Result<Self, Error> {
        let mode = reading.page_segmentation.unwrap_or(default_segmentation);
        if mode > 13 || mode == 0 || mode == 2 {
            return Err(Error::Invalid(format!(
                "page segmentation {mode} reads no text: give 1 or 3 to 13, such as 6 for one block, 7 for one line, 11 for sparse text"
            )));
        }
        let whitelist = reading.whitelist.clone().unwrap_or_default();
        if whitelist.len() > LONGEST_WHITELIST {
            return Err(Error::Invalid(format!("the whitelist is too long: give at most {LONGEST_WHITELIST} bytes")));
        }
        let text = |text: String| CString::new(text).map_err(|_| Error::Invalid("the whitelist may not hold NUL characters".to_owned()));
        Ok(Self { segmentation: text(mode.to_string())?, whitelist: text(whitelist)? })
    }

    /// The same for a part that is segmented in its own way.
    pub(super) fn segmented(&self, mode: u8) -> Self {
        let segmentation = CString::new(mode.to_string()).unwrap_or_else(|_| self.segmentation.clone());
        Self { segmentation, whitelist: self.whitelist.clone() }
    }
}

impl Tesseract {
    /// Loads the languages; takes about 0.1 s for each.
    pub(super) fn start(folder: &str, language: &str) -> Result<Self, Error> {
        let text = |text: &str| CString::new(text).map_err(|_| Error::Start(language.to_owned()));
        let engine = Engine::new(&text(folder)?, &text(language)?).ok_or_else(|| Error::Start(language.to_owned()))?;
        // Of several it leaves out those that do not load.
        let loaded = engine.loaded();
        let missing: Vec<&str> = language.split('+').filter(|name| !loaded.iter().any(|loaded| loaded == name)).collect();
        if !missing.is_empty() {
            return Err(Error::Start(missing.join("+")));
        }
        let mut engine = Self { engine };
        // Its remarks about pictures ("Empty page!!") belong to nobody's log.
        engine.set(c"debug_file", c"/dev/null")?;
        Ok(engine)
    }

    /// Reads one picture: the words in reading order. `over` is asked before each line and word whether to stop.
    pub(super) fn read(&mut self, picture: &Prepared, order: &Order, over: &dyn Fn() -> bool) -> Result<Vec<Word>, Error> {
        if picture.image.len() > SMALL {
            let spots = prepare::spots(&picture.image);
            if spots > MOST_SPOTS {
                return Err(Error::Crowded(spots));
            }
        }
        // Both always, as they stay from one reading to the next.
        self.set(c"tessedit_pageseg_mode", &order.segmentation)?;
        self.set(c"tessedit_char_whitelist", &order.whitelist)?;
        let (width, height) = picture.image.dimensions();
        if !self.engine.show(picture.image.as_raw(), width, height, picture.resolution) {
            return Err(Error::Failed(format!("it takes no picture of {width}×{height}")));
        }
        let ended = self.engine.recognize(over);
        let table = self.engine.table();
        // Lets go of the picture and all that was found in it.
        self.engine.show(&[255; 16], 4, 4, picture.resolution);
        match (ended, table) {
            (Ended::Read, Some(table)) => Ok(parse(&table, picture)),
            (Ended::Stopped, _) => Err(Error::Cancelled),
            (Ended::Read | Ended::Failed, _) => Err(Error::Failed("Tesseract does not say why".to_owned())),
        }
    }

    fn set(&mut self, name: &CStr, value: &CStr) -> Result<(), Error> {
        let known = self.engine.set(name, value);
        if known { Ok(()) } else { Err(Error::Failed(format!("it does not know the setting {name:?}"))) }
    }
}

/// Reads Tesseract's table: a row for each page, block, paragraph, line (levels 1 to 4) and word (5).
fn parse(table: &str, picture: &Prepared) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut last_line = None;
    let mut line = 0;
    for row in table.lines() {
        let fields: Vec<&str> = row.splitn(12, '\t').collect();
        let [level, _page, block, paragraph, number, _word, left, top, width, height, confidence, word] = fields[..] else { continue };
        let word = word.trim();
        if level != "5" || word.is_empty() {
            continue;
        }
        let numbers = [left, top, width, height].map(|field| field.parse::<u32>().ok());
        let ([Some(left), Some(top), Some(width), Some(height)], Ok(confidence)) = (numbers, confidence.parse::<f64>()) else { continue };
        let this_line = Some((block, paragraph, number));
        line += u32::from(last_line.is_some() && last_line != this_line);
        last_line = this_line;
        let (x, y, width, height) = picture.back(left, top, width, height);
        words.push(Word { text: word.to_owned(), confidence: (confidence / 100.0).clamp(0.0, 1.0), x, y, width, height, line });
    }
    words
}
