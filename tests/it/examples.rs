//! The clients in `examples/clients/`, run against a server as they stand there.

use std::process::{Command, Output};

use super::api::served;

/// Runs a client against a fresh server; gives what it printed.
async fn run(program: &str, arguments: &[&str]) -> String {
    let server = served::start().await;
    let mut command = Command::new(program);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).arg(server.url("")).env_remove("TRAE_KEY");
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
    assert!(status.success(), "{program} {arguments:?} ended with {status}\n{said}\n{complained}");
    said
}

#[tokio::test]
async fn a_frontend_in_javascript() {
    let version = Command::new("node").args(["-p", "process.versions.node.split('.')[0]"]).output().expect("node is installed");
    let version: u32 = String::from_utf8_lossy(&version.stdout).trim().parse().unwrap();
    let client = "examples/clients/frontend.cjs";
    let said = if version >= 20 { run("node", &["--experimental-websocket", client]).await } else { run("node", &[client]).await };
    for line in ["health: healthy", "stream: frame ", "click: ", "ocr: ", "workflow: succeeded, result \"Hello test\"", "404 NOT_FOUND"] {
        assert!(said.contains(line), "{line:?} is missing:\n{said}");
    }
}

#[tokio::test]
async fn a_client_in_python() {
    let said = run("python3", &["examples/clients/client.py"]).await;
    for line in ["shell: 42", "session: /tmp yes", "event: step_finished double", "event: log the double is 42", "refused: 422"] {
        assert!(said.contains(line), "{line:?} is missing:\n{said}");
    }
}

#[tokio::test]
async fn a_tour_with_curl() {
    let said = run("bash", &["examples/clients/tour.sh"]).await;
    for part in ["\"x\":300", "carried over", "Linux", "\"node_type\":\"delay\"", "\"valid\":false"] {
        assert!(said.contains(part), "{part:?} is missing:\n{said}");
    }
}

#[test]
fn the_keyboard_of_the_page_that_shows_the_desktop() {
    let Output { status, stdout, stderr } = Command::new("node")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("tests/it/support/keyboard.cjs")
        .output()
        .expect("node is installed");
    assert!(status.success() && stdout == b"ok\n", "{}", String::from_utf8_lossy(&stderr));
}
