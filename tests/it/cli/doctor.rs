//! `trae doctor`: what is there, what is missing, and what mends it.

use std::net::TcpListener;

use serde_json::Value;

use super::trae::{Place, stdout};

fn findings(place: &Place, environment: &[(&str, &str)]) -> (Option<i32>, Value) {
    let done = place.run(&["doctor", "--json"], environment);
    (done.status.code(), serde_json::from_str(&stdout(&done)).unwrap_or_else(|_| panic!("no JSON: {done:?}")))
}

fn of<'a>(report: &'a Value, part: &str) -> &'a Value {
    let all = report["findings"].as_array().unwrap();
    all.iter().find(|finding| finding["part"] == part).unwrap_or_else(|| panic!("{part} is missing in {report:#}"))
}

#[test]
fn a_machine_that_has_what_is_needed_is_told_so() {
    let place = Place::new();
    let (code, report) = findings(&place, &[("PORT", "0")]);
    assert_eq!((code, &report["ok"]), (Some(0), &Value::Bool(true)), "{report:#}");
    for part in ["data folder", "port", "display", "ocr", "ocr languages", "bash"] {
        assert_eq!(of(&report, part)["status"], "ok", "{report:#}");
    }
    assert!(of(&report, "display")["details"].as_str().unwrap().contains("1920×1080"));
    assert!(of(&report, "bash")["details"].as_str().unwrap().contains("bash, version"));
    assert!(of(&report, "ocr")["details"].as_str().unwrap().starts_with("tesseract "));
    for part in ["powershell", "cmd", "neural models", "landlock", "seccomp", "proxmox", "window manager"] {
        assert_eq!(of(&report, part)["needed"], false);
    }
    let table = stdout(&place.run(&["doctor"], &[("PORT", "0")]));
    assert!(table.contains("data folder") && table.contains("ok"), "{table}");
}

#[test]
fn what_is_missing_comes_with_what_mends_it() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let blocked = place.write("file", "");
    let blocked = blocked.join("data");
    let environment = [("OCR_LANGUAGES", "eng,tlh"), ("PORT", port.as_str()), ("DATA_DIR", blocked.to_str().unwrap())];
    let (code, report) = findings(&place, &environment);
    assert_eq!((code, &report["ok"]), (Some(69), &Value::Bool(false)), "{report:#}");
    let languages = of(&report, "ocr languages");
    assert!(languages["status"] == "missing" && languages["mend"] == "apt-get install tesseract-ocr-tlh", "{languages}");
    let port = of(&report, "port");
    let own = std::process::id().to_string();
    assert!(port["status"] == "broken" && port["details"].as_str().unwrap().contains(&own), "{port}");
    let data = of(&report, "data folder");
    assert!(data["status"] == "broken" && data["mend"].as_str().unwrap().contains("DATA_DIR"), "{data}");
}

#[test]
fn a_server_that_runs_is_no_fault() {
    let place = Place::new();
    let served = place.serve(&[]);
    let port = served.address.rsplit(':').next().unwrap();
    let (code, report) = findings(&place, &[("PORT", port)]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(of(&report, "port")["details"].as_str().unwrap().contains("served by trae"), "{report:#}");
    assert!(of(&report, "data folder")["details"].as_str().unwrap().contains("in use by a running server"), "{report:#}");
}
