//! `commands.json`: what a script's commands may touch, by what its manifest grants.

use serde::Deserialize;
use serde_json::Value;

use crate::cli::trae::{Place, stdout};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    what: String,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    write: Vec<String>,
    command: String,
    /// Another data folder than that of the place.
    data: Option<String>,
    /// What it prints, where it succeeds.
    output: Option<String>,
    /// What it is told, where the kernel refuses it; null where no hint is due.
    #[serde(default, deserialize_with = "there")]
    refused: Option<Option<String>>,
    /// The path that it prints is not there afterwards.
    #[serde(default)]
    gone: bool,
    made: Option<String>,
    unmade: Option<String>,
}

fn there<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(source).map(Some)
}

/// A data folder with a file in `files/`, and a folder elsewhere.
fn place() -> Place {
    let place = Place::new();
    place.write("data/files/given.txt", "given\n");
    place.write("data/server.lock", "");
    place.write("elsewhere/x", "elsewhere\n");
    for (file, text) in [
        ("beside", "beside\n"),
        ("data/jwt.secret", "a secret of thirty-two bytes or more\n"),
        ("data/logs/log", "hidden\n"),
        ("data/files/in.txt", "in\n"),
    ] {
        place.write(&format!("elsewhere/inner/{file}"), text);
    }
    std::os::unix::fs::symlink(place.data(), place.data().join("files/linked")).unwrap();
    place.write("data/passwd-of-data", "hidden\n");
    place
}

/// What the command comes to in a script with these permissions.
fn run(place: &Place, case: &Case, environment: &[(&str, &str)]) -> Value {
    let elsewhere = place.folder.path().canonicalize().unwrap().join("elsewhere");
    let filled = |text: &str| text.replace("{elsewhere}", elsewhere.to_str().unwrap());
    let list = |globs: &[String]| serde_json::to_string(&globs.iter().map(|glob| filled(glob)).collect::<Vec<_>>()).unwrap();
    let command = serde_json::to_string(&filled(&case.command)).unwrap();
    let source = format!(
        "//! ---\n//! [permissions]\n//! shell = [\"bash\"]\n//! read = {}\n//! write = {}\n//! ---\nshell::run({})",
        list(&case.read),
        list(&case.write),
        command.replace("\\/", "/")
    );
    let script = place.write("case.rhai", &source);
    let data = case.data.as_deref().map(filled);
    let environment: Vec<_> = data.iter().map(|data| ("DATA_DIR", data.as_str())).chain(environment.iter().copied()).collect();
    let done = place.run(&["run", script.to_str().unwrap(), "--json"], &environment);
    let record: Value = serde_json::from_str(&stdout(&done)).unwrap_or_else(|_| panic!("{}: {done:?}", case.what));
    assert_eq!(record["status"], "succeeded", "{}: {record:#}", case.what);
    record["result"].clone()
}

#[test]
fn the_commands_of_a_script_touch_what_its_manifest_grants() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("commands.json")).unwrap();
    let place = place();
    let mut wrong = Vec::new();
    for case in &cases {
        let done = run(&place, case, &[]);
        let said = |text: &str| done["error"].as_str().unwrap().contains(text);
        let is_there = |path: &String| place.data().join("files").join(path).exists();
        let right = match (&case.output, &case.refused) {
            (Some(output), None) => {
                done["exit_code"] == 0 && done["output"] == output.as_str() || case.output.as_deref() == Some("") && done["output"] == ""
            }
            (None, Some(Some(hint))) => done["exit_code"] != 0 && said(hint) && (hint.is_empty() || said("trae: ")),
            (None, Some(None)) => done["exit_code"] != 0 && !said("trae: "),
            (None, None) => case.gone && !std::path::Path::new(done["output"].as_str().unwrap().trim()).exists(),
            _ => panic!("{}: either an output or a refusal", case.what),
        };
        if !right || !case.made.iter().all(is_there) || case.unmade.iter().any(is_there) {
            wrong.push(format!("{}: {done}", case.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn it_can_be_switched_off_which_is_said() {
    let place = place();
    let case = Case {
        what: "off".to_owned(),
        read: Vec::new(),
        write: Vec::new(),
        command: "cat given.txt".to_owned(),
        data: None,
        output: None,
        refused: None,
        gone: false,
        made: None,
        unmade: None,
    };
    let off = [("SHELL_SANDBOX", "false")];
    assert_eq!(run(&place, &case, &off)["output"], "given\n");
    let served = place.serve(&off);
    assert!(served.end().contains("SHELL_SANDBOX=false"));
    let report: Value = serde_json::from_str(&stdout(&place.run(&["doctor", "--json"], &off))).unwrap();
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["part"] == "landlock").unwrap().clone();
    assert_eq!((&finding["status"], &finding["mend"]), (&Value::from("broken"), &Value::from("set SHELL_SANDBOX=true, or leave it out")));
}
