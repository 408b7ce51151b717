//! Scripts and node types that change while the server runs: whatever is done to the folders, it ends in what is on the disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::served::{Server, node, start, start_with};
use super::socket::{connect_to, hear, say};

/// What the list says of the file.
async fn listed(server: &Server, path: &str) -> Option<Value> {
    let (_, list) = server.get("/api/scripts").await;
    list["scripts"].as_array().unwrap().iter().find(|script| script["path"] == path).cloned()
}

/// Waits until the list says of the file what is wanted of it.
async fn until(server: &Server, path: &str, what: &str, wanted: impl Fn(Option<&Value>) -> bool) -> Option<Value> {
    let seen = async {
        loop {
            let info = listed(server, path).await;
            if wanted(info.as_ref()) {
                return info;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(30), seen).await;
    match seen {
        Ok(info) => info,
        Err(_) => panic!("{what}: {path} is {:?}", listed(server, path).await),
    }
}

async fn broken(server: &Server, path: &str) -> Value {
    let info = until(server, path, "it breaks", |info| info.is_some_and(|info| !info["error"].is_null())).await;
    info.unwrap()["error"].clone()
}

async fn whole(server: &Server, path: &str) {
    until(server, path, "it is whole", |info| info.is_some_and(|info| info["error"].is_null())).await;
}

/// What the script comes to now.
async fn result(server: &Server, path: &str) -> Value {
    let (status, run) = server.post(&format!("/api/scripts/{path}/run"), &json!({ "wait": true })).await;
    if status == 200 { run["result"].clone() } else { run["error_code"].clone() }
}

/// Waits until the script comes to that.
async fn comes_to(server: &Server, path: &str, wanted: Value) {
    let seen = async {
        while result(server, path).await != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(30), seen).await.is_err() {
        panic!("{path} comes to {}, not to {wanted}; it is {:?}", result(server, path).await, listed(server, path).await);
    }
}

fn replace(file: &Path, text: &str) {
    let aside = file.with_extension("tmp~");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, file).unwrap();
}

const MAIN: &str = "import \"lib/words\" as words;\nwords::greeting(\"Ada\")";

fn words(greeting: &str) -> String {
    format!("fn greeting(name) {{ `{greeting} ${{name}}` }}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_imports_a_script_follows_it() {
    let server = start().await;
    let folder = server.data.path().join("scripts");
    fs::create_dir_all(folder.join("lib")).unwrap();
    fs::write(folder.join("lib/words.rhai"), words("Hello")).unwrap();
    fs::write(folder.join("main.rhai"), MAIN).unwrap();
    fs::write(folder.join("outer.rhai"), "import \"main\" as unused;\nimport \"lib/words\" as w;\nw::greeting(\"Bo\")").unwrap();
    comes_to(&server, "main", json!("Hello Ada")).await;
    comes_to(&server, "outer", json!("Hello Bo")).await;
    let mut client = connect_to(&server, "/ws/filesystem").await;
    say(&mut client, json!({ "type": "subscribe" })).await;
    assert_eq!(hear(&mut client).await["type"], "subscribed");
    fs::write(folder.join("lib/words.rhai"), words("Good day")).unwrap();
    let mut told = BTreeSet::new();
    while told.len() < 3 {
        let event = hear(&mut client).await;
        assert_eq!(event["type"], "script_loaded", "{event}");
        told.insert(event["path"].as_str().unwrap().to_owned());
    }
    assert_eq!(told.into_iter().collect::<Vec<_>>(), ["lib/words.rhai", "main.rhai", "outer.rhai"]);
    comes_to(&server, "main", json!("Good day Ada")).await;
    comes_to(&server, "outer", json!("Good day Bo")).await;
    // Over the API it is live with the answer.
    let put = reqwest::Client::new().put(server.url("/api/scripts/lib/words.rhai")).json(&json!({ "source": words("Hi") }));
    assert_eq!(put.send().await.unwrap().status(), 200);
    assert_eq!(result(&server, "main").await, "Hi Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_over_the_api_is_live_with_the_answer_watched_or_not() {
    let server = start_with(|config| config.storage.reload = false).await;
    for (source, wanted) in [("1", json!(1)), ("", Value::Null), ("// a comment", Value::Null), ("", Value::Null), ("2", json!(2))] {
        let put = reqwest::Client::new().put(server.url("/api/scripts/stored.rhai")).json(&json!({ "source": source }));
        assert!(put.send().await.unwrap().status().is_success());
        assert_eq!(result(&server, "stored").await, wanted, "{source:?}");
        assert_eq!(server.get("/api/scripts/stored.rhai").await.1["source"], source);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_import_shows_at_its_importers_and_the_last_good_versions_stay() {
    let server = start().await;
    let folder = server.data.path().join("scripts");
    fs::create_dir_all(folder.join("lib")).unwrap();
    let lib = folder.join("lib/words.rhai");
    fs::write(&lib, words("Hello")).unwrap();
    fs::write(folder.join("main.rhai"), MAIN).unwrap();
    comes_to(&server, "main", json!("Hello Ada")).await;

    // It does not parse.
    fs::write(&lib, "fn greeting(name) {\n  let x = ;\n}").unwrap();
    let error = broken(&server, "lib/words.rhai").await;
    assert_eq!((&error["line"], &error["column"]), (&json!(2), &json!(11)), "{error}");
    let error = broken(&server, "main.rhai").await;
    assert_eq!((&error["line"], &error["column"]), (&json!(1), &json!(1)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("lib/words.rhai:2:11"), "{error}");
    assert_eq!(result(&server, "main").await, "Hello Ada");

    // It is whole, and lacks what is used of it.
    fs::write(&lib, "fn farewell(name) { name }").unwrap();
    whole(&server, "lib/words.rhai").await;
    let error = until(&server, "main.rhai", "the function is missed", |info| {
        info.is_some_and(|info| info["error"]["message"].as_str().is_some_and(|message| message.contains("greeting")))
    });
    let error = error.await.unwrap()["error"].clone();
    assert_eq!(error["line"], 2, "{error}");
    assert_eq!(result(&server, "main").await, "Hello Ada", "with what it imported when it was good");

    // It is gone.
    fs::remove_file(&lib).unwrap();
    until(&server, "main.rhai", "the script is missed", |info| {
        info.is_some_and(|info| info["error"]["message"].as_str().is_some_and(|message| message.contains("there is no script")))
    })
    .await;
    assert_eq!(result(&server, "main").await, "Hello Ada");

    // It is mended.
    fs::write(&lib, words("Welcome back")).unwrap();
    whole(&server, "main.rhai").await;
    assert_eq!(result(&server, "main").await, "Welcome back Ada");

    // What never was whole has no good version; what imports it has none either.
    fs::write(folder.join("lib/never.rhai"), "let x = ;").unwrap();
    fs::write(folder.join("uses_never.rhai"), "import \"lib/never\" as n;\n1").unwrap();
    let error = broken(&server, "uses_never.rhai").await;
    assert!(error["message"].as_str().unwrap().contains("lib/never.rhai:1:9"), "{error}");
    assert_eq!(result(&server, "uses_never").await, "SCRIPT_ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_import_each_other_are_broken_and_nothing_else_is() {
    let server = start().await;
    let folder = server.data.path().join("scripts");
    for (name, source) in
        [("a", "import \"b\" as b;\n1"), ("b", "import \"c\" as c;\n1"), ("c", "import \"a\" as a;\n1"), ("d", "import \"d\" as d;\n1")]
    {
        fs::write(folder.join(format!("{name}.rhai")), source).unwrap();
    }
    // A chain that is too long is broken as well; what it consists of at its end is not.
    for number in 0..40 {
        let source = if number == 39 { "39".to_owned() } else { format!("import \"chain/{}\" as next;\n{number}", number + 1) };
        fs::create_dir_all(folder.join("chain")).unwrap();
        fs::write(folder.join(format!("chain/{number}.rhai")), source).unwrap();
    }
    // Node types are not imported.
    fs::write(folder.join("nodes/half.rhai"), "//! ---\n//! category = \"data\"\n//! ---\nfn run(config, input) { 1 }").unwrap();
    fs::write(folder.join("of_node.rhai"), "import \"nodes/half\" as half;\n1").unwrap();
    fs::write(folder.join("fine.rhai"), "7").unwrap();
    comes_to(&server, "fine", json!(7)).await;
    for name in ["a.rhai", "b.rhai", "c.rhai", "d.rhai"] {
        let error = broken(&server, name).await;
        assert!(error["message"].as_str().unwrap().contains("circle"), "{name}: {error}");
    }
    let error = broken(&server, "chain/0.rhai").await;
    assert!(error["message"].as_str().unwrap().contains("deeper"), "{error}");
    comes_to(&server, "chain/20", json!(20)).await;
    let error = broken(&server, "of_node.rhai").await;
    assert!(error["message"].as_str().unwrap().contains("there is no script"), "{error}");
    fs::write(folder.join("c.rhai"), "3").unwrap();
    for name in ["a.rhai", "b.rhai", "c.rhai"] {
        whole(&server, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_type_imports_and_follows_what_it_imports() {
    let server = start().await;
    let folder = server.data.path().join("scripts");
    fs::write(folder.join("words.rhai"), words("Hello")).unwrap();
    let source = "//! Greets.\n//! ---\n//! name = \"Greet\"\n//! category = \"data\"\n//! ---\nimport \"words\" as words;\n\
        fn run(config, input) { words::greeting(\"Ada\") }";
    fs::write(folder.join("nodes/greet.rhai"), source).unwrap();
    whole(&server, "nodes/greet.rhai").await;
    let graph = json!({ "id": "greets", "nodes": [node("start", "manual_trigger", json!({})), node("greet", "greet", json!({}))],
        "edges": [{ "id": "e", "source": "start", "target": "greet" }] });
    let said = async |wanted: &str| {
        let seen = async {
            loop {
                let (_, run) = server.post("/api/workflows/greets/execute", &json!({ "wait": true })).await;
                if run["result"] == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the node says it");
    };
    assert_eq!(server.post("/api/workflows/", &graph).await.0, 201);
    said("Hello Ada").await;
    fs::write(folder.join("words.rhai"), words("Good day")).unwrap();
    said("Good day Ada").await;
    fs::write(folder.join("words.rhai"), "let x = ;").unwrap();
    let error = broken(&server, "nodes/greet.rhai").await;
    assert!(error["message"].as_str().unwrap().contains("words.rhai:1:9"), "{error}");
    said("Good day Ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_keeps_what_it_started_with() {
    let server = start().await;
    let folder = server.data.path().join("scripts");
    let text = |version: u32| {
        format!(
            "//! ---\n//! [permissions]\n//! read = [\"go\"]\n//! ---\nfn own() {{ {version} }}\nstep(\"begun\", || {version});\n\
             while !files::exists(\"go\") {{ time::sleep(0.02); }}\nimport \"part\" as part;\n[own(), part::own(), {version}]"
        )
    };
    fs::write(folder.join("part.rhai"), "fn own() { 1 }").unwrap();
    fs::write(folder.join("long.rhai"), text(1)).unwrap();
    whole(&server, "long.rhai").await;
    let (status, started) = server.post("/api/scripts/long/run", &json!({})).await;
    assert_eq!(status, 202, "{started}");
    let id = started["run_id"].as_str().unwrap().to_owned();
    let run = async |wanted: &dyn Fn(&Value) -> bool| {
        let seen = async {
            loop {
                let (_, run) = server.get(&format!("/api/runs/{id}")).await;
                if wanted(&run) {
                    return run;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the run gets there")
    };
    run(&|run| run["steps"][0]["status"] == "succeeded").await;
    replace(&folder.join("part.rhai"), "fn own() { 2 }");
    replace(&folder.join("long.rhai"), &text(2));
    let live = async {
        while server.get("/api/scripts/long.rhai").await.1["source"] != text(2) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), live).await.expect("the new one is live");
    fs::write(server.data.path().join("files/go"), "").unwrap();
    let done = run(&|run| run["status"] != "running" && run["status"] != "queued").await;
    assert_eq!(done["result"], json!([1, 1, 1]), "{done}");
    comes_to(&server, "long", json!([2, 2, 2])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_ends_in_what_is_on_the_disk() {
    let server = start().await;
    let folder = server.data.path().join("scripts");
    fs::create_dir_all(folder.join("burst/nodes")).unwrap();
    // A thousand writes, some in place, some as editors do it, some of files that go again.
    for number in 0..1000_u32 {
        let file = folder.join(format!("burst/{}.rhai", number % 40));
        match number % 3 {
            0 => fs::write(&file, format!("{number}")).unwrap(),
            1 => replace(&file, &format!("{number}")),
            _ => {
                let _ = fs::remove_file(&file);
                fs::write(&file, format!("// changed\n{number}")).unwrap();
            }
        }
    }
    fs::remove_file(folder.join("burst/0.rhai")).unwrap();
    // The last word of each file.
    for (place, number) in (961..1000_u32).enumerate() {
        comes_to(&server, &format!("burst/{}", place + 1), json!(number)).await;
    }
    until(&server, "burst/0.rhai", "it is gone", |info| info.is_none()).await;
    // A thousand writes of one file.
    for number in 0..1000_u32 {
        fs::write(folder.join("one.rhai"), format!("{number}")).unwrap();
    }
    comes_to(&server, "one", json!(999)).await;
    // A file that is empty is a script as well.
    fs::write(folder.join("one.rhai"), "").unwrap();
    comes_to(&server, "one", Value::Null).await;
}

/// A server with another script folder, `more`, that is not there yet.
async fn with_folder(more: &Path) -> Server {
    let more = more.to_path_buf();
    start_with(move |config| config.storage.script_dirs = vec![more]).await
}

fn fill(folder: &Path, number: u32) {
    fs::create_dir_all(folder.join("deep/er")).unwrap();
    fs::write(folder.join("top.rhai"), format!("{number}")).unwrap();
    fs::write(folder.join("deep/er/low.rhai"), format!("{number}")).unwrap();
}

async fn shows(server: &Server, number: u32) {
    comes_to(server, "more/top", json!(number)).await;
    comes_to(server, "more/deep/er/low", json!(number)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_comes_goes_and_is_another() {
    let place = tempfile::tempdir().unwrap();
    let more: PathBuf = place.path().join("more");
    let server = with_folder(&more).await;
    assert_eq!(result(&server, "more/top").await, "NOT_FOUND");
    // It appears later, in one move.
    fill(&place.path().join("new"), 1);
    fs::rename(place.path().join("new"), &more).unwrap();
    shows(&server, 1).await;
    // What is in it is watched.
    fill(&more, 2);
    shows(&server, 2).await;
    // It is removed, and restored.
    fs::remove_dir_all(&more).unwrap();
    until(&server, "more/top.rhai", "it is gone", |info| info.is_none()).await;
    fill(&more, 3);
    shows(&server, 3).await;
    // Another one takes its place.
    fill(&place.path().join("other"), 4);
    fs::rename(&more, place.path().join("was")).unwrap();
    fs::rename(place.path().join("other"), &more).unwrap();
    shows(&server, 4).await;
    fill(&more, 5);
    shows(&server, 5).await;
    // A folder in it is replaced, and what is in the new one changes.
    fs::create_dir_all(place.path().join("deep/er")).unwrap();
    fs::write(place.path().join("deep/er/low.rhai"), "6").unwrap();
    fs::rename(more.join("deep"), place.path().join("shallow")).unwrap();
    fs::rename(place.path().join("deep"), more.join("deep")).unwrap();
    comes_to(&server, "more/deep/er/low", json!(6)).await;
    fs::write(more.join("deep/er/low.rhai"), "7").unwrap();
    comes_to(&server, "more/deep/er/low", json!(7)).await;
    // A node type in it counts as one.
    fs::create_dir_all(more.join("nodes")).unwrap();
    fs::write(more.join("nodes/from_more.rhai"), "//! ---\n//! category = \"data\"\n//! ---\nfn run(config, input) { 1 }").unwrap();
    whole(&server, "more/nodes/from_more.rhai").await;
    assert_eq!(server.get("/api/node-configs/templates/from_more").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_elsewhere_is_followed() {
    let place = tempfile::tempdir().unwrap();
    let more = place.path().join("more");
    for number in [1, 2] {
        fill(&place.path().join(format!("release-{number}")), number);
    }
    let point = |number: u32| {
        let link = place.path().join("next");
        std::os::unix::fs::symlink(place.path().join(format!("release-{number}")), &link).unwrap();
        fs::rename(&link, &more).unwrap();
    };
    point(1);
    let server = with_folder(&more).await;
    shows(&server, 1).await;
    point(2);
    shows(&server, 2).await;
    fill(&place.path().join("release-2"), 3);
    shows(&server, 3).await;
    fill(&place.path().join("release-1"), 9);
    fs::write(place.path().join("release-2/top.rhai"), "4").unwrap();
    comes_to(&server, "more/top", json!(4)).await;
    assert_eq!(result(&server, "more/deep/er/low").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_one_of_the_texts_that_were_written_never_a_mix() {
    let server = start().await;
    let file = server.data.path().join("scripts/swapped.rhai");
    // Long enough that it is not written at once, and another length each time.
    let text = |number: u32| {
        let filler = format!("// {number}\n").repeat(200 + number as usize % 37);
        format!("let first = {number};\n{filler}let last = {number};\n[first, last]\n{filler}")
    };
    replace(&file, &text(0));
    whole(&server, "swapped.rhai").await;
    let writing = std::thread::spawn(move || {
        for number in 1..=1000 {
            replace(&file, &text(number));
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let mut seen = BTreeSet::new();
    let mut runs = 0;
    while !writing.is_finished() || runs < 50 {
        let (status, run) = server.post("/api/scripts/swapped/run", &json!({ "wait": true })).await;
        assert_eq!((status, &run["status"]), (200, &json!("succeeded")), "{run}");
        assert_eq!(run["result"][0], run["result"][1], "{run}");
        seen.insert(run["result"][0].as_u64().unwrap());
        runs += 1;
    }
    writing.join().unwrap();
    comes_to(&server, "swapped", json!([1000, 1000])).await;
    // What is on record of the runs.
    let journal = rusqlite::Connection::open(server.data.path().join("trae.db")).unwrap();
    let mut read = journal.prepare("SELECT source FROM programs").unwrap();
    let programs: Vec<String> = read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let programs = programs.iter().map(|program| serde_json::from_str::<Value>(program).unwrap());
    let sources: Vec<String> = programs
        .filter(|program| program["name"] == "swapped.rhai")
        .map(|program| program["source"].as_str().unwrap().to_owned())
        .collect();
    let written: BTreeSet<String> = (0..=1000).map(text).collect();
    assert!(sources.len() >= seen.len());
    for source in sources {
        assert!(written.contains(&source), "a text that nobody wrote: {source}");
    }
}
