//! `trae runs`, beside a server that runs.

use serde_json::{Value, json};

use super::trae::{Place, stderr, stdout};

#[test]
fn what_ran_is_listed_shown_and_exported() {
    let place = Place::new();
    let good = place.write("good.rhai", "step(\"look\", || 6 * 7); log::info(\"seen from afar\"); 42");
    let bad = place.write("bad.rhai", "throw \"the order is lost\"");
    assert!(place.run(&["run", good.to_str().unwrap()], &[]).status.success());
    assert_eq!(place.run(&["run", bad.to_str().unwrap()], &[]).status.code(), Some(1));
    let served = place.serve(&[]);
    let listed: Value = serde_json::from_str(&stdout(&place.run(&["runs", "list", "--json"], &[]))).unwrap();
    assert_eq!(listed["count"], 2, "{listed}");
    let run = &listed["runs"][1];
    assert_eq!((&run["status"], &run["result"]), (&json!("succeeded"), &json!(42)));
    let found = place.run(&["runs", "list", "--search", "order", "--status", "failed"], &[]);
    assert!(stdout(&found).contains("the order is lost") && stderr(&found).contains("1 of 1"), "{found:?}");
    let afar: Value = serde_json::from_str(&stdout(&place.run(&["runs", "list", "--search", "afar", "--json"], &[]))).unwrap();
    assert_eq!(afar["runs"][0]["run_id"], run["run_id"]);

    let id = run["run_id"].as_str().unwrap();
    let shown = place.run(&["runs", "show", id], &[]);
    for part in ["good.rhai by manual", "succeeded", "look", "info seen from afar"] {
        assert!(stdout(&shown).contains(part), "{part}: {shown:?}");
    }
    let folder = place.folder.path().join("kept/of the run");
    assert!(place.run(&["runs", "export", id, folder.to_str().unwrap()], &[]).status.success());
    assert!(std::fs::read_to_string(folder.join("script.rhai")).unwrap().contains("6 * 7"));
    let record: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["steps"][0]["output"], 42);
    let nobody = place.run(&["runs", "show", "nobody"], &[]);
    assert!(nobody.status.code() == Some(1) && stderr(&nobody).contains("there is no run"), "{nobody:?}");
    assert_eq!(place.run(&["runs", "list", "--status", "gone"], &[]).status.code(), Some(2));
    served.end();
}
