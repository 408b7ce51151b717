//! `trae models install --from`: packages that somebody carried over.

use std::path::Path;

use trae::ocr::models;

use super::trae::{Place, stderr};
use crate::machine::neural;

/// Installs from a folder beside it; gives the exit code and what was said.
fn install(place: &Place, from: &str) -> (Option<i32>, String) {
    let done = place.run(&["models", "install", "--to", "models", "--from", from], &[]);
    (done.status.code(), stderr(&done))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_missing_cut_off_or_another_package_is_refused_and_changes_nothing() {
    let Ok([runtime, networks]) = models::packages() else { return eprintln!("skipped: there are no packages for this machine") };
    let place = Place::new();
    let kept = place.write("models/detect.onnx", "what was there before");
    let folder = kept.parent().unwrap();
    let unchanged = || {
        assert_eq!(names(folder), ["detect.onnx"]);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "what was there before");
    };
    let (code, told) = install(&place, "nowhere");
    assert!(code != Some(0) && told.contains("nowhere cannot be read"), "{told}");
    unchanged();
    place.write("wheels/readme.txt", "");
    let (code, told) = install(&place, "wheels");
    assert!(code != Some(0) && told.contains(&format!("has no {}-{}", runtime.name, runtime.version)), "{told}");
    assert!(told.contains("pip download") && told.contains(networks.name), "{told}");
    unchanged();
    // Of the right name: the beginning of an archive, as after a copy that broke off, and another archive.
    for bytes in ["PK\u{3}\u{4}\u{14}", "PK\u{5}\u{6}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
        place.write(&format!("wheels/{}-{}-cp311-cp311-{}.whl", runtime.name, runtime.version, runtime.platform), bytes);
        let (code, told) = install(&place, "wheels");
        assert!(code != Some(0) && told.contains("is not the package that is meant, or is cut off"), "{told}");
        unchanged();
    }
}

#[test]
fn what_is_there_and_right_stays_as_it_is() {
    let Some(models) = neural::installed() else { return };
    let place = Place::new();
    let done = place.run(&["models", "install", "--to", models.to_str().unwrap(), "--from", "nowhere"], &[]);
    assert!(done.status.success() && stderr(&done).contains("already"), "{done:?}");
}
