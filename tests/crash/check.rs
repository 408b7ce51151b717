//! What must hold after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::book::{End, Pages};
use crate::clients::{Client, Silence};
use crate::flows;
use crate::server::PATIENCE;

/// What did not hold, a sentence each.
pub type Broken = Vec<String>;

/// Everything that was acknowledged is there. What may be there in one of several versions is from now on known to be there in one.
pub async fn promised(client: &Client, broken: &mut Broken) -> Result<(), Silence> {
    let pages: Pages = client.book.open().clone();
    for (path, allowed) in &pages.kept {
        let said = client.get(path).await?;
        let found = allowed.iter().find(|value| is_there(value, &said.body, said.status));
        match found {
            Some(value) => {
                client.book.open().kept.insert(path.clone(), vec![value.clone()]);
            }
            None => {
                let allowed: Vec<String> = allowed.iter().map(brief).collect();
                let (status, body) = (said.status, brief(&said.body));
                broken.push(format!("{path} is gone or another than acknowledged: {status} {body}, not {}", allowed.join(" or ")));
            }
        }
    }
    for (run_id, end) in &pages.runs {
        let said = client.get(&format!("/api/runs/{run_id}")).await?;
        let now = || End { status: said.body["status"].as_str().unwrap_or_default().to_owned(), result: said.body["result"].clone() };
        match end {
            _ if said.status != 200 => broken.push(format!("the run {run_id} was acknowledged and is gone: {}", said.status)),
            Some(end) if *end != now() => broken.push(format!("the run {run_id} was acknowledged as {end:?} and is now {:?}", now())),
            _ => {}
        }
    }
    for run_id in &pages.answered {
        let said = client.get(&format!("/api/runs/{run_id}")).await?;
        let before = steps(&said.body).any(|step| step["step_id"] == "once-a" && step["status"] == "succeeded");
        if !before {
            broken.push(format!("the webhook of the run {run_id} was answered, and the step before that is not on record"));
        }
    }
    for (question, choice) in &pages.decided {
        let said = client.get(&format!("/api/approvals/{question}")).await?;
        let run = client.get(&format!("/api/runs/{}", said.body["run_id"].as_str().unwrap_or_default())).await?;
        let went = steps(&run.body).filter(|step| step["step_id"] == "ask" && step["status"] == "succeeded");
        if said.body["decision"]["choice"] != choice.as_str() || went.into_iter().any(|step| step["output"]["choice"] != choice.as_str()) {
            broken.push(format!("the question {question} was answered with {choice:?}, and is now {}", brief(&said.body)));
        }
    }
    for id in &pages.snapshots {
        let record = client.get(&format!("/api/snapshots/{id}")).await?;
        let (status, bytes) = client.bytes(&format!("/api/snapshots/{id}/image")).await?;
        if record.status != 200 || status != 200 || image::load_from_memory(&bytes).is_err() {
            broken.push(format!(
                "the snapshot {id} was acknowledged: its record is {}, its image {status} ({} bytes)",
                record.status,
                bytes.len()
            ));
        }
    }
    Ok(())
}

/// Whether what is read back is what was written.
fn is_there(written: &Value, found: &Value, status: u16) -> bool {
    match written {
        Value::Null => status == 404,
        written => status == 200 && holds(found, written),
    }
}

/// Whether `found` is `written`, with what the server adds to it.
fn holds(found: &Value, written: &Value) -> bool {
    match (written, found) {
        (Value::Object(written), Value::Object(found)) => {
            written.iter().all(|(name, value)| found.get(name).is_some_and(|found| holds(found, value)))
        }
        (Value::Array(written), Value::Array(found)) => {
            written.len() == found.len() && written.iter().zip(found).all(|(written, found)| holds(found, written))
        }
        (written, found) => written == found,
    }
}

/// Enough of a text to know it by.
fn brief(text: &impl std::fmt::Display) -> String {
    text.to_string().chars().take(200).collect()
}

/// The file of the database is sound.
pub fn sound(data: &Path, broken: &mut Broken) {
    let asked = || -> rusqlite::Result<String> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(data.join("data/trae.db"), flags)?;
        database.busy_timeout(Duration::from_secs(10))?;
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0))
    };
    match asked() {
        Ok(verdict) if verdict == "ok" => {}
        verdict => broken.push(format!("PRAGMA integrity_check says {verdict:?}")),
    }
}

/// No effect of a step that must not be done again came twice, and no line is torn; gives how often each came.
pub fn effects(data: &Path, broken: &mut Broken) -> BTreeMap<(String, String), usize> {
    let text = std::fs::read_to_string(data.join("data/files").join(flows::EFFECTS)).unwrap_or_default();
    let mut count = BTreeMap::new();
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n').and_then(|line| line.split_once(' ')) {
            Some((run, step)) => *count.entry((run.to_owned(), step.to_owned())).or_insert(0) += 1,
            None => broken.push(format!("an effect came in part: {line:?}")),
        }
    }
    for ((run, step), times) in &count {
        if *times > 1 && step.starts_with("once-") {
            broken.push(format!("the effect of {step} in the run {run} came {times} times"));
        }
    }
    let latest = std::fs::read_to_string(data.join("data/files/latest.txt")).unwrap_or_default();
    if !latest.is_empty() && latest.split_once(' ').is_none_or(|(_, content)| content != "x".repeat(4096)) {
        broken.push(format!("a file that is replaced is neither the old nor the new one: {} bytes", latest.len()));
    }
    count
}

/// Waits until every run is over, and every dropped file is dealt with.
pub async fn all_over(client: &Client, data: &Path, broken: &mut Broken) -> Result<(), Silence> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // All at once: a run could change its status between two questions.
        let said = client.get("/api/runs?limit=500").await?;
        let under_way = |run: &&Value| run["finished_at"].is_null();
        let named = |run: &Value| format!("{} ({}, {})", run["run_id"], name_of(run), run["status"]);
        let open: Vec<_> = said.body["runs"].as_array().into_iter().flatten().filter(under_way).map(named).collect();
        let dropped = names(&data.join("data/files").join(flows::INBOX));
        let left: Vec<_> = dropped.iter().filter(|name| name.ends_with(".txt")).cloned().collect();
        if open.is_empty() && left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            broken.push(format!("these runs do not come to an end: {}; these files lie about: {}", open.join(", "), left.join(", ")));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Each dropped file started one run, and lies where that run's end wants it; no second of the clock was left out or counted twice. Gives how many runs either started.
pub fn triggered(client: &Client, data: &Path, runs: &[Value], broken: &mut Broken) -> (usize, usize) {
    let of = |workflow: &'static str| runs.iter().filter(move |run| run["workflow_id"] == workflow && run["parent"].is_null());
    let inbox = data.join("data/files").join(flows::INBOX);
    let (done, failed) = (names(&inbox.join("done")), names(&inbox.join("failed")));
    // One whose runners were killed before they said anything does not name its file.
    let is_nameless = |run: &&Value| fired_with(run)["name"].is_null() && run["error"]["code"] == "RUNNER_CRASHED";
    let mut nameless = of(flows::INBOX).filter(is_nameless).count();
    for name in &client.book.open().dropped {
        let started: Vec<_> = of(flows::INBOX).filter(|run| fired_with(run)["name"] == name.as_str()).collect();
        if started.is_empty() && failed.contains(name) && !done.contains(name) && nameless > 0 {
            nameless -= 1;
            continue;
        }
        let succeeded = started.iter().any(|run| run["status"] == "succeeded");
        if started.len() != 1 || done.contains(name) != succeeded || failed.contains(name) == succeeded {
            let ends: Vec<_> = started.iter().map(|run| format!("{} {}", run["run_id"], run["status"])).collect();
            let place = if done.contains(name) {
                "done/"
            } else if failed.contains(name) {
                "failed/"
            } else {
                "neither"
            };
            broken.push(format!("the file {name} started [{}] and lies in {place}", ends.join(", ")));
        }
    }
    let mut seconds: Vec<_> = of(flows::TICKS).filter_map(|run| fired_with(run)["scheduled_at"].as_str()).collect();
    seconds.sort_unstable();
    let times: Vec<i64> = seconds.iter().filter_map(|at| Some(chrono::DateTime::parse_from_rfc3339(at).ok()?.timestamp())).collect();
    if times.len() != seconds.len() || times.windows(2).any(|pair| pair[1] != pair[0] + 1) {
        broken.push(format!("the clock started runs for {seconds:?}"));
    }
    (of(flows::INBOX).count(), of(flows::TICKS).count())
}

/// What a run's trigger put out.
fn fired_with(run: &Value) -> &Value {
    steps(run).find(|step| step["step_id"] == "file" || step["step_id"] == "tick").map_or(&Value::Null, |step| &step["output"])
}

/// All runs, each as it is on record.
pub async fn all_runs(client: &Client) -> Result<Vec<Value>, Silence> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let before = ids.last().map(|id| format!("&before={id}")).unwrap_or_default();
        let page = client.get(&format!("/api/runs?limit=500{before}")).await?;
        let found: Vec<_> =
            page.body["runs"].as_array().into_iter().flatten().filter_map(|run| run["run_id"].as_str().map(str::to_owned)).collect();
        if found.is_empty() {
            break;
        }
        ids.extend(found);
    }
    let mut runs = Vec::new();
    for id in ids {
        runs.push(client.get(&format!("/api/runs/{id}")).await?.body);
    }
    Ok(runs)
}

/// Once all runs are over: how they ended, and what they left.
pub async fn ends(
    client: &Client,
    runs: &[Value],
    effects: &BTreeMap<(String, String), usize>,
    broken: &mut Broken,
) -> Result<(), Silence> {
    let runners_killed = client.book.open().runners_killed > 0;
    let known: BTreeSet<&str> = runs.iter().filter_map(|run| run["run_id"].as_str()).collect();
    for (run, step) in effects.keys() {
        if !known.contains(run.as_str()) {
            broken.push(format!("{step} of the run {run} had its effect, and there is no such run"));
        }
    }
    for run in runs {
        let id = run["run_id"].as_str().unwrap_or_default();
        let children: Vec<&Value> = runs.iter().filter(|other| other["parent"] == id).collect();
        let failed_child = children.iter().any(|child| child["status"] != "succeeded");
        end_of(run, failed_child, runners_killed, broken);
        for child in &children {
            if children.iter().filter(|other| name_of(other) == name_of(child)).count() > 1 {
                broken.push(format!("the run {id} started {} more than once", name_of(child)));
            }
        }
        tokens(run, effects, broken);
        let length = steps(run).find(|step| step["step_id"] == "length" && step["status"] == "succeeded");
        if length.is_some_and(|step| step["output"]["length"] != flows::LARGE) {
            broken.push(format!("the run {id} went on with another value than it had put out"));
        }
        lines(run, broken);
        events(client, run, broken).await?;
    }
    Ok(())
}

/// What ran.
fn name_of(run: &Value) -> &str {
    run["workflow_id"].as_str().or(run["script"].as_str()).unwrap_or("?")
}

fn steps(run: &Value) -> impl Iterator<Item = &Value> {
    run["steps"].as_array().into_iter().flatten()
}

/// A run succeeds, or is interrupted in a step that must not be done again and says which one, or failed with its runner or a child.
fn end_of(run: &Value, failed_child: bool, runners_killed: bool, broken: &mut Broken) {
    let (id, error) = (&run["run_id"], &run["error"]);
    let named = error["details"]["step_id"].as_str().or(error["node_id"].as_str()).unwrap_or_default();
    let fine = match run["status"].as_str().unwrap_or_default() {
        "succeeded" => true,
        // A script that came to no step yet names none.
        "interrupted" if run["kind"] == "script" && steps(run).next().is_none() => true,
        "interrupted" => named.starts_with("once-") && steps(run).any(|step| step["step_id"] == named && step["status"] == "interrupted"),
        "failed" => failed_child || (runners_killed && error["code"] == "RUNNER_CRASHED"),
        _ => false,
    };
    if !fine {
        let steps: Vec<_> = steps(run).map(|step| format!("{} {}", step["step_id"], step["status"])).collect();
        broken.push(format!("the run {id} of {} ended as {}: {error}; {}", name_of(run), run["status"], steps.join(", ")));
    }
}

/// What is on record of a step and what it left fit.
fn tokens(run: &Value, effects: &BTreeMap<(String, String), usize>, broken: &mut Broken) {
    let id = run["run_id"].as_str().unwrap_or_default();
    let mut attempts: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for step in steps(run).filter(|step| step["status"] != "skipped") {
        let (count, succeeded) = attempts.entry(step["step_id"].as_str().unwrap_or_default()).or_default();
        *count += 1;
        *succeeded |= step["status"] == "succeeded";
    }
    for (step, (attempts, succeeded)) in &attempts {
        let (once, again) = (step.starts_with("once-"), step.starts_with("again-"));
        let came = effects.get(&(id.to_owned(), (*step).to_owned())).copied().unwrap_or_default();
        if *succeeded && came == 0 && (once || again) {
            broken.push(format!("{step} of the run {id} is on record as done, and its effect never came"));
        }
        if again && came > *attempts {
            broken.push(format!("the effect of {step} in the run {id} came {came} times in {attempts} attempts"));
        }
        if once && *attempts > 1 {
            broken.push(format!("{step} of the run {id} was begun {attempts} times"));
        }
    }
    for (run, step) in effects.keys().filter(|(run, _)| run == id) {
        if !attempts.contains_key(step.as_str()) {
            broken.push(format!("{step} of the run {run} had its effect, and was never put on record"));
        }
    }
}

/// A line of log outside steps is written once, however often its run goes on.
fn lines(run: &Value, broken: &mut Broken) {
    if run["script"] != flows::STEADY {
        return;
    }
    let written: Vec<&str> = run["logs"].as_array().into_iter().flatten().filter_map(|line| line["message"].as_str()).collect();
    let begun = flows::LINES.iter().take(written.len());
    if !written.iter().eq(begun) || (run["status"] == "succeeded" && written.len() != flows::LINES.len()) {
        broken.push(format!("the log of the run {} ({}) is {written:?}", run["run_id"], run["status"]));
    }
}

/// The events of a run are numbered without a gap, and end with its end.
async fn events(client: &Client, run: &Value, broken: &mut Broken) -> Result<(), Silence> {
    let id = run["run_id"].as_str().unwrap_or_default();
    let (_, bytes) = client.bytes(&format!("/api/runs/{id}/events?after=0")).await?;
    let text = String::from_utf8_lossy(&bytes);
    let said: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()).collect();
    let numbers: Vec<u64> = said.iter().filter_map(|event| event["event_id"].as_u64()).collect();
    if !numbers.iter().copied().eq(1..=numbers.len() as u64) || said.last().is_none_or(|last| last["type"] != "run_finished") {
        let last = said.last().map(|event| event["type"].clone());
        broken.push(format!("the events of the run {id} ({} {}) are {numbers:?}, the last one {last:?}", name_of(run), run["status"]));
    }
    let mut over = BTreeSet::new();
    for event in said.iter().filter(|event| event["type"] == "step_finished") {
        if !over.insert(format!("{} attempt {}", event["step_id"], event["attempt"])) {
            broken.push(format!("the step {}, attempt {}, of the run {id} ended twice", event["step_id"], event["attempt"]));
        }
    }
    Ok(())
}
