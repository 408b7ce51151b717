//! What the fuzz targets call, on seeds that were changed a little: a short run of the same entry points, with the toolchain that is there.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/entries.rs"]
mod entries;

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or_default() % sides.max(1)
    }
}

/// What is put in or instead of something.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "`",
    "\\",
    "$",
    "$(",
    ")",
    "{",
    "}",
    "{{",
    "}}",
    "#",
    "\n",
    ";",
    "&",
    "|",
    "<",
    ">",
    "<<",
    "*",
    "\0",
    "\u{202e}",
    "\u{feff}",
    "é",
    "//! ---\n",
    "[",
    "]",
    ",",
    ":",
    "null",
    "1e999",
    "-1",
    "true",
    "eval ",
    "${",
    "@P}",
    "=",
    "~",
    "((",
    "[[",
];

fn changed(seed: &str, seeds: &[String], dice: &mut Dice) -> String {
    let mut letters: Vec<char> = seed.chars().collect();
    for _ in 0..=dice.roll(4) {
        let (at, length) = (dice.roll(letters.len() + 1), dice.roll(8));
        let end = (at + length).min(letters.len());
        match dice.roll(4) {
            0 => drop(letters.drain(at..end)),
            1 => drop(letters.splice(at..at, PIECES[dice.roll(PIECES.len())].chars())),
            2 => drop(letters.splice(at..end, PIECES[dice.roll(PIECES.len())].chars())),
            _ => {
                let other: Vec<char> = seeds[dice.roll(seeds.len())].chars().collect();
                let from = dice.roll(other.len() + 1);
                let piece: Vec<char> = other[from..].iter().take(1 + dice.roll(24)).copied().collect();
                drop(letters.splice(at..at, piece));
            }
        }
    }
    letters.into_iter().collect()
}

fn run(entry: fn(&[u8]), seeds: &[String], times: usize) {
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| entry(seed.as_bytes()));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..times {
        let seed = &seeds[dice.roll(seeds.len())];
        let text = changed(seed, seeds, &mut dice);
        let mut bytes = text.into_bytes();
        if dice.roll(16) == 0 && !bytes.is_empty() {
            let at = dice.roll(bytes.len());
            bytes[at] = 0xff;
        }
        entry(&bytes);
    }
}

fn files(folder: &str, ending: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.to_string_lossy().ends_with(ending) && !path.to_string_lossy().ends_with(".problems.json")).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn graphs() {
    let seeds: Vec<String> = [files("tests/workflow", ".json"), files("tests/workflow/bad", ".json")]
        .concat()
        .into_iter()
        .filter(|seed| seed.len() < 8 << 10)
        .map(|seed| serde_json::from_str::<serde_json::Value>(&seed).unwrap().to_string())
        .collect();
    run(entries::graph, &seeds, 1500);
}

#[test]
fn headers() {
    run(entries::header, &[files("stdlib/nodes", ".rhai"), files("scripts", ".rhai")].concat(), 1500);
}

#[test]
fn commands() {
    let mut seeds = Vec::new();
    for table in ["src/policy/danger/commands.json", "src/policy/danger/allowed.json", "tests/hostile/commands.json"] {
        let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(table)).unwrap();
        texts(&serde_json::from_str(&table).unwrap(), &mut seeds);
    }
    run(entries::shell, &seeds, 4000);
}

/// What a list that allows `echo` alone lets through, run by bash itself where there is no program: it misses none.
#[test]
fn what_a_list_lets_through_starts_nothing_else_in_bash() {
    let mut seeds = Vec::new();
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/danger/allowed.json")).unwrap();
    texts(&serde_json::from_str(&table).unwrap(), &mut seeds);
    let list = trae::policy::Commands::only(&["echo *".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (empty, log) = (folder.path().join("empty"), folder.path().join("log"));
    fs::create_dir(&empty).unwrap();
    let (mut dice, mut tried) = (Dice(0x1234_5678_9abc_def1), 0);
    for _ in 0..40_000 {
        let line = changed(&seeds[dice.roll(seeds.len())], &seeds, &mut dice);
        if line.contains("while") || line.contains("until") || line.contains('\0') || list.check("bash", &line).is_err() {
            continue;
        }
        let script = format!("command_not_found_handle() {{ printf '%s\\n' \"$1\" >> '{}'; }}\n{line}\n", log.display());
        let mut bash = std::process::Command::new("/bin/bash");
        bash.args(["--norc", "--noprofile", "-c", &script]).env_clear().env("PATH", &empty).current_dir(&empty);
        let ran = bash.stdin(std::process::Stdio::null()).output().unwrap();
        let missed = fs::read_to_string(&log).unwrap_or_default();
        let made = fs::read_dir(&empty).unwrap().count();
        assert!(
            missed.is_empty() && made == 0,
            "{line:?} would start {missed:?} or made {made} files: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        tried += 1;
        if tried == 400 {
            break;
        }
    }
    assert!(tried > 100, "only {tried} lines are let through");
}

/// Every text in a table.
fn texts(value: &serde_json::Value, all: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => all.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| texts(field, all)),
        _ => {}
    }
}

#[test]
fn messages() {
    let seeds = [
        r#"{"type":"start_stream","config":{"fps":5,"quality":80,"scale_factor":1.0,"monitor":0,"format":"jpeg"}}"#,
        r#"{"type":"configure","fps":10}"#,
        r#"{"type":"click","x":1,"y":2,"button":"left","clicks":2}"#,
        r#"{"type":"mouse_move","x":1.5,"y":2,"target":"second"}"#,
        r#"{"type":"scroll","dx":1,"dy":-3}"#,
        r#"{"type":"key","key":"enter","action":"press"}"#,
        r#"{"type":"type","text":"Grüße\n"}"#,
        r#"{"type":"ack","sequence":4294967295}"#,
        r#"{"type":"execute_workflow","workflow_id":"w","parameters":{"a":[1]}}"#,
        r#"{"type":"execute_script","source":"1 + 1"}"#,
        r#"{"type":"subscribe","run_id":"r","after":18446744073709551615}"#,
    ];
    run(entries::socket, &seeds.map(str::to_owned), 3000);
}
