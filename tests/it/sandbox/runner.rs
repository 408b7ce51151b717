//! A runner, as somebody would find it who broke out of the engine: what it may not do is refused by the kernel, one layer at a time.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli::trae::{Place, stdout};

/// What came of each attempt, on the thread that runs scripts and on the one that waits for it.
fn tried(layers: &str) -> Vec<BTreeMap<String, Option<i32>>> {
    let mut runner = Command::new(env!("CARGO_BIN_EXE_trae"));
    let done = runner.args(["runner", "try", layers]).env_clear().stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    let tried: Vec<_> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(tried.len(), 2, "{said}");
    tried
}

#[test]
fn no_path_port_or_process_is_within_reach_of_a_runner() {
    for attempts in tried("landlock") {
        assert!(attempts.len() >= 9, "{attempts:?}");
        for (what, error) in attempts {
            // EACCES, as the rights of the path are missing; signals answer EPERM.
            let expected = if what == "signal its server" { 1 } else { 13 };
            assert_eq!(error, Some(expected), "{what}");
        }
    }
}

#[test]
fn no_system_call_that_opens_starts_or_connects_is_let_through() {
    for layers in ["seccomp", "both"] {
        for attempts in tried(layers) {
            assert!(attempts.len() >= 16, "{attempts:?}");
            for (what, error) in attempts {
                let expected = match what.as_str() {
                    // Threads are asked for again where there is no room for one.
                    "start a thread" => vec![Some(1), Some(11)],
                    _ => vec![Some(1)],
                };
                assert!(expected.contains(&error), "{what}: {error:?}");
            }
        }
    }
}

/// What the kernel says of a runner that serves a real run.
#[test]
fn a_runner_at_work_has_nothing_but_its_socket() {
    let place = Place::new();
    // Without starter scripts, which would be checked in runners of their own.
    place.write("data/scripts/nodes/.keep", "");
    let script = place.write("long.rhai", "let n = 0; loop { n += 1; }");
    let mut run = Command::new(env!("CARGO_BIN_EXE_trae"));
    let path = script.to_str().unwrap();
    let mut running = run
        .args(["run", path])
        .env_clear()
        .env("DATA_DIR", place.data())
        .env("DISPLAY_MODE", "none")
        .env("HIDDEN", "from runners")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let runner =
        until(|| child_named_runner(child_named_runner(running.id())?).filter(|pid| status(*pid, "Seccomp") == Some("2".to_owned())));
    for thread in std::fs::read_dir(format!("/proc/{runner}/task")).unwrap() {
        let thread: u32 = thread.unwrap().file_name().to_str().unwrap().parse().unwrap();
        assert_eq!(status(thread, "Seccomp").as_deref(), Some("2"), "system calls are filtered");
        assert_eq!(status(thread, "NoNewPrivs").as_deref(), Some("1"));
        assert_eq!(status(thread, "CapEff").as_deref(), Some("0000000000000000"));
    }
    let open: Vec<String> = std::fs::read_dir(format!("/proc/{runner}/fd"))
        .unwrap()
        .map(|file| std::fs::read_link(file.unwrap().path()).unwrap().to_string_lossy().into_owned())
        .collect();
    let known = |file: &String| file.starts_with("socket:") || file.starts_with("pipe:") || file == "/dev/null" || file.ends_with("/statm");
    assert!(open.len() <= 5 && open.iter().all(known), "{open:?}");
    let environment = std::fs::read_to_string(format!("/proc/{runner}/environ")).unwrap();
    assert_eq!(environment.trim_end_matches('\0'), "MALLOC_ARENA_MAX=1");
    running.kill().unwrap();
    running.wait().unwrap();
    until(|| (!std::path::Path::new(&format!("/proc/{runner}/fd")).exists() || status(runner, "State")?.starts_with('Z')).then_some(()));
}

/// The run is held by what the kernel has, and says what it lacks. This kernel has it all, so one that lacks it is played: by a filter that
/// the server inherits, in which Landlock's calls do not exist.
#[test]
fn a_kernel_without_landlock_is_named_by_doctor_and_by_the_run() {
    let place = Place::new();
    place.write("sum.rhai", "1 + 1");
    let script = place.folder.path().join("sum.rhai");
    let (whole, lacking) = (run_json(&place, &script, false), run_json(&place, &script, true));
    let warned =
        |run: &Value| run["logs"].as_array().unwrap().iter().any(|line| line["message"].as_str().unwrap().contains("Landlock is missing"));
    assert!(!warned(&whole), "{whole:#}");
    assert!(warned(&lacking), "{lacking:#}");
    assert_eq!(lacking["result"], 2);
    let report = without_landlock(&place, &["doctor", "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["part"] == "landlock").unwrap();
    assert_eq!((&finding["status"], &finding["needed"]), (&Value::from("missing"), &Value::from(false)), "{finding}");
}

/// The record of a run of a script.
fn run_json(place: &Place, script: &std::path::Path, lacking: bool) -> Value {
    let run = ["run", script.to_str().unwrap(), "--json"];
    let said = if lacking { without_landlock(place, &run) } else { stdout(&place.run(&run, &[])) };
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("no record: {said}"))
}

/// What came from elsewhere runs only where all of the sandbox holds, whoever approved of it.
#[tokio::test]
async fn a_kernel_without_landlock_runs_nothing_that_was_imported() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let client = reqwest::Client::new();
    let graph = serde_json::json!({ "name": "x", "nodes": [{ "id": "a", "type": "manual_trigger", "data": {} }], "edges": [] });
    for is_whole in [true, false] {
        let served = if is_whole { place.serve(&[]) } else { lacking(|| place.serve(&[])) };
        let post = async |path: &str, body: &Value| {
            let answer = client.post(served.url(path)).json(body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        let (_, imported) = post("/api/workflows/import", &graph).await;
        let path = format!("/api/workflows/{}", imported["id"].as_str().unwrap());
        assert_eq!(post(&format!("{path}/approve"), &serde_json::json!({})).await.1["trust"], "trusted");
        let (status, run) = post(&format!("{path}/execute"), &serde_json::json!({ "wait": true })).await;
        if is_whole {
            assert_eq!((status, &run["status"]), (200, &Value::from("succeeded")), "{run}");
        } else {
            assert_eq!((status, &run["details"]["service"]), (503, &Value::from("sandbox")), "{run}");
            assert!(run["error"].as_str().unwrap().contains("Landlock is missing"), "{run}");
        }
    }
}

/// Runs `trae` where Landlock's system calls answer that there are none.
fn without_landlock(place: &Place, arguments: &[&str]) -> String {
    let done = lacking(|| place.run(arguments, &[("PORT", "0")]));
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// Starts something where Landlock's system calls answer that there are none.
fn lacking<T: Send>(start: impl FnOnce() -> T + Send) -> T {
    use seccompiler::{SeccompAction, SeccompFilter, TargetArch};
    // landlock_create_ruleset, landlock_add_rule, landlock_restrict_self: the same numbers on every machine.
    let rules = [444, 445, 446].map(|call| (call, Vec::new())).into();
    let machine = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(38), machine).unwrap();
    let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
    // A filter is its thread's, and what the thread starts inherits it.
    std::thread::scope(|scope| {
        let started = scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            start()
        });
        started.join().unwrap()
    })
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "it never came to that");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn child_named_runner(parent: u32) -> Option<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("\0runner") && status(*pid, "PPid") == Some(parent.to_string())
    })
}

/// A field of what the kernel says of a process or thread.
fn status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}
