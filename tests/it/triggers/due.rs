//! When something is due: `due.json` has the cases.

use serde::Deserialize;
use serde_json::json;
use trae::schedule::{Schedule, Zone};
use trae::workflow::Listens;

#[derive(Deserialize)]
struct Case {
    cron: Option<String>,
    every: Option<String>,
    zone: Option<String>,
    from: String,
    to: String,
    why: String,
    due: Vec<String>,
}

pub fn micros(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

pub fn shown(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[test]
fn schedules_are_due_by_the_clock_on_the_wall() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("due.json")).unwrap();
    for case in cases {
        let schedule = match (&case.cron, &case.every) {
            (Some(cron), _) => Schedule::cron(cron, Zone::named(&case.zone.unwrap()).unwrap()).unwrap(),
            (None, every) => Schedule::every(every.as_ref().unwrap()).unwrap(),
        };
        let (from, to) = (micros(&case.from), micros(&case.to));
        let mut found = Vec::new();
        let mut last = from;
        while let Some(next) = schedule.next(last, from).filter(|next| *next <= to) {
            assert!(next > last, "{}: {} comes after {}", case.why, shown(next), shown(last));
            found.push(shown(next));
            last = next;
        }
        assert_eq!(found, case.due, "{}", case.why);
        // Looking back finds the same, whichever way it is cut.
        for most in [1, 2, 100] {
            let (due, more) = schedule.due(from, to, from, most);
            let newest = &case.due[case.due.len().saturating_sub(most)..];
            assert_eq!((due.into_iter().map(shown).collect::<Vec<_>>(), more), (newest.to_vec(), case.due.len() > most), "{}", case.why);
        }
    }
}

#[test]
fn looking_back_over_years_goes_through_the_end_only() {
    let every_second = Schedule::cron("* * * * * *", Zone::default()).unwrap();
    let (due, more) = every_second.due(micros("2016-01-01T00:00:00Z"), micros("2026-01-01T00:00:00Z"), 0, 100);
    assert_eq!((due.len(), more, shown(due[99])), (100, true, "2026-01-01T00:00:00Z".to_owned()));
    let yearly = Schedule::cron("0 0 1 7 *", Zone::default()).unwrap();
    let (due, more) = yearly.due(micros("2016-01-01T00:00:00Z"), micros("2026-01-01T00:00:00Z"), 0, 3);
    assert_eq!(due.into_iter().map(shown).collect::<Vec<_>>(), ["2023-07-01T00:00:00Z", "2024-07-01T00:00:00Z", "2025-07-01T00:00:00Z"]);
    assert!(more);
}

#[test]
fn what_is_wrong_with_a_triggers_fields_is_said_where_it_is() {
    for (kind, config, path, word) in [
        ("schedule", json!({ "cron": "61 * * * *" }), "/cron", "no cron pattern"),
        ("schedule", json!({ "cron": "0 0 30 2 *" }), "/cron", "never be due"),
        ("schedule", json!({ "cron": "* * * *" }), "/cron", "no cron pattern"),
        ("schedule", json!({ "cron": "0 7 * * *", "timezone": "Berlin" }), "/timezone", "Europe/Berlin"),
        ("schedule", json!({ "cron": "0 7 * * *", "every": "5m" }), "/every", "not both"),
        ("schedule", json!({}), "/cron", "needs"),
        ("schedule", json!({ "every": "5" }), "/every", "5m"),
        ("schedule", json!({ "every": "0s" }), "/every", "5m"),
        ("schedule", json!({ "every": "99999999999999d" }), "/every", "5m"),
        ("schedule", json!({ "every": "5m", "often": 1 }), "/often", "often"),
        ("schedule", json!({ "cron": "{{ params.when }}" }), "/cron", "expression"),
        ("watch_folder", json!({}), "/path", "path"),
        ("watch_folder", json!({ "path": "../x" }), "/path", ".."),
        ("watch_folder", json!({ "path": "x", "pattern": "[" }), "/pattern", "*.pdf"),
        ("watch_folder", json!({ "path": "x", "stable_seconds": -1 }), "/stable_seconds", "3600"),
        ("watch_folder", json!({ "path": "x", "after": "burn" }), "", "burn"),
        ("webhook", json!({ "path": "/" }), "/path", "orders/{id}"),
        ("webhook", json!({ "path": "a/{b}/{b}" }), "/path", "name of its own"),
        ("webhook", json!({ "path": "a/x{b}" }), "/path", "whole part"),
        ("webhook", json!({ "path": "a", "methods": ["FETCH"] }), "/methods/0", "FETCH"),
        ("webhook", json!({ "path": "a", "dedupe_key": "body.id" }), "/dedupe_key", "input.body.id"),
        ("startup", json!({ "x": 1 }), "/x", "x"),
        ("scheduled", json!({}), "/type", "schedule"),
    ] {
        let faults = Listens::read(kind, &config).unwrap_err();
        assert!(faults.len() == 1 && faults[0].0 == path && faults[0].1.contains(word), "{kind} {config}: {faults:?}");
    }
}
