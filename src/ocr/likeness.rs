//! How much a text that was read is like the one that is looked for: what an engine mistakes easily counts little, a wrong digit much.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Characters that look alike at the sizes of a screen.
const ALIKE: &[&str] = &["0o", "1li|!", "5s", "8bß", "2z", "'’‘`´", "\"“”„«»", "-–—_~", ".,·", ":;", "({", ")}", "vy", "uv"];

/// In which of these groups each ASCII character is, a bit for each.
const ALIKE_ASCII: [u16; 128] = {
    let mut groups = [0; 128];
    let mut group = 0;
    while group < ALIKE.len() {
        let letters = ALIKE[group].as_bytes();
        let mut at = 0;
        while at < letters.len() {
            // Bytes of longer characters are no ASCII.
            if letters[at] < 128 {
                groups[letters[at] as usize] |= 1 << group;
            }
            at += 1;
        }
        group += 1;
    }
    groups
};

/// What a mark that is missing or too much costs.
const MARK: f64 = 0.25;
/// What one character costs that is taken for one that looks alike, or has lost its accent.
const CLOSE: f64 = 0.5;
/// What a wrong digit costs: another number is another thing, also at the end of a long text, of which it takes this part at least.
const DIGIT: f64 = 3.0;
const DIGIT_OF_ALL: f64 = 0.2;

/// A text without white space, composed, and in small letters unless their case counts.
pub(super) fn folded(text: &str, match_case: bool) -> Vec<char> {
    let text = if text.is_ascii() { text.into() } else { ComposingNormalizerBorrowed::new_nfc().normalize(text) };
    let letters = text.chars().filter(|letter| !letter.is_whitespace());
    if match_case { letters.collect() } else { letters.flat_map(char::to_lowercase).collect() }
}

/// How much `seen` is like `wanted`, both folded: 1 for the same, 0 for nothing in common.
pub(super) fn likeness(wanted: &[char], seen: &[char]) -> f64 {
    if wanted == seen {
        return 1.0;
    }
    let longest = wanted.len().max(seen.len());
    if longest == 0 {
        return 0.0;
    }
    let digit = DIGIT.max(DIGIT_OF_ALL * longest as f64);
    let gap = |letter: char| gap(letter, digit);
    // The cheapest way to make one of the other, a row of it at a time.
    let mut above: Vec<f64> = std::iter::once(0.0).chain(seen.iter().scan(0.0, |sum, letter| Some(add(sum, gap(*letter))))).collect();
    for letter in wanted {
        let mut row = Vec::with_capacity(above.len());
        let mut left = above.first().copied().unwrap_or_default() + gap(*letter);
        row.push(left);
        for (other, pair) in seen.iter().zip(above.windows(2)) {
            let &[corner, up] = pair else { continue };
            left = (corner + change(*letter, *other, digit)).min(up + gap(*letter)).min(left + gap(*other));
            row.push(left);
        }
        above = row;
    }
    let cost = above.last().copied().unwrap_or_default();
    (1.0 - cost / longest as f64).clamp(0.0, 1.0)
}

fn add(sum: &mut f64, more: f64) -> f64 {
    *sum += more;
    *sum
}

/// What a character costs that is missing or too much.
fn gap(letter: char, digit: f64) -> f64 {
    match letter {
        _ if letter.is_numeric() => digit,
        _ if letter.is_alphabetic() => 1.0,
        _ => MARK,
    }
}

/// What it costs to read one character as another.
fn change(a: char, b: char, digit: f64) -> f64 {
    if a == b {
        return 0.0;
    }
    if groups(a) & groups(b) != 0 {
        return CLOSE;
    }
    if a.is_numeric() || b.is_numeric() {
        return digit;
    }
    if bare(a) == bare(b) {
        return CLOSE;
    }
    if a.is_alphabetic() || b.is_alphabetic() { 1.0 } else { CLOSE }
}

/// The groups in which a character is.
fn groups(letter: char) -> u16 {
    let known = u32::from(letter).try_into().ok().and_then(|place: usize| ALIKE_ASCII.get(place));
    known.copied().unwrap_or_else(|| ALIKE.iter().enumerate().map(|(number, group)| u16::from(group.contains(letter)) << number).sum())
}

/// The letter without its accents.
fn bare(letter: char) -> char {
    if letter.is_ascii() {
        return letter;
    }
    let mut room = [0; 4];
    let plain = DecomposingNormalizerBorrowed::new_nfd().normalize(letter.encode_utf8(&mut room)).chars().next();
    plain.unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(wanted: &str, seen: &str) -> f64 {
        likeness(&folded(wanted, false), &folded(seen, false))
    }

    #[test]
    fn the_same_text_is_the_same_however_it_is_written_down() {
        for (wanted, seen) in [("Save as", "SAVE  AS"), ("Öffnen", "o\u{308}ffnen"), ("Log in", "Login"), ("12,50 €", "12,50€")] {
            assert_eq!(like(wanted, seen), 1.0, "{wanted} {seen}");
        }
        assert!(likeness(&folded("OK", true), &folded("ok", true)) < 0.5);
    }

    #[test]
    fn what_is_easily_mistaken_counts_little_and_another_number_much() {
        for (wanted, seen) in [
            ("Cancel", "Cance1"),
            ("Speichern", "Spelchern"),
            ("Öffnen", "Offnen"),
            ("Name:", "Name"),
            ("Straße", "StraBe"),
            ("100", "1O0"),
        ] {
            assert!(like(wanted, seen) > 0.83, "{wanted} {seen}: {}", like(wanted, seen));
        }
        let page = "a line that is as long as one that is looked for may be, ".repeat(4) + "7";
        for (wanted, seen) in [
            ("Order 4711", "Order 4712"),
            ("Order 4711", "Order 471"),
            ("Login", "Logic"),
            ("Save", "Safe"),
            ("OK", "On"),
            ("Invoice number 4712 is paid", "Invoice number 4711 is paid"),
            ("Invoice number 4712 is paid", "Invoice number 47 12 3 is paid"),
            (&page, &page.replace('7', "8")),
            (&page, page.trim_end_matches('7')),
        ] {
            assert!(like(wanted, seen) < 0.85, "{wanted} {seen}: {}", like(wanted, seen));
        }
        assert_eq!(like("", ""), 1.0);
        assert_eq!(like("", "a"), 0.0);
    }
}
