//! Reading lines: what a network says of each column of a line's picture becomes characters, and these become words with their boxes.
//!
//! Lines of about the same length are read together. The network gives a likelihood for each character it knows and for none (CTC): the
//! likeliest of each column counts, once where it stays the same.

use fast_image_resize::FilterType;
use image::GrayImage;

use super::super::prepare::convolved;
use super::runtime::Network;

/// Height of a line as the network was taught, and pixels of its width that one column of the answer stands for.
const HEIGHT: u32 = 48;
const COLUMN: f64 = 8.0;
/// Lines that are read together at most, and how much longer the longest may be than the shortest.
const BATCH: usize = 6;
const LONGER: f64 = 1.25;
/// A line is at least so wide for the network, and at most.
const NARROWEST: u32 = 48;
const WIDEST: u32 = 3200;

/// The characters that the network knows: none, those of its list, and the space.
#[derive(Debug)]
pub(super) struct Alphabet {
    characters: Vec<String>,
}

/// A line's picture, of the network's height.
#[derive(Debug, Clone)]
pub(super) struct Strip {
    pub(super) pixels: GrayImage,
    /// Pixels of the picture it was cut from that one of its own stands for.
    pub(super) scale: f64,
}

/// One character that was read: what, how sure, and where, in pixels of the strip.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Character {
    pub(super) text: String,
    pub(super) sure: f64,
    pub(super) x: f64,
}

/// A line that was read.
pub(super) type Read = Vec<Character>;

impl Alphabet {
    /// The list as the network carries it: a character a line.
    pub(super) fn new(list: &str) -> Self {
        let own = list.split('\n').map(str::to_owned);
        Self { characters: std::iter::once(String::new()).chain(own).chain([" ".to_owned()]).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.characters.len()
    }

    /// Which of them may be read, by their places: all, or those of a list and what parts words. Signs of Chinese and Japanese only where one of
    /// these is read: else the edge of a button is the number one.
    pub(super) fn allowed(&self, only: Option<&str>, east_asian: bool) -> Vec<usize> {
        let only = only.filter(|only| !only.is_empty());
        let allowed = |(place, text): (usize, &String)| {
            let among = |only: &str| place == 0 || text == " " || only.contains(text.as_str());
            let of_language = east_asian || !text.starts_with(is_east_asian);
            only.map_or(of_language, among).then_some(place)
        };
        self.characters.iter().enumerate().filter_map(allowed).collect()
    }
}

/// Signs, syllables, and the wide forms of letters and marks, by their blocks in Unicode.
fn is_east_asian(letter: char) -> bool {
    matches!(letter, '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..)
}

impl Strip {
    /// A part of a picture as the network wants it.
    pub(super) fn new(part: &GrayImage) -> Option<Self> {
        let (width, height) = part.dimensions();
        let scale = f64::from(height) / f64::from(HEIGHT);
        let wide = (f64::from(width) / scale).round().clamp(1.0, f64::from(WIDEST)) as u32;
        let scale = f64::from(width) / f64::from(wide);
        Some(Self { pixels: resized(part, wide, HEIGHT)?, scale })
    }

    /// The same, turned by 180°.
    pub(super) fn turned(&self) -> Self {
        Self { pixels: image::imageops::rotate180(&self.pixels), scale: self.scale }
    }

    fn width(&self) -> u32 {
        self.pixels.width()
    }
}

/// A picture in another size.
pub(super) fn resized(picture: &GrayImage, width: u32, height: u32) -> Option<GrayImage> {
    convolved(picture, (width, height), FilterType::CatmullRom)
}

/// Which strips are read together: of about the same width, the narrow ones first.
fn batches(strips: &[Strip]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..strips.len()).collect();
    let width = |place: usize| strips.get(place).map_or(0, Strip::width).max(NARROWEST);
    order.sort_by_key(|place| width(*place));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for place in order {
        let fits = batches.last().is_some_and(|batch| {
            let first = batch.first().map_or(0, |first| width(*first));
            batch.len() < BATCH && f64::from(width(place)) <= f64::from(first) * LONGER
        });
        match batches.last_mut() {
            Some(batch) if fits => batch.push(place),
            _ => batches.push(vec![place]),
        }
    }
    batches
}

/// Reads strips; the answers are in their order. `over` is asked before each batch whether to go on.
pub(super) fn read(
    strips: &[Strip],
    network: &mut Network,
    alphabet: &Alphabet,
    allowed: &[usize],
    over: &dyn Fn() -> bool,
) -> Result<Option<Vec<Read>>, String> {
    let mut all = vec![Read::new(); strips.len()];
    for batch in batches(strips) {
        if over() {
            return Ok(None);
        }
        let members: Vec<&Strip> = batch.iter().filter_map(|place| strips.get(*place)).collect();
        let wide = members.iter().map(|strip| strip.width()).max().unwrap_or_default().max(NARROWEST).next_multiple_of(8) as usize;
        let input = input(&members, wide);
        let read = network.run([members.len(), 3, HEIGHT as usize, wide], &input, |shape, likely| {
            let [lines, columns, classes] = *shape else { return Err(format!("the network that reads lines gave {shape:?}")) };
            if lines != members.len() || classes != alphabet.len() {
                return Err(format!(
                    "the network that reads lines gave {shape:?} for {} lines and {} characters",
                    members.len(),
                    alphabet.len()
                ));
            }
            Ok(likely.chunks_exact((columns * classes).max(1)).map(|line| decoded(line, classes, alphabet, allowed)).collect::<Vec<_>>())
        })??;
        for (place, read) in batch.into_iter().zip(read) {
            if let Some(own) = all.get_mut(place) {
                *own = read;
            }
        }
    }
    Ok(Some(all))
}

/// Strips as numbers from -1 to 1, three times each as grey is red, green and blue alike; beyond a strip's end is nothing, 0.
pub(super) fn input(strips: &[&Strip], wide: usize) -> Vec<f32> {
    let high = HEIGHT as usize;
    let mut input = vec![0.0; strips.len() * 3 * high * wide];
    for (strip, planes) in strips.iter().zip(input.chunks_exact_mut(3 * high * wide)) {
        for plane in planes.chunks_exact_mut(high * wide) {
            for (to, from) in plane.chunks_exact_mut(wide).zip(strip.pixels.rows()) {
                to.iter_mut().zip(from).for_each(|(to, pixel)| *to = f32::from(pixel.0[0]) / 127.5 - 1.0);
            }
        }
    }
    input
}

/// What the columns of one line say.
fn decoded(likely: &[f32], classes: usize, alphabet: &Alphabet, allowed: &[usize]) -> Read {
    let mut read = Read::new();
    let mut last = 0;
    let mut columns = 0.0;
    for (column, likely) in likely.chunks_exact(classes).enumerate() {
        let (best, sure) = best(likely, allowed);
        let x = (column as f64 + 0.5) * COLUMN;
        if best == last && best != 0 {
            // It goes on: its middle is that of all its columns.
            if let Some(character) = read.last_mut() {
                columns += 1.0;
                character.x += (x - character.x) / columns;
                character.sure = character.sure.max(f64::from(sure));
            }
        } else if best != 0 {
            columns = 1.0;
            let text = alphabet.characters.get(best).cloned().unwrap_or_default();
            read.push(Character { text, sure: f64::from(sure).clamp(0.0, 1.0), x });
        }
        last = best;
    }
    read
}

fn best(likely: &[f32], allowed: &[usize]) -> (usize, f32) {
    let mut best = (0, f32::MIN);
    for class in allowed {
        let likely = likely.get(*class).copied().unwrap_or(f32::MIN);
        if likely > best.1 {
            best = (*class, likely);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line in which each column is sure of one class.
    fn columns(alphabet: &Alphabet, says: &[usize]) -> Vec<f32> {
        says.iter().flat_map(|says| (0..alphabet.len()).map(move |class| if class == *says { 0.9 } else { 0.01 })).collect()
    }

    #[test]
    fn a_character_counts_once_until_another_or_none_comes() {
        let alphabet = Alphabet::new("a\nb");
        let line = columns(&alphabet, &[0, 1, 1, 0, 1, 3, 2, 0]);
        let read = decoded(&line, alphabet.len(), &alphabet, &alphabet.allowed(None, false));
        assert_eq!(read.iter().map(|one| one.text.as_str()).collect::<String>(), "aa b");
        assert_eq!(read.iter().map(|one| one.x).collect::<Vec<_>>(), [16.0, 36.0, 44.0, 52.0]);
        let only = alphabet.allowed(Some("b"), false);
        let read = decoded(&line, alphabet.len(), &alphabet, &only);
        assert_eq!(read.iter().map(|one| one.text.as_str()).collect::<String>(), " b");
        assert_eq!(alphabet.allowed(Some(""), false), [0, 1, 2, 3]);
    }

    #[test]
    fn signs_of_other_languages_are_read_where_these_are_meant() {
        let alphabet = Alphabet::new("a\n一\nß\nの\n：\nΩ\n€");
        let known = |only: Option<&str>, east_asian| -> String {
            alphabet.allowed(only, east_asian).into_iter().map(|place| alphabet.characters[place].as_str()).collect()
        };
        assert_eq!(known(None, false), "aßΩ€ ");
        assert_eq!(known(None, true), "a一ßの：Ω€ ");
        // Who names one wants it.
        assert_eq!(known(Some("一a"), false), "a一 ");
    }

    #[test]
    fn lines_of_about_the_same_length_are_read_together() {
        let strip = |width| Strip { pixels: GrayImage::new(width, HEIGHT), scale: 1.0 };
        let strips: Vec<Strip> = [400, 90, 100, 1000, 95, 420].map(strip).into();
        assert_eq!(batches(&strips), [vec![1, 4, 2], vec![0, 5], vec![3]]);
        assert_eq!(batches(&vec![strip(50); 14]).iter().map(Vec::len).collect::<Vec<_>>(), [6, 6, 2]);
    }

    #[test]
    fn a_strip_has_the_networks_height_and_knows_its_scale() {
        let strip = Strip::new(&GrayImage::new(200, 24)).unwrap();
        assert_eq!((strip.pixels.dimensions(), strip.scale), ((400, 48), 0.5));
        // However long it is.
        assert_eq!(Strip::new(&GrayImage::new(32_000, 2)).unwrap().pixels.dimensions(), (WIDEST, HEIGHT));
    }
}
