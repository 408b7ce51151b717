//! Commands and processes over the API, beside what the kernel takes for them.

use std::process::{Child, Command, Stdio};

use crate::ROUNDS;
use crate::report::Target::{AtMost, None as Untargeted};
use crate::report::{median, milliseconds, ratios, show, skip};
use crate::served::{Client, Served};

pub fn measure() {
    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path(), None);
    let mut client = served.client();
    commands(&mut client);
    processes(&mut client);
}

fn commands(client: &mut Client) {
    const PATH: &str = "/api/shell/bash";
    const BODY: &str = r#"{"command":"true"}"#;
    let (status, said) = client.ask("POST", PATH, BODY);
    if status != 200 {
        return skip("POST /api/shell/bash of `true`", &format!("it answers {status} {said}"));
    }
    let bare = || {
        let status = Command::new("/bin/bash").args(["-c", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
        assert!(status.success());
    };
    let (mut bares, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let round: Vec<(f64, f64)> =
            (0..50).map(|_| (milliseconds(bare), milliseconds(|| drop(client.expect_success("POST", PATH, BODY))))).collect();
        bares.push(median(&round.iter().map(|(bare, _)| *bare).collect::<Vec<_>>()));
        asked.push(median(&round.iter().map(|(_, asked)| *asked).collect::<Vec<_>>()));
    }
    show("fork, exec and wait for `bash -c true`, p50 of 50", "ms", Untargeted, bares.clone());
    show("POST /api/shell/bash of `true`, p50 of 50", "ms", Untargeted, asked.clone());
    show("  POST by fork, exec and wait", "×", AtMost(1.5), ratios(&asked, &bares));
}

fn processes(client: &mut Client) {
    const PATH: &str = "/api/shell/processes";
    let (status, said) = client.ask("GET", PATH, "");
    if status != 200 {
        return skip("GET /api/shell/processes of 300", &format!("it answers {status} {said}"));
    }
    let _crowd = Crowd::up_to(300);
    let times = (0..ROUNDS * 4).map(|_| milliseconds(|| drop(client.expect_success("GET", PATH, "")))).collect();
    show(&format!("GET /api/shell/processes of {}", there_are()), "ms", AtMost(20.0), times);
}

/// Processes that do nothing; ended when dropped.
struct Crowd(Vec<Child>);

impl Crowd {
    /// As many as it takes for the machine to have that many.
    fn up_to(number: usize) -> Self {
        let sleeping = |_| Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        Self((there_are()..number).map(sleeping).collect())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How many processes this machine has.
fn there_are() -> usize {
    let names = std::fs::read_dir("/proc").unwrap().flatten();
    names.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))).count()
}
