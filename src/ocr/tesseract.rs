//! Tesseract.

use std::ffi::{CStr, CString};

use leptess::tesseract::TessApi;

use super::prepare::Prepared;
use super::{Error, Reading, Word};

/// Bytes of a whitelist at most.
const LONGEST_WHITELIST: usize = 4096;

/// One engine with its languages loaded.
#[derive(Debug)]
pub(super) struct Tesseract {
    api: TessApi,
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
        let api = TessApi::new(Some(folder), language).map_err(|_| Error::Start(language.to_owned()))?;
        let mut engine = Self { api };
        // Its remarks about pictures ("Empty page!!") belong to nobody's log.
        engine.set(c"debug_file", c"/dev/null")?;
        Ok(engine)
    }

    /// Reads one picture: the words in reading order.
    pub(super) fn read(&mut self, picture: &Prepared, order: &Order) -> Result<Vec<Word>, Error> {
        // Both always, as they stay from one reading to the next.
        self.set(c"tessedit_pageseg_mode", &order.segmentation)?;
        self.set(c"tessedit_char_whitelist", &order.whitelist)?;
        self.give(picture.image.as_raw(), picture.image.width(), picture.image.height())?;
        self.api.set_source_resolution(picture.resolution);
        self.api.raw.recognize().map_err(|error| Error::Failed(error.to_string()))?;
        let table = self.api.raw.get_tsv_text(0).map_err(|error| Error::Failed(error.to_string()))?;
        let table = table.as_ref().to_string_lossy().into_owned();
        // Lets go of the picture and all that was found in it.
        self.give(&[255; 16], 4, 4)?;
        Ok(parse(&table, picture))
    }

    fn give(&mut self, pixels: &[u8], width: u32, height: u32) -> Result<(), Error> {
        let side = |side: u32| i32::try_from(side).map_err(|error| Error::Failed(error.to_string()));
        let (width, height) = (side(width)?, side(height)?);
        self.api.raw.set_image(pixels, width, height, 1, width).map_err(|error| Error::Failed(error.to_string()))
    }

    fn set(&mut self, name: &CStr, value: &CStr) -> Result<(), Error> {
        self.api.raw.set_variable(name, value).map_err(|_| Error::Failed(format!("it does not know the setting {name:?}")))
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
