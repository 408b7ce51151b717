//! The laws of the house, checked by reading its sources. A failure names the law, and every place that breaks it.
//!
//! The table below is the one of `src/README.md`, as data: who may use whom. Whoever adds a room adds a line to both.

mod limits;
mod source;

use std::collections::BTreeSet;

use source::{Source, files, read, root, uses, words};

/// A room and what it may use of the others. Rooms further down may use rooms further up, never the other way round.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("failpoint", &[]),
    ("mask", &[]),
    ("config", &["error"]),
    ("policy", &["error"]),
    ("sandbox", &[]),
    ("schedule", &[]),
    ("services", &["error"]),
    ("tally", &[]),
    ("trust", &[]),
    ("vnc", &["trust", "error"]),
    ("clipboard", &["vnc", "policy", "error"]),
    ("fetch", &["policy", "error"]),
    ("files", &["policy", "error"]),
    ("input", &["vnc", "policy", "error"]),
    ("ocr", &["policy", "tally", "error"]),
    ("screen", &["vnc", "policy", "error"]),
    ("shell", &["sandbox", "policy", "error"]),
    ("system", &["policy", "error"]),
    ("vision", &["policy", "error"]),
    ("windows", &["vnc", "policy", "error"]),
    ("desktop", &["screen", "windows", "input", "clipboard", "vnc", "error"]),
    ("sight", &["desktop", "ocr", "screen", "vision", "windows", "policy", "error"]),
    (
        "host",
        &[
            "sight",
            "desktop",
            "clipboard",
            "fetch",
            "files",
            "input",
            "ocr",
            "screen",
            "shell",
            "system",
            "vision",
            "windows",
            "sandbox",
            "policy",
            "error",
        ],
    ),
    ("workflow", &["schedule", "policy", "error"]),
    ("script", &["host", "workflow", "sandbox", "policy", "error"]),
    ("store", &["error"]),
    ("keys", &["store", "policy", "error"]),
    ("audit", &["store", "mask", "error"]),
    ("secrets", &["store", "policy", "mask", "error"]),
    ("integrations", &["trust", "error"]),
    ("logging", &["config", "mask", "error"]),
    ("runs", &["host", "script", "workflow", "store", "policy", "tally", "audit", "mask", "error"]),
    ("triggers", &["runs", "sight", "desktop", "vision", "workflow", "store", "files", "policy", "mask", "error"]),
    ("snapshots", &["store", "desktop", "input", "ocr", "screen", "policy", "error"]),
    ("recordings", &["workflow", "store", "desktop", "windows", "input", "screen", "policy", "error"]),
    (
        "api",
        &[
            "snapshots",
            "recordings",
            "triggers",
            "runs",
            "script",
            "workflow",
            "host",
            "sight",
            "desktop",
            "clipboard",
            "fetch",
            "files",
            "input",
            "ocr",
            "screen",
            "shell",
            "system",
            "vision",
            "windows",
            "services",
            "keys",
            "audit",
            "secrets",
            "tally",
            "mask",
            "policy",
            "config",
            "error",
        ],
    ),
    ("app", ANY),
    ("cli", ANY),
    ("main", ANY),
    ("lib", ANY),
];

/// Rooms that know everyone.
const ANY: &[&str] = &["*"];

/// The room that is nothing in a release build: whoever promises something may let the crash harness in there.
const EVERYWHERE: &str = "failpoint";

/// Rooms of which everyone may use the words (`words.rs`: what is asked and answered), though not what they do.
const WORDS: &[&str] = &["clipboard", "fetch", "files", "input", "ocr", "screen", "shell", "sight", "system", "windows"];

/// A framework and the rooms that may name it.
const FRAMEWORKS: &[(&str, &[&str])] = &[
    ("age", &["secrets"]),
    ("aho_corasick", &["mask"]),
    ("alacritty_terminal", &["shell"]),
    ("arboard", &["clipboard"]),
    ("axum", &["api"]),
    ("chrono_tz", &["schedule"]),
    ("clap", &["cli"]),
    ("comfy_table", &["cli"]),
    ("croner", &["schedule"]),
    ("enigo", &["input"]),
    ("des", &["vnc"]),
    ("flate2", &["screen", "vnc"]),
    ("governor", &["api"]),
    ("hmac", &["keys", "triggers"]),
    ("hyper", &["api"]),
    ("icu_normalizer", &["ocr", "recordings"]),
    ("indicatif", &["cli"]),
    ("landlock", &["sandbox"]),
    ("leptess", &["ocr"]),
    ("libc", &["sandbox"]),
    ("notify", &["files", "script"]),
    ("openh264", &["screen"]),
    ("ort", &["ocr"]),
    ("portable_pty", &["shell"]),
    ("prometheus_client", &["api"]),
    ("regex", &["ocr", "shell", "windows"]),
    ("reqwest", &["fetch", "integrations"]),
    ("rhai", &["script"]),
    ("ring", &["audit"]),
    ("rusqlite", &["store"]),
    ("shiguredo_mp4", &["recordings"]),
    ("seccompiler", &["sandbox"]),
    ("similar", &["runs"]),
    ("sysinfo", &["system"]),
    ("tokio_rustls", &["api", "cli", "vnc"]),
    ("tokio_tungstenite", &["cli"]),
    ("tower_http", &["api"]),
    ("tracing_appender", &["logging"]),
    ("tracing_subscriber", &["logging"]),
    ("tree_sitter", &["policy"]),
    ("tree_sitter_bash", &["policy"]),
    ("turbojpeg", &["screen"]),
    ("utoipa_axum", &["api"]),
    ("x11rb", &["screen", "input", "clipboard", "desktop", "windows"]),
    ("xcap", &["screen", "windows"]),
    ("xkeysym", &["input"]),
];

/// Files that speak with the operating system where it has no safe words.
const UNSAFE: &[&str] = &[
    "src/desktop/xvfb.rs",
    "src/screen/segment.rs",
    "src/ocr/raw.rs",
    "src/ocr/threads.rs",
    "src/sandbox/attempts.rs",
    "src/sandbox/limits.rs",
    "src/sandbox/copy.rs",
];

/// What a debug build tries to do from within a sandbox that refuses all of it.
const ATTEMPTS: &str = "src/sandbox/attempts.rs";

/// Names under which anything could be put, so that everything would be.
const NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "shared", "types"];

/// Everything at the top of the repository; folders that come of working in it are left aside.
const TOP: &[&str] = &[
    ".ci",
    ".config",
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "LIMITS.md",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "deny.toml",
    "examples",
    "fuzz",
    "rustfmt.toml",
    "scripts",
    "src",
    "stdlib",
    "tests",
    "web",
];
const NOT_KEPT: &[&str] = &[".git", "data", "target", ".env", "trae.toml", "node_modules", ".vscode", ".idea"];

/// Lines of the longest file of logic.
const LONGEST: usize = 600;

/// Fails with the law and the places, if there are any.
#[track_caller]
fn obeyed(law: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{law}\n  {}\n", broken.join("\n  "));
}

fn logic() -> Vec<Source> {
    files("src", "rs").into_iter().filter(|source| !source.is_tests()).collect()
}

#[test]
fn one_framework_one_folder() {
    let mut broken = Vec::new();
    for source in logic() {
        for (framework, rooms) in FRAMEWORKS {
            if rooms.contains(&source.room()) {
                continue;
            }
            // `rhai::…` and `use rhai;` name the framework; `policy.rhai` would be a field.
            let named = words(&source.code, framework).filter(|at| {
                let before = source.code[..*at].trim_end();
                source.code[at + framework.len()..].starts_with("::") && !before.ends_with("::") && !before.ends_with('.')
                    || before.ends_with("use") && !before.ends_with("::")
            });
            broken.extend(named.map(|at| format!("{} names {framework}, which only {} may", source.place(at), rooms.join(", "))));
        }
    }
    obeyed("Law 1: one framework, one folder. Ask the room that knows it, in words of your own.", broken);
}

#[test]
fn imports_go_down_the_table_only() {
    let mut broken = Vec::new();
    for source in logic() {
        let Some((room, may)) = ROOMS.iter().find(|(room, _)| *room == source.room()) else {
            broken.push(format!("{} is in a room that the table in tests/it/house.rs does not have", source.path));
            continue;
        };
        for (at, used, names) in uses(&source.code) {
            let known = ROOMS.iter().any(|(room, _)| *room == used);
            let own_word = WORDS.contains(&used.as_str()) && !names.is_empty() && names.iter().all(|name| is_word(&used, name));
            if !known
                || used == *room
                || used == EVERYWHERE
                || *may == ANY
                || may.contains(&used.as_str())
                || (*room == "script" && own_word)
            {
                continue;
            }
            broken.push(format!(
                "{}: {room} uses {used}, but may use {}",
                source.place(at),
                if may.is_empty() { "nothing" } else { "only " }.to_owned() + may.join(", ").as_str()
            ));
        }
    }
    obeyed("Law 2: imports go down the table only. Turn the dependency round, or hand in a trait.", broken);
}

/// Whether `name` is one of the room's words: what a script asks for is told in the same structs to which the capability listens.
fn is_word(room: &str, name: &str) -> bool {
    let words = ["words.rs", "mod.rs"].map(|file| std::fs::read_to_string(root().join("src").join(room).join(file)).unwrap_or_default());
    let declared =
        |text: &String| ["struct", "enum"].iter().any(|kind| text.lines().any(|line| line.starts_with(&format!("pub {kind} {name} "))));
    words.iter().any(declared)
}

#[test]
fn the_table_has_no_cycle_and_names_only_rooms_that_exist() {
    let mut broken = Vec::new();
    for (index, (room, may)) in ROOMS.iter().enumerate() {
        let above: BTreeSet<_> = ROOMS[..index].iter().map(|(room, _)| *room).collect();
        let below = may.iter().filter(|used| **used != "*" && !above.contains(*used));
        broken.extend(below.map(|used| format!("{room} may use {used}, which does not stand above it")));
        let there = ["", "/mod"].iter().any(|tail| root().join(format!("src/{room}{tail}.rs")).exists());
        if !there {
            broken.push(format!("{room} is in the table, but there is no src/{room}"));
        }
    }
    obeyed("Law 2: the table in tests/it/house.rs goes downwards.", broken);
}

#[test]
fn permission_is_proved_not_remembered() {
    let mut broken = Vec::new();
    for source in logic() {
        if source.room() == "policy" {
            for maker in ["pub fn new", "pub fn parse", "pub fn resolve", "pub(crate) fn new"] {
                let proof = source.code.contains("pub struct Allowed");
                broken.extend(source.code.find(maker).filter(|_| proof).map(|at| format!("{} lets others make a proof", source.place(at))));
            }
        } else if !["shell", "desktop", "host"].contains(&source.room()) && source.path != ATTEMPTS {
            let starts = words(&source.code, "Command").filter(|at| source.code[at + "Command".len()..].starts_with("::new"));
            let places: Vec<_> = starts.filter(|_| source.code.contains("process::Command")).map(|at| source.place(at)).collect();
            broken.extend(places.into_iter().map(|place| format!("{place} starts a process; shell does, for who has an AllowedCommand")));
        }
    }
    obeyed("Law 3: what touches files, network or processes takes a proof that only src/policy makes.", broken);
}

#[test]
fn nothing_panics_on_input() {
    let manifest = read("Cargo.toml");
    let lints =
        ["unwrap_used", "expect_used", "panic", "todo", "unimplemented", "dbg_macro", "print_stdout", "print_stderr", "unsafe_code"];
    let mut broken: Vec<_> = lints
        .iter()
        .filter(|lint| !manifest.contains(&format!("\n{lint} = ")))
        .map(|lint| format!("Cargo.toml does not set the lint {lint}"))
        .collect();
    for source in logic() {
        for unfinished in ["todo!", "unimplemented!"] {
            broken.extend(source.code.match_indices(unfinished).map(|(at, _)| format!("{} is unfinished", source.place(at))));
        }
        // A lint switched off for a whole file or without a reason is a law repealed in passing.
        for silent in ["allow(clippy::unwrap_used", "allow(clippy::expect_used", "allow(clippy::panic", "allow(unsafe_code"] {
            let places = source.code.match_indices(silent).filter(|(at, _)| !source.code[..*at].ends_with("cfg_attr(test, "));
            broken.extend(places.map(|(at, _)| {
                format!("{} allows what the lints deny: use #[expect(…, reason = …)] on the one function", source.place(at))
            }));
        }
        if !UNSAFE.contains(&source.path.as_str()) {
            broken.extend(
                words(&source.code, "unsafe").map(|at| format!("{} is unsafe, outside the back ends that have to be", source.place(at))),
            );
        }
    }
    obeyed("Law 4: nothing panics on input, and unsafe stays in the listed back ends.", broken);
}

#[test]
fn files_are_short_named_for_what_they_hold_and_say_it() {
    let mut broken = Vec::new();
    for source in files("src", "rs") {
        let lines = source.text.lines().count();
        if lines >= LONGEST && !source.is_tests() {
            broken.push(format!("{} has {lines} lines: find the two things it does", source.path));
        }
        if source.path.split('/').any(|part| NAMES.contains(&part.trim_end_matches(".rs"))) {
            broken.push(format!("{} has a name under which anything could be put", source.path));
        }
        if !source.text.starts_with("//!") && !source.is_tests() {
            broken.push(format!("{} does not begin by saying what lives there (`//! …`)", source.path));
        }
    }
    obeyed("Law 7: a file of logic stays under 600 lines, and its name and head say what it holds.", broken);
}

#[test]
fn the_top_level_is_fixed() {
    let entries = std::fs::read_dir(root()).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strangers = entries.filter(|name| !TOP.contains(&name.as_str()) && !NOT_KEPT.contains(&name.as_str()));
    obeyed(
        "The top level is fixed: a new thing belongs into one of its folders.",
        strangers.map(|name| format!("{name} is not of it")).collect(),
    );
}

#[test]
fn every_node_type_says_what_it_is() {
    let mut broken = Vec::new();
    for source in files("stdlib/nodes", "rhai").into_iter().chain(files("scripts/nodes", "rhai")) {
        let mut lines = source.text.lines();
        let head: Vec<_> = lines.by_ref().take_while(|line| line.starts_with("//!")).collect();
        let rules = head.iter().filter(|line| line.trim_end() == "//! ---").count();
        let prose: Vec<_> =
            head.iter().map_while(|line| Some(line.trim_start_matches("//!").trim()).filter(|text| *text != "---")).collect();
        let prose = prose.iter().any(|line| line.ends_with('.'));
        for (missing, what) in [
            (rules != 2, "a header between two lines `//! ---`"),
            (!prose, "a first sentence that says what it does"),
            (!head.iter().any(|line| line.starts_with("//! name = ")), "a name for people"),
            (!head.iter().any(|line| line.starts_with("//! category = ")), "a category"),
            (!source.text.contains("fn run(config, input)") && !source.text.contains("kind = \"loop\""), "`fn run(config, input)`"),
        ] {
            if missing {
                broken.push(format!("{} lacks {what}", source.path));
            }
        }
    }
    obeyed("A node type is a Rhai file whose header says everything about it.", broken);
}

#[test]
fn the_map_shows_every_room() {
    let map = read("src/README.md");
    // The first cell of a row names rooms: | `screen` `input` | … |
    let rows = map.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| line.split('|').next());
    let shown: BTreeSet<String> = rows
        .flat_map(|cell| cell.split(['`', ' ', ',']).map(|name| name.trim_end_matches(".rs").to_owned()).collect::<Vec<_>>())
        .filter(|name| !name.is_empty())
        .collect();
    let there: BTreeSet<String> = files("src", "rs").iter().map(|source| source.room().to_owned()).collect();
    let mut broken: Vec<_> = there.difference(&shown).map(|room| format!("src/{room} is not on the map")).collect();
    broken.extend(shown.difference(&there).map(|room| format!("the map shows {room}, which is not in src")));
    let listed: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    broken.extend(there.difference(&listed).map(|room| format!("src/{room} is not in the table of tests/it/house.rs")));
    obeyed("The map (src/README.md) shows every room, and no other.", broken);
}

#[test]
fn the_map_names_files_that_exist() {
    let map = read("src/README.md");
    let quoted = map.split('`').skip(1).step_by(2).filter(|text| text.ends_with(".rs") && text.contains('/'));
    let missing = quoted.filter(|path| !root().join("src").join(path).exists() && !root().join(path).exists());
    obeyed("The walks of the map go through files that exist.", missing.map(|path| format!("there is no {path}")).collect());
}

#[test]
fn the_readme_names_commands_that_exist() {
    let (readme, makefile, manifest) = (read("README.md"), read("Makefile"), read("Cargo.toml"));
    let mut broken = Vec::new();
    for target in readme.match_indices("make ").map(|(at, found)| &readme[at + found.len()..]) {
        let target: String = target.chars().take_while(char::is_ascii_lowercase).collect();
        // Prose has "make a copy"; a command stands in code.
        let command = readme.contains(&format!("`make {target}`")) || readme.contains(&format!("\nmake {target}"));
        if command && !makefile.contains(&format!("\n{target}:")) {
            broken.push(format!("README.md says `make {target}`, which the Makefile does not have"));
        }
    }
    for target in ["demo", "test", "serve", "bench", "crash"] {
        if !makefile.contains(&format!("\n{target}:")) {
            broken.push(format!("the Makefile lacks {target}"));
        }
    }
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"')).unwrap();
    if !read("CHANGELOG.md").contains(&format!("\n## [{version}]")) {
        broken.push(format!("CHANGELOG.md has no section on version {version}, which Cargo.toml names"));
    }
    let ci = read(".ci/run");
    let commands: Vec<_> = ci.lines().filter(|line| line.contains("make ") || line.contains("cargo ")).collect();
    if commands.len() != 1 || !commands[0].contains("make test") {
        broken.push(".ci/run does something else than `make test`".to_owned());
    }
    let example = read("examples/hello.rs").lines().count();
    if example > 20 {
        broken.push(format!("examples/hello.rs has {example} lines; a first example has at most 20"));
    }
    obeyed("What the documents name is there.", broken);
}
