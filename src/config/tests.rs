use std::collections::BTreeMap;

use super::{Config, DisplayMode, Secret, Source, Sources};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A folder with these files in it, and this environment.
fn sources(files: &[(&str, &str)], environment: &[(&str, &str)], flags: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let sources = Sources { directory: folder.path().to_owned(), file: None, environment: map(environment), flags: map(flags) };
    (folder, sources)
}

fn source_of(config: &Config, name: &str) -> Source {
    config.settings().iter().find(|setting| setting.name == name).unwrap().source
}

#[test]
fn each_source_is_over_the_one_before() {
    let (_folder, sources) = sources(
        &[
            ("trae.toml", "port = 1\nmax_body_bytes = 2048\nocr_timeout = 5\ndebug = true\n"),
            (".env", "PORT=2\nexport OCR_TIMEOUT=\"6\" # seconds\nMAX_CONNECTIONS=9 # few\n"),
        ],
        &[("PORT", "3"), ("OCR_TIMEOUT", "7")],
        &[("PORT", "4")],
    );
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.server.port, 4);
    assert_eq!(config.ocr.timeout.as_secs(), 7);
    assert_eq!(config.server.max_connections, 9);
    assert_eq!(config.server.max_body_bytes, 2048);
    assert!(config.application.debug);
    let found: Vec<Source> =
        ["PORT", "OCR_TIMEOUT", "MAX_CONNECTIONS", "DEBUG", "HOST"].iter().map(|name| source_of(&config, name)).collect();
    assert_eq!(found, [Source::Flag, Source::Environment, Source::DotEnv, Source::File, Source::Default]);
}

#[test]
fn every_variable_of_the_specification_has_its_name() {
    let example = [
        ("APP_NAME", "TRAE Backend"),
        ("DEBUG", "false"),
        ("ENVIRONMENT", "production"),
        ("HOST", "0.0.0.0"),
        ("PORT", "8007"),
        ("RELOAD", "false"),
        ("WORKERS", "4"),
        ("CORS_ORIGINS", "http://localhost:3000,http://localhost:5174"),
        ("CORS_CREDENTIALS", "true"),
        ("ENABLE_OCR", "true"),
        ("ENABLE_DESKTOP_STREAMING", "true"),
        ("ENABLE_CLICK_AUTOMATION", "true"),
        ("ENABLE_WEBSOCKETS", "true"),
        ("OCR_LANGUAGES", "eng,deu,fra,spa"),
        ("OCR_CONFIDENCE_THRESHOLD", "0.7"),
        ("OCR_TIMEOUT", "30"),
        ("WEBSOCKET_TIMEOUT", "300"),
        ("MAX_WEBSOCKET_CONNECTIONS", "100"),
        ("WEBSOCKET_PING_INTERVAL", "60"),
        ("JWT_SECRET_KEY", "a-secret-of-more-than-thirty-two-bytes"),
        ("API_KEY_ENABLED", "true"),
        ("RATE_LIMIT_ENABLED", "true"),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "60"),
        ("PROXMOX_HOST", "192.0.2.7"),
        ("PROXMOX_PORT", "8006"),
        ("PROXMOX_USERNAME", "root@pam"),
        ("PROXMOX_PASSWORD", "hunter2"),
    ];
    let (_folder, sources) = sources(&[], &[], &example);
    let config = Config::load(&sources).unwrap();
    for (name, _) in example {
        assert_eq!(source_of(&config, name), Source::Flag, "{name}");
    }
    assert_eq!(config.ocr.languages, ["eng", "deu", "fra", "spa"]);
    assert_eq!(config.proxmox.password, Some(Secret("hunter2".to_owned())));
    let shown = format!("{:?}{:?}", config.settings(), config);
    assert!(!shown.contains("hunter2") && !shown.contains("a-secret-of"), "secrets are masked");
}

#[test]
fn all_problems_are_named_at_once() {
    let (_folder, sources) = sources(
        &[("trae.toml", "prot = 1\nworkers = \"many\"\n[server]\nport = 1\n"), (".env", "nonsense\n")],
        &[("PORT", "70000"), ("DISPLAY_MODE", "blue"), ("VIRTUAL_SIZE", "9x9"), ("HOST", "0.0.0.0"), ("CORS_ORIGINS", "localhost")],
        &[("JWT_SECRET_KEY", "your-super-secret-jwt-key"), ("OCR_CONFIDENCE_THRESHOLD", "1.5")],
    );
    let problems = Config::load(&sources).unwrap_err();
    let shown = problems.to_string();
    for expected in [
        "prot (trae.toml): there is no such setting: did you mean port?",
        "WORKERS (trae.toml): \"many\"",
        "server (trae.toml)",
        ".env: line 1",
        "PORT (environment): \"70000\"",
        "DISPLAY_MODE",
        "VIRTUAL_SIZE",
        "HOST (environment): 0.0.0.0 can be reached from other machines",
        "API_KEY_ENABLED=true",
        "CORS_ORIGINS",
        "JWT_SECRET_KEY",
        "OCR_CONFIDENCE_THRESHOLD",
    ] {
        assert!(shown.contains(expected), "{expected:?} is missing in:\n{shown}");
    }
}

#[test]
fn the_data_lies_in_a_checkout_or_where_the_platform_keeps_data() {
    let (folder, in_checkout) = sources(&[("Cargo.toml", "[package]\nname = \"trae\"\n")], &[], &[]);
    assert_eq!(Config::load(&in_checkout).unwrap().storage.data_dir, folder.path().join("data"));
    let (_folder, elsewhere) = sources(&[("Cargo.toml", "[package]\nname = \"other\"\n")], &[("XDG_DATA_HOME", "/somewhere")], &[]);
    if cfg!(target_os = "linux") {
        assert_eq!(Config::load(&elsewhere).unwrap().storage.data_dir, std::path::Path::new("/somewhere/trae"));
    }
}

#[test]
fn lists_are_written_as_the_shell_or_as_toml_does() {
    let (_folder, sources) = sources(
        &[(
            "trae.toml",
            "script_dirs = [\"/a\", \"/b\"]\nallowed_hosts = [\"one.example\", \"two.example\"]\ndisplay_mode = \"virtual\"\n",
        )],
        &[],
        &[],
    );
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.server.allowed_hosts, ["one.example", "two.example"]);
    assert_eq!(config.desktop.mode, DisplayMode::Virtual);
    if cfg!(unix) {
        assert_eq!(config.storage.script_dirs.len(), 2);
    }
}

#[test]
fn snapshots_stay_a_month_and_a_gibibyte_unless_told_otherwise() {
    let kept = |flags: &[(&str, &str)]| {
        let (_folder, sources) = sources(&[], &[], flags);
        let snapshots = Config::load(&sources).unwrap().snapshots;
        (snapshots.max_age.map(|age| age.as_secs() / 86_400), snapshots.max_total)
    };
    assert_eq!(kept(&[]), (Some(30), Some(1 << 30)));
    assert_eq!(kept(&[("SNAPSHOT_MAX_AGE_DAYS", "7"), ("SNAPSHOT_MAX_TOTAL_BYTES", "5000000")]), (Some(7), Some(5_000_000)));
    assert_eq!(kept(&[("SNAPSHOT_MAX_AGE_DAYS", "0"), ("SNAPSHOT_MAX_TOTAL_BYTES", "0")]), (None, None));
}

#[test]
fn films_stay_a_month_and_ten_gibibytes_unless_told_otherwise() {
    let kept = |flags: &[(&str, &str)]| {
        let (_folder, sources) = sources(&[], &[], flags);
        let films = Config::load(&sources).unwrap().recordings;
        (films.max_bytes, films.max_age.map(|age| age.as_secs() / 86_400), films.max_total)
    };
    assert_eq!(kept(&[]), (2 << 30, Some(30), Some(10 << 30)));
    let changed = [("RECORDING_MAX_BYTES", "1048576"), ("RECORDING_MAX_AGE_DAYS", "7"), ("RECORDING_MAX_TOTAL_BYTES", "0")];
    assert_eq!(kept(&changed), (1 << 20, Some(7), None));
}

#[test]
fn command_lines_are_words_in_either_notation() {
    let (_folder, sources) = sources(
        &[("trae.toml", "shell_cmd = [\"wine\", \"C:\\\\My Files\\\\cmd.exe\", \"/C\"]\nmax_shell_sessions = 3\n")],
        &[("SHELL_BASH", "env -i '/opt/my tools/bash'  -c"), ("SHELL_POWERSHELL", "")],
        &[],
    );
    let shell = Config::load(&sources).unwrap().shell;
    assert_eq!(shell.bash, ["env", "-i", "/opt/my tools/bash", "-c"]);
    assert_eq!(shell.cmd, ["wine", "C:\\My Files\\cmd.exe", "/C"]);
    assert_eq!(shell.powershell.last().map(String::as_str), Some("-Command"));
    assert_eq!(shell.max_sessions, 3);
    let (_folder, bad) = self::sources(&[], &[("SHELL_BASH", "bash '-c")], &[]);
    assert!(Config::load(&bad).unwrap_err().to_string().contains("SHELL_BASH"));
}
