//! How long it takes from saving a script until it is live.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::report::{Target, show};
use crate::served::{Client, Served};

const SAVES: usize = 30;
/// Scripts beside the one that is saved, for the figure of a full folder.
const MANY: usize = 500;

pub fn measure() {
    for (others, what) in [(0, "a saved script is live"), (MANY, "a saved script is live, 500 beside it")] {
        let data = tempfile::tempdir().unwrap();
        let scripts = data.path().join("scripts");
        std::fs::create_dir_all(&scripts).unwrap();
        for number in 0..others {
            std::fs::write(scripts.join(format!("other-{number}.rhai")), format!("// {number}\n{number}")).unwrap();
        }
        let served = Served::start(data.path(), None);
        let mut client = served.client();
        show(what, "ms", Target::AtMost(300.0), saves(&mut client, &scripts.join("saved.rhai"), "saved", |number| number.to_string()));
        if others > 0 {
            continue;
        }
        std::fs::write(scripts.join("main.rhai"), "import \"part\" as part;\npart::number()").unwrap();
        let source = |number: usize| format!("fn number() {{ {number} }}");
        let spread = saves(&mut client, &scripts.join("part.rhai"), "main", source);
        show("a saved script is live in what imports it", "ms", Target::AtMost(300.0), spread);
    }
}

/// Saves as editors do it, and asks until a run comes to what was saved: milliseconds of each.
fn saves(client: &mut Client, file: &Path, script: &str, source: impl Fn(usize) -> String) -> Vec<f64> {
    let aside = file.with_extension("tmp~");
    let mut spread = Vec::new();
    // The first one only fills the folder.
    for number in 0..=SAVES {
        let begun = Instant::now();
        std::fs::write(&aside, source(number)).unwrap();
        std::fs::rename(&aside, file).unwrap();
        while result(client, script) != number {
            assert!(begun.elapsed() < Duration::from_secs(30), "{script} is never live");
            std::thread::sleep(Duration::from_millis(2));
        }
        if number > 0 {
            spread.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        // Not in step with anything that looks at the folder now and then.
        std::thread::sleep(Duration::from_millis(37 * (number as u64 % 5)));
    }
    spread
}

fn result(client: &mut Client, script: &str) -> Value {
    let (_, run) = client.ask("POST", &format!("/api/scripts/{script}/run"), "{\"wait\": true}");
    serde_json::from_str::<Value>(&run).unwrap_or_default()["result"].take()
}
