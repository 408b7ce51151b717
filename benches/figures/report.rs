//! How a figure is printed, and held against its target.

use std::time::Instant;

/// What a median should be.
#[derive(Clone, Copy)]
pub enum Target {
    None,
    AtMost(f64),
    AtLeast(f64),
}

pub fn head() {
    println!("{:<62} {:>10} {:>10} {:>10}", "", "min", "median", "max");
}

/// Prints one figure's spread; gives its median.
pub fn show(name: &str, unit: &str, target: Target, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (least, middle, most) = (values[0], median(&values), values[values.len() - 1]);
    let verdict = match target {
        Target::None => String::new(),
        Target::AtMost(limit) => format!("  (≤ {limit}: {})", met(middle <= limit)),
        Target::AtLeast(limit) => format!("  (≥ {limit}: {})", met(middle >= limit)),
    };
    println!("{name:<62} {least:>10.2} {middle:>10.2} {most:>10.2} {unit}{verdict}");
    middle
}

/// Says why a figure is missing.
pub fn skip(name: &str, why: &str) {
    println!("{name:<62} skipped: {why}");
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// How long `work` takes, in milliseconds.
pub fn milliseconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64() * 1e3
}

/// Each round's one by the other's.
pub fn ratios(ours: &[f64], others: &[f64]) -> Vec<f64> {
    ours.iter().zip(others).map(|(ours, other)| ours / other).collect()
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}
