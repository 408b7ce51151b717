//! The Dockerfile, as far as it can be checked without Docker: the rules that linters have for it, and that what it names is there.
//! `examples/docker/rehearse.sh` goes through its last stage in a fresh Debian.

use std::collections::BTreeMap;
use std::process::Command;

use trae::config::{Config, Sources};

struct Instruction {
    name: String,
    text: String,
}

/// The instructions, with continued lines joined, by stage.
fn stages() -> Vec<Vec<Instruction>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let joined = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, text) = line.split_once(' ').unwrap();
        if name == "FROM" {
            stages.push(Vec::new());
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        stages.last_mut().expect("FROM comes first").push(Instruction { name: name.to_owned(), text });
    }
    stages
}

fn all<'a>(stage: &'a [Instruction], name: &str) -> Vec<&'a str> {
    stage.iter().filter(|instruction| instruction.name == name).map(|instruction| instruction.text.as_str()).collect()
}

/// What a stage installs.
fn packages(stage: &[Instruction]) -> Vec<String> {
    let installs = all(stage, "RUN").into_iter().flat_map(|run| run.split("&&")).filter_map(|part| part.split_once("apt-get install "));
    installs.flat_map(|(_, rest)| rest.split_whitespace()).filter(|word| !word.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn it_keeps_the_rules_of_dockerfiles() {
    let stages = stages();
    let mut broken = Vec::new();
    for stage in &stages {
        let from = stage[0].text.as_str();
        let image = from.split(' ').next().unwrap();
        if !image.contains(':') || image.ends_with(":latest") {
            broken.push(format!("{from}: an image needs a tag that stays what it is"));
        }
        for run in all(stage, "RUN").into_iter().filter(|run| run.contains("apt-get")) {
            for (part, why) in [
                ("apt-get update &&", "lists are fetched in the layer that uses them"),
                ("--no-install-recommends", "nothing comes along that nobody asked for"),
                ("rm -rf /var/lib/apt/lists/*", "lists are not kept in the layer"),
                ("install -y", "nobody is there to answer"),
            ] {
                if !run.contains(part) {
                    broken.push(format!("RUN lacks `{part}`: {why}"));
                }
            }
            if run.contains("apt-get upgrade") || run.contains("sudo") {
                broken.push("no upgrade and no sudo in an image".to_owned());
            }
        }
        let installed = packages(stage);
        let mut sorted = installed.clone();
        sorted.sort();
        sorted.dedup();
        if installed != sorted {
            broken.push(format!("packages stand in alphabetical order, each once: {}", sorted.join(" ")));
        }
        for workdir in all(stage, "WORKDIR").into_iter().filter(|path| !path.starts_with('/')) {
            broken.push(format!("WORKDIR {workdir} is not absolute"));
        }
        if !all(stage, "ADD").is_empty() {
            broken.push("COPY instead of ADD".to_owned());
        }
    }
    let last = stages.last().unwrap();
    let user = all(last, "USER");
    if user.last().is_none_or(|user| user.parse::<u32>().map_or(true, |uid| uid == 0)) {
        broken.push("the last stage runs as a numbered user that is not root".to_owned());
    }
    for name in ["ENTRYPOINT", "CMD"] {
        if !all(last, name).iter().all(|text| serde_json::from_str::<Vec<String>>(text).is_ok()) {
            broken.push(format!("{name} is a list: a shell between would swallow signals"));
        }
    }
    let health = all(last, "HEALTHCHECK");
    let list = health.first().and_then(|text| text.split_once("CMD ")).map(|(_, list)| list);
    if list.is_none_or(|list| serde_json::from_str::<Vec<String>>(list).is_err()) {
        broken.push("HEALTHCHECK needs a command as a list".to_owned());
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn what_it_copies_sets_and_exposes_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let stages = stages();
    let ignored = std::fs::read_to_string(root.join(".dockerignore")).unwrap();
    for copy in stages.iter().flat_map(|stage| all(stage, "COPY")).filter(|copy| !copy.starts_with("--from")) {
        let mut words: Vec<&str> = copy.split(' ').collect();
        words.pop();
        for source in words {
            assert!(root.join(source).exists(), "COPY {source}: there is no such file");
            assert!(ignored.lines().any(|line| line == format!("!{source}")), "{source} is kept out by .dockerignore");
        }
    }
    let last = stages.last().unwrap();
    let settings: BTreeMap<String, String> = all(last, "ENV")
        .into_iter()
        .flat_map(|env| env.split(' '))
        .map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap())
        .collect();
    let empty = tempfile::tempdir().unwrap();
    // As flags, since those are refused where nobody knows them.
    let config = Config::load(&Sources { directory: empty.path().to_path_buf(), flags: settings, ..Sources::default() }).unwrap();
    assert_eq!(all(last, "EXPOSE"), [config.server.port.to_string()]);
    assert!(config.security.api_key_enabled, "a server that others can reach needs keys");
    let installed = packages(last);
    for language in &config.ocr.languages {
        assert!(installed.contains(&format!("tesseract-ocr-{language}")), "OCR_LANGUAGES names {language}, which is not installed");
    }
    for language in ["deu", "eng", "fra", "spa"] {
        assert!(config.ocr.languages.iter().any(|known| known == language), "{language} is missing");
    }
    let [startup] = config.desktop.virtual_startup.as_slice() else { panic!("the desktop shows nothing: VIRTUAL_STARTUP is missing") };
    let to = format!("/usr/local/bin/{startup}");
    let copied = all(last, "COPY").into_iter().find_map(|copy| copy.strip_suffix(&to));
    let script = std::fs::read_to_string(root.join(copied.expect("it is copied").trim())).unwrap();
    assert!(script.contains("xsetroot -solid") && script.contains("xterm"), "{script}");
    for package in ["xterm", "x11-xserver-utils", "xvfb", "openbox"] {
        assert!(installed.iter().any(|known| known == package), "a desktop of its own needs {package}");
    }
    let compose = std::fs::read_to_string(root.join("examples/docker/compose.yaml")).unwrap();
    assert!(compose.contains(&format!("127.0.0.1:{0}:{0}", config.server.port)) && compose.contains("build: ../.."));
}

/// Where this machine is the Debian that the image is made of, its packages can be looked up.
#[test]
fn its_packages_exist() {
    let debian = std::fs::read_to_string("/etc/os-release").unwrap_or_default().contains("VERSION_CODENAME=bookworm");
    let known = Command::new("apt-cache").args(["pkgnames", "libtesseract5"]).output();
    if !debian || known.is_ok_and(|known| known.stdout.is_empty()) {
        println!("skipped: this is not Debian 12 with its package lists");
        return;
    }
    for stage in stages() {
        let packages = packages(&stage);
        let simulated =
            Command::new("apt-get").args(["install", "--simulate", "--no-install-recommends"]).args(&packages).output().unwrap();
        assert!(simulated.status.success(), "{packages:?}: {}", String::from_utf8_lossy(&simulated.stderr));
    }
}
