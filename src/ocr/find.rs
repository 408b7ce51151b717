//! Finding a text among the words that were read: as it is written, nearly so, or by a regular expression.

use regex::{Regex, RegexBuilder};

use super::likeness::{folded, likeness};
use super::{Error, Word};

/// Characters of a text that is looked for, at most.
const LONGEST: usize = 200;
/// Bytes of a regular expression that is looked for, at most.
const LONGEST_REGEX: usize = 1000;
/// From this on it is the text itself.
const THE_SAME: f64 = 0.999;
/// Words that are further apart than so many times their height are not read together.
const APART: f64 = 2.5;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Pattern(What);

#[derive(Debug, Clone)]
enum What {
    Text { wanted: Vec<char>, match_case: bool, least: f64 },
    Regex(Regex),
}

/// Whether the same is looked for.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (What::Text { wanted, match_case, least }, What::Text { wanted: other, match_case: case, least: floor }) => {
                wanted == other && match_case == case && least == floor
            }
            (What::Regex(regex), What::Regex(other)) => regex.as_str() == other.as_str(),
            _ => false,
        }
    }
}

/// A text among the words that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// As it was read.
    pub text: String,
    /// How much it is like what was looked for, 0–1.
    pub score: f64,
    /// The least confidence of its words, 0–1.
    pub confidence: f64,
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// What the groups of a regular expression caught.
    pub groups: Vec<Option<String>>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hits {
    /// In reading order; where some are exactly what was looked for, only these.
    pub found: Vec<Hit>,
    /// What comes closest, where nothing was found.
    pub nearest: Option<Hit>,
}

impl Pattern {
    /// A text: case and white space do not count, unless `match_case`; what is at least `least` like it will do.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty or overlong text, or a likeness that is none.
    pub fn text(text: &str, least: f64, match_case: bool) -> Result<Self, Error> {
        let wanted = folded(text, match_case);
        if wanted.is_empty() || wanted.len() > LONGEST {
            return Err(Error::Invalid(format!("the text to look for must have 1 to {LONGEST} characters that are no white space")));
        }
        if !(0.0..=1.0).contains(&least) {
            return Err(Error::Invalid(format!("min_score is {least}: give a number from 0 to 1")));
        }
        Ok(Self(What::Text { wanted, match_case, least }))
    }

    /// A regular expression that a part of a line fits; words on a line are one space apart.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that cannot be understood, or fits an empty text.
    pub fn regex(pattern: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Invalid(format!("the regular expression cannot be used: {reason}"));
        if pattern.len() > LONGEST_REGEX {
            return Err(wrong(format!("it has more than {LONGEST_REGEX} bytes")));
        }
        let regex = RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|error| wrong(error.to_string()))?;
        if regex.is_match("") {
            return Err(wrong("an empty text fits it, which is everywhere".to_owned()));
        }
        Ok(Self(What::Regex(regex)))
    }

    /// Looks for it.
    pub fn find(&self, words: &[Word]) -> Hits {
        let lines = lines(words);
        match &self.0 {
            What::Text { wanted, match_case, least } => find_text(&lines, wanted, *match_case, *least),
            What::Regex(regex) => Hits { found: lines.iter().flat_map(|line| fits(line, regex)).collect(), nearest: None },
        }
    }
}

/// Words that stand side by side, from the left.
type Line<'a> = Vec<&'a Word>;

/// A run of words of one line, and how much it is like what is looked for.
struct Candidate {
    line: usize,
    first: usize,
    end: usize,
    score: f64,
}

fn find_text(lines: &[Line<'_>], wanted: &[char], match_case: bool, least: f64) -> Hits {
    let mut candidates = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let folded: Vec<Vec<char>> = line.iter().map(|word| folded(&word.text, match_case)).collect();
        for first in 0..line.len() {
            let mut seen: Vec<char> = Vec::new();
            for (end, more) in folded.iter().enumerate().skip(first) {
                seen.extend(more);
                let score = likeness(wanted, trimmed(&seen, wanted));
                candidates.push(Candidate { line: number, first, end: end + 1, score });
                // Longer ones are only less like it.
                if seen.len() > wanted.len() + wanted.len() / 2 + 3 {
                    break;
                }
            }
        }
    }
    // The best first; of those that are as good, the shorter and earlier.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| (a.end - a.first).cmp(&(b.end - b.first))));
    let hit = |candidate: &Candidate| {
        let words = lines.get(candidate.line).and_then(|line| line.get(candidate.first..candidate.end)).unwrap_or_default();
        hit(words, joined(words), candidate.score, Vec::new())
    };
    let best = candidates.first().map_or(0.0, |best| best.score);
    // A floor of 0 means anything that is like it at all.
    let least = if best >= THE_SAME { THE_SAME } else { least.max(f64::EPSILON) };
    let mut taken: Vec<&Candidate> = Vec::new();
    for candidate in candidates.iter().take_while(|candidate| candidate.score >= least) {
        if !taken.iter().any(|other| other.line == candidate.line && other.first < candidate.end && candidate.first < other.end) {
            taken.push(candidate);
        }
    }
    taken.sort_by_key(|candidate| (candidate.line, candidate.first));
    let found: Vec<Hit> = taken.into_iter().map(hit).collect();
    let nearest = candidates.first().filter(|nearest| found.is_empty() && nearest.score > 0.0).map(hit);
    Hits { found, nearest }
}

/// What was read, without marks around it that are not looked for: the colon of `Name:`, quotes, dots.
fn trimmed<'a>(seen: &'a [char], wanted: &[char]) -> &'a [char] {
    let mark = |letter: Option<&char>| letter.is_some_and(|letter| !letter.is_alphanumeric());
    let mut seen = seen;
    while !mark(wanted.first()) && mark(seen.first()) && seen.len() > 1 {
        seen = seen.get(1..).unwrap_or_default();
    }
    while !mark(wanted.last()) && mark(seen.last()) && seen.len() > 1 {
        seen = seen.get(..seen.len() - 1).unwrap_or_default();
    }
    seen
}

fn fits(line: &[&Word], regex: &Regex) -> Vec<Hit> {
    let text = joined(line);
    // Where each word begins in it.
    let mut starts = Vec::with_capacity(line.len());
    let mut next = 0;
    for word in line {
        starts.push(next);
        next += word.text.len() + 1;
    }
    let hits = regex.captures_iter(&text).filter_map(|captures| {
        let whole = captures.get(0).filter(|whole| !whole.is_empty())?;
        let touched = |(word, start): &(&&Word, &usize)| **start < whole.end() && **start + word.text.len() > whole.start();
        let words: Vec<&Word> = line.iter().zip(&starts).filter(touched).map(|(word, _)| *word).collect();
        let groups = captures.iter().skip(1).map(|group| group.map(|group| group.as_str().to_owned())).collect();
        (!words.is_empty()).then(|| hit(&words, whole.as_str().to_owned(), 1.0, groups))
    });
    hits.collect()
}

fn joined(words: &[&Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn hit(words: &[&Word], text: String, score: f64, groups: Vec<Option<String>>) -> Hit {
    let right = |word: &Word| i64::from(word.x) + i64::from(word.width);
    let bottom = |word: &Word| i64::from(word.y) + i64::from(word.height);
    let x = words.iter().map(|word| word.x).min().unwrap_or_default();
    let y = words.iter().map(|word| word.y).min().unwrap_or_default();
    let span = |end: Option<i64>, start: i32| u32::try_from(end.unwrap_or_default() - i64::from(start)).unwrap_or_default();
    Hit {
        text,
        score,
        confidence: words.iter().map(|word| word.confidence).fold(1.0, f64::min),
        x,
        y,
        width: span(words.iter().map(|word| right(word)).max(), x),
        height: span(words.iter().map(|word| bottom(word)).max(), y),
        groups,
    }
}

/// The words in lines as they stand, from the top: an engine that looks for sparse text takes what stands side by side for lines of their
/// own.
fn lines(words: &[Word]) -> Vec<Line<'_>> {
    struct Band<'a> {
        top: f64,
        height: f64,
        words: Line<'a>,
    }
    let mut bands: Vec<Band<'_>> = Vec::new();
    let lettered = |word: &&Word| word.text.chars().any(char::is_alphanumeric);
    // Marks last: they are too small to say where a line is.
    for word in words.iter().filter(lettered).chain(words.iter().filter(|word| !lettered(word))) {
        let (top, height) = (f64::from(word.y), f64::from(word.height.max(1)));
        let shares = |band: &Band<'_>| {
            let shared = (top + height).min(band.top + band.height) - top.max(band.top);
            let (small, large) = (height.min(band.height), height.max(band.height));
            let alike = if lettered(&word) { large <= 3.0 * small } else { height <= 3.0 * band.height };
            if alike { shared / small } else { 0.0 }
        };
        let best = bands.iter_mut().map(|band| (shares(band), band)).max_by(|a, b| a.0.total_cmp(&b.0));
        match best.filter(|(shared, _)| *shared >= 0.5) {
            Some((_, band)) => band.words.push(word),
            None => bands.push(Band { top, height, words: vec![word] }),
        }
    }
    bands.sort_by(|a, b| (a.top + a.height / 2.0).total_cmp(&(b.top + b.height / 2.0)));
    let mut lines = Vec::new();
    for mut band in bands {
        band.words.sort_by_key(|word| word.x);
        let mut line: Line<'_> = Vec::new();
        for word in band.words {
            if let Some(last) = line.last() {
                let gap = i64::from(word.x) - i64::from(last.x) - i64::from(last.width);
                if gap as f64 > APART * band.height.max(last.height.into()) {
                    lines.push(std::mem::take(&mut line));
                }
            }
            line.push(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, x: i32, y: i32) -> Word {
        let width = u32::try_from(text.len()).unwrap() * 8;
        Word { text: text.to_owned(), confidence: 0.9, x, y, width, height: 12, line: 0 }
    }

    fn form() -> Vec<Word> {
        vec![
            word("Name:", 10, 10),
            word("Order", 300, 10),
            word("4711", 350, 11),
            word("Order", 300, 40),
            word("4712", 350, 40),
            word("Save", 10, 70),
            word("as", 50, 73),
            word("Save", 200, 70),
            word("Cance1", 300, 70),
        ]
    }

    fn text(wanted: &str) -> Hits {
        Pattern::text(wanted, 0.85, false).unwrap().find(&form())
    }

    #[test]
    fn texts_are_found_in_reading_order_whatever_line_an_engine_says() {
        let hits = text("save");
        assert_eq!(hits.found.iter().map(|hit| (hit.x, hit.y)).collect::<Vec<_>>(), [(10, 70), (200, 70)]);
        let hits = text("Order 4712");
        assert_eq!(hits.found.len(), 1);
        assert_eq!((hits.found[0].x, hits.found[0].y, hits.found[0].width, hits.found[0].height), (300, 40, 82, 12));
        assert_eq!(text("name").found[0].text, "Name:");
        // They stand too far apart to be one text.
        assert!(text("Name: Order").found.is_empty());
    }

    #[test]
    fn what_is_nearly_it_is_found_and_says_how_nearly() {
        let hits = text("Cancel");
        assert_eq!(hits.found.len(), 1);
        assert!(hits.found[0].score > 0.85 && hits.found[0].score < 1.0);
        let missed = text("Order 4713");
        assert!(missed.found.is_empty());
        let nearest = missed.nearest.unwrap();
        assert!(nearest.text.starts_with("Order 471") && nearest.score < 0.85, "{nearest:?}");
        assert!(Pattern::text("Cancel", 1.0, false).unwrap().find(&form()).found.is_empty());
        assert_eq!(Pattern::text("x", 0.5, false).unwrap().find(&[]), Hits::default());
    }

    #[test]
    fn regular_expressions_catch_parts_of_lines() {
        let hits = Pattern::regex(r"Order (\d+)").unwrap().find(&form());
        assert_eq!(hits.found.iter().map(|hit| hit.groups[0].as_deref().unwrap()).collect::<Vec<_>>(), ["4711", "4712"]);
        assert_eq!((hits.found[0].x, hits.found[0].width), (300, 82));
        assert_eq!(Pattern::regex("Nam").unwrap().find(&form()).found[0].text, "Nam");
        for wrong in ["(", "a*", &"a".repeat(2000)] {
            assert!(Pattern::regex(wrong).is_err(), "{wrong:.20}");
        }
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused() {
        for (wanted, least) in [("", 0.9), (" \t", 0.9), (&*"a".repeat(201), 0.9), ("a", 1.5), ("a", f64::NAN)] {
            assert!(Pattern::text(wanted, least, false).is_err(), "{wanted:.20} {least}");
        }
    }

    #[test]
    fn a_rule_beside_a_line_swallows_no_words() {
        let mut words = form();
        words.insert(0, Word { height: 90, width: 2, ..word("|", 5, 0) });
        let hits = Pattern::text("order 4711", 0.85, false).unwrap().find(&words);
        assert_eq!(hits.found[0].y, 10);
    }
}
