//! `LIMITS.md` says what the code does.

use std::fs;

use regex::Regex;

use super::source::root;

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn the_page_of_limits_says_what_the_code_does() {
    let page = fs::read_to_string(root().join("LIMITS.md")).unwrap();
    let code = fs::read_to_string(root().join("src/config/settle.rs")).unwrap();
    let config = trae::config::Config::default();
    let mut wrong = Vec::new();
    let bounded = Regex::new(r#"within\("([A-Z_]+)", .+, ([^,]+?)\.\.=([^)]+)\)"#).unwrap();
    let mut named = 0;
    for found in bounded.captures_iter(&code) {
        named += 1;
        let name = &found[1];
        let Some(row) = page.lines().map(cells).find(|row| row[0] == format!("`{name}`")) else {
            wrong.push(format!("{name} has no row"));
            continue;
        };
        let range = format!("{}–{}", number(&found[2]), number(&found[3]));
        if row[2] != range {
            wrong.push(format!("{name} goes from {range}, not {}", row[2]));
        }
        let value = config.settings().iter().find(|setting| setting.name == name).map(|setting| setting.value.clone());
        // How many processors there are differs.
        if name != "WORKERS" && value.as_deref() != Some(row[1]) {
            wrong.push(format!("{name} is {value:?} by default, not {}", row[1]));
        }
    }
    assert!(named > 20, "{named} settings have a range");
    let limits = trae::host::protocol::Limits::default();
    for (what, value) in [
        ("operations", limits.operations.to_string()),
        ("seconds of computing", limits.seconds.to_string()),
        ("bytes of memory beside an idle runner's", limits.memory.to_string()),
        ("nested calls", limits.depth.to_string()),
        ("bytes of source", limits.source.to_string()),
    ] {
        if !page.lines().map(cells).any(|row| row[0] == what && row[1] == value) {
            wrong.push(format!("{what}: {value}"));
        }
    }
    let mut fixed = 0;
    for row in page.lines().map(cells).filter(|row| row.len() == 4 && row[2].starts_with("`src/")) {
        fixed += 1;
        let parts: Vec<&str> = row[2].split('`').filter(|part| !part.trim().is_empty()).collect();
        let [file, name, value] = parts[..] else { panic!("{row:?}") };
        let source = fs::read_to_string(root().join(file)).unwrap_or_default();
        let stands = source.lines().any(|line| line.contains(&format!("const {name}: ")) && line.ends_with(&format!(" = {value};")));
        if !stands {
            wrong.push(format!("{}: {name} is not {value} in {file}", row[0]));
        }
    }
    assert!(fixed > 30, "{fixed} limits are fixed");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `1 << 20` and `100_000` as digits.
fn number(text: &str) -> String {
    let text = text.replace('_', "");
    match text.split_once("<<") {
        Some((base, shift)) => (base.trim().parse::<u64>().unwrap() << shift.trim().parse::<u32>().unwrap()).to_string(),
        None => text.trim().trim_end_matches(".0").to_owned(),
    }
}
