//! The files that Tesseract loads, looked at before it does: of languages one of whose files is cut short it reads the others as if nothing
//! were, and over a file with a hole in it, as a full disk or a power cut leaves one, it ends the process.
//!
//! A file is a number of parts, where each begins, and the parts themselves. What stands in them is not checked further than that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::Error;

/// Parts of a file at most.
const MOST_PARTS: usize = 1000;
/// From this part on they are those of the networks.
const NETWORKS: usize = 17;
const LETTERS: usize = 21;
const CODES: usize = 22;
/// Bytes of a block of a file: in networks none is empty.
const BLOCK: usize = 1024;
/// How an archive begins, in which the parts may be as well.
const ARCHIVE: &[u8] = b"PK\x03\x04";

/// Files that were found whole, with their size and time then.
#[derive(Debug, Default)]
pub(super) struct Checked(Mutex<HashMap<PathBuf, (u64, SystemTime)>>);

impl Checked {
    /// Whether the files of these languages, joined by `+`, are whole. Each is read once, as long as it stays as it is.
    pub(super) fn check(&self, folder: &str, languages: &str) -> Result<(), Error> {
        languages.split('+').try_for_each(|language| {
            let file = Path::new(folder).join(format!("{language}.traineddata"));
            self.file(&file).map_err(|reason| Error::Broken { language: language.to_owned(), file, reason })
        })
    }

    fn file(&self, file: &Path) -> Result<(), String> {
        let unreadable = |error: std::io::Error| error.to_string();
        let about = std::fs::metadata(file).map_err(unreadable)?;
        let stamp = (about.len(), about.modified().map_err(unreadable)?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(file) == Some(&stamp) {
            return Ok(());
        }
        if let Some(fault) = fault(&std::fs::read(file).map_err(unreadable)?) {
            return Err(fault.to_owned());
        }
        known.insert(file.to_owned(), stamp);
        Ok(())
    }
}

/// What is wrong with the bytes of a file, if anything is.
fn fault(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(ARCHIVE) {
        return None;
    }
    let short = Some("it ends too early");
    let Some(count) = number(bytes, 0) else { return short };
    if count == 0 || count > MOST_PARTS {
        return Some("it does not begin as such a file does");
    }
    let Some(starts) = bytes.get(4..4 + 8 * count) else { return short };
    // A part that is not there begins at -1.
    let starts = starts.chunks_exact(8).map(|start| start.try_into().map_or(-1, i64::from_le_bytes));
    let starts: Vec<(usize, usize)> = starts.enumerate().filter_map(|(part, start)| Some((part, usize::try_from(start).ok()?))).collect();
    let mut before = 4 + 8 * count;
    for (index, (part, start)) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(bytes.len(), |(_, next)| *next);
        if *start < before || end < *start {
            return Some("it does not say where its parts are");
        }
        before = *start;
        let Some(content) = bytes.get(*start..end).filter(|content| !content.is_empty()) else { return short };
        let whole = match *part {
            LETTERS => has_letters(content),
            CODES => has_codes(content),
            NETWORKS.. => content.chunks_exact(BLOCK).all(|block| block.iter().any(|byte| *byte != 0)),
            _ => true,
        };
        if !whole {
            return Some("a part of it is lost");
        }
    }
    if starts.is_empty() { Some("it has no parts") } else { None }
}

/// Whether there are as many lines of letters as the first one says.
fn has_letters(content: &[u8]) -> bool {
    let mut lines = content.split(|byte| *byte == b'\n');
    let count = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.trim().parse::<usize>().ok());
    let rest = lines.filter(|line| !line.is_empty() && !line.contains(&0)).count();
    count.is_some_and(|count| count > 0 && rest >= count)
}

/// Whether there are as many codes of letters as it says: each with a byte, and a number of numbers.
fn has_codes(content: &[u8]) -> bool {
    let Some(count) = number(content, 0).filter(|count| *count > 0) else { return false };
    let end = (0..count).try_fold(4_usize, |at, _| at.checked_add(5)?.checked_add(number(content, at + 1)?.checked_mul(4)?));
    end.is_some_and(|end| end <= content.len())
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(number)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as Tesseract's are: a network, letters, codes and a version.
    fn file() -> Vec<u8> {
        let network: Vec<u8> = (0..20_000_u32).map(|number| (number % 251) as u8 + 1).collect();
        let codes: Vec<u8> = [2_u32.to_le_bytes().as_slice(), &[[1, 1, 0, 0, 0, 7, 0, 0, 0]; 2].concat()].concat();
        let parts: [(usize, &[u8]); 4] = [(NETWORKS, &network), (LETTERS, b"2\nNULL 0\na 3\n"), (CODES, &codes), (23, b"4.0")];
        let (mut starts, mut body) = (vec![-1_i64; 24], Vec::new());
        for (part, content) in parts {
            starts[part] = 4 + 24 * 8 + body.len() as i64;
            body.extend_from_slice(content);
        }
        let starts = starts.into_iter().flat_map(i64::to_le_bytes);
        24_u32.to_le_bytes().into_iter().chain(starts).chain(body).collect()
    }

    #[test]
    fn a_whole_file_is_told_from_one_that_is_cut_or_has_a_hole() {
        let whole = file();
        assert_eq!(fault(&whole), None);
        for length in [0, 3, 100, 196, 1000, whole.len() / 2, whole.len() - 3 - 18] {
            assert!(fault(&whole[..length]).is_some(), "{length} bytes of it");
        }
        for (from, to) in [(0, 4), (4, 196), (196, 196 + 2 * BLOCK), (20_196, 20_210), (20_209, 20_220)] {
            let mut holed = whole.clone();
            holed[from..to].fill(0);
            assert!(fault(&holed).is_some(), "without {from} to {to}");
        }
        assert!(fault(&[7; 5000]).is_some());
    }

    #[test]
    fn a_file_that_is_mended_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, whole) = (folder.path().join("x.traineddata"), file());
        let checked = Checked::default();
        let check = || checked.check(folder.path().to_str().unwrap(), "x");
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let broken = check().unwrap_err();
        assert!(broken.to_string().contains("--reinstall tesseract-ocr-x"), "{broken}");
        std::fs::write(&path, &whole).unwrap();
        check().unwrap();
        std::fs::write(&path, &whole[..100]).unwrap();
        assert!(check().is_err());
    }
}
