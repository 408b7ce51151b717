//! What the log says of scripts that break.

use super::trae::{Place, eventually};

#[test]
fn a_script_that_breaks_is_logged_with_its_place() {
    let place = Place::new();
    let served = place.serve(&[]);
    place.write("data/scripts/told.rhai", "let a = 1;\nlet b = ;\n");
    eventually("the log says where", || served.terminal().contains("told.rhai:2:9: "));
    let log = served.end();
    let line = log.lines().find(|line| line.contains("told.rhai:2:9: ")).unwrap();
    assert!(line.contains("WARN") && line.contains("its last good version stays"), "{line}");
}
