//! Counting what is wrong.
//!
//! Engines give what they read in different pieces and orders. So that only the reading counts, the pieces of all of them, and what really
//! stands there, are put in the same order first: in rows from the top, each from the left. White space counts as one space. What is wrong is
//! the edit distance of characters, and of words, by how many there are.

use std::collections::BTreeMap;

use crate::{LANGUAGES, Page};

/// A text and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub text: String,
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// What an engine made of some pages.
#[derive(Default)]
pub struct Score {
    all: Count,
    halves: BTreeMap<&'static str, Count>,
    pages: usize,
    seconds: f64,
}

#[derive(Default)]
struct Count {
    wrong: usize,
    characters: usize,
    wrong_words: usize,
    words: usize,
}

impl Score {
    pub fn add(&mut self, page: &Page, read: Vec<Piece>, seconds: f64) {
        let (truth, read) = (ordered(page.truth.clone()), ordered(read));
        let (a, b): (Vec<char>, Vec<char>) = (truth.chars().collect(), read.chars().collect());
        let (c, d): (Vec<&str>, Vec<&str>) = (truth.split(' ').collect(), read.split(' ').collect());
        let (wrong, wrong_words) = (distance(&a, &b), distance(&c, &d));
        if std::env::var_os("READING_SHOW").is_some() && wrong > 0 {
            println!("  {} {wrong}\n    {truth}\n    {read}", page.name);
        }
        let theme = if page.dark { "dark" } else { "light" };
        for count in [Some(&mut self.all)].into_iter().flatten() {
            count.add(wrong, a.len(), wrong_words, c.len());
        }
        for half in [theme, page.language] {
            self.halves.entry(half).or_default().add(wrong, a.len(), wrong_words, c.len());
        }
        self.pages += 1;
        self.seconds += seconds;
    }

    /// A line of the table; gives the characters of a hundred that are wrong.
    pub fn print(&self, name: &str) -> f64 {
        let of = |half: &str| self.halves.get(half).map_or("    -".to_owned(), |count| format!("{:>5.2}", count.characters()));
        let languages: Vec<String> = LANGUAGES.iter().map(|language| of(language)).collect();
        println!(
            "{name:<46} {:>6.2} {:>6.2} {:>8.0}          {} {} | {}",
            self.all.characters(),
            100.0 * self.all.wrong_words as f64 / self.all.words.max(1) as f64,
            1e3 * self.seconds / self.pages.max(1) as f64,
            of("light"),
            of("dark"),
            languages.join(" "),
        );
        self.all.characters()
    }
}

impl Count {
    fn add(&mut self, wrong: usize, characters: usize, wrong_words: usize, words: usize) {
        self.wrong += wrong;
        self.characters += characters;
        self.wrong_words += wrong_words;
        self.words += words;
    }

    fn characters(&self) -> f64 {
        100.0 * self.wrong as f64 / self.characters.max(1) as f64
    }
}

/// Rows from the top, each from the left. A piece is in a row where its middle lies within that row's first piece.
fn ordered(mut pieces: Vec<Piece>) -> String {
    pieces.retain(|piece| !piece.text.trim().is_empty());
    pieces.sort_by(|a, b| (a.y + a.height / 2.0).total_cmp(&(b.y + b.height / 2.0)));
    let mut rows: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        let middle = piece.y + piece.height / 2.0;
        let belongs = rows.last().is_some_and(|row| {
            let mean = row.iter().map(|one| one.y + one.height / 2.0).sum::<f64>() / row.len() as f64;
            let high = row.iter().map(|one| one.height).fold(piece.height, f64::max);
            (middle - mean).abs() < high * 0.5
        });
        match rows.last_mut() {
            Some(row) if belongs => row.push(piece),
            _ => rows.push(vec![piece]),
        }
    }
    for row in &mut rows {
        row.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    let words: Vec<String> = rows.iter().flatten().flat_map(|piece| piece.text.split_whitespace()).map(str::to_owned).collect();
    words.join(" ")
}

/// How many are to be put in, taken out or changed.
fn distance<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, one) in a.iter().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let change = corner + usize::from(one != other);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
