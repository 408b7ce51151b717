//! Every variable with its name, its default and its range, and how they fit together.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::read::Reader;
use super::value::{Host, HotKey, LogFile, LogLevel, ScreenCorner, Secret, Size, Words};
use super::{
    Application, Config, Corner, Cors, Desktop, DisplayMode, LogFormat, Logging, Ocr, Proxmox, Recordings, Runs, Security, Server,
    Services, Shell, Snapshots, Sources, Storage, WebSockets,
};

/// Every variable there is, in the order in which `trae config` shows them.
pub(super) fn read_all(r: &mut Reader, data_dir: PathBuf) -> Config {
    let application = Application {
        name: r.get("APP_NAME", "TRAE Backend".to_owned()),
        debug: r.get("DEBUG", false),
        environment: r.get("ENVIRONMENT", "production".to_owned()),
    };
    let server = Server {
        host: r.get("HOST", Host(Ipv4Addr::LOCALHOST.into())).0,
        port: r.get("PORT", 8007),
        allowed_hosts: r.get("ALLOWED_HOSTS", Vec::new()),
        max_body_bytes: r.within("MAX_BODY_BYTES", 10 << 20, 1024..=1 << 30),
        max_connections: r.within("MAX_CONNECTIONS", 1024, 1..=100_000),
        workers: r.within("WORKERS", std::thread::available_parallelism().map_or(2, Into::into), 1..=1024),
        trusted_proxies: r.get("TRUSTED_PROXIES", Vec::new()),
        tls_cert: r.optional("TLS_CERT"),
        tls_key: r.optional("TLS_KEY"),
    };
    let cors = Cors {
        origins: r.get("CORS_ORIGINS", vec!["http://localhost:3000".to_owned(), "http://localhost:5174".to_owned()]),
        credentials: r.get("CORS_CREDENTIALS", true),
    };
    let services = Services {
        ocr: r.get("ENABLE_OCR", true),
        desktop_streaming: r.get("ENABLE_DESKTOP_STREAMING", true),
        click_automation: r.get("ENABLE_CLICK_AUTOMATION", true),
        websockets: r.get("ENABLE_WEBSOCKETS", true),
    };
    let storage = Storage {
        data_dir: r.get("DATA_DIR", data_dir),
        script_dirs: r.get("SCRIPT_DIRS", Vec::new()),
        reload: r.get("RELOAD", true),
        script_approval: r.get("SCRIPT_APPROVAL", false),
        versions_kept: r.within("VERSIONS_KEPT", 0, 0..=1_000_000),
    };
    let ocr = Ocr {
        languages: r.get("OCR_LANGUAGES", vec!["eng".to_owned()]),
        confidence_threshold: r.within("OCR_CONFIDENCE_THRESHOLD", 0.7, 0.0..=1.0),
        timeout: Duration::from_secs(r.within("OCR_TIMEOUT", 30, 1..=3600)),
        models: r.get("OCR_MODELS", storage.data_dir.join("models")),
    };
    let websockets = WebSockets {
        timeout: Duration::from_secs(r.within("WEBSOCKET_TIMEOUT", 300, 1..=86_400)),
        max_connections: r.within("MAX_WEBSOCKET_CONNECTIONS", 100, 1..=100_000),
        ping_interval: Duration::from_secs(r.within("WEBSOCKET_PING_INTERVAL", 60, 1..=86_400)),
    };
    let security = Security {
        api_key_enabled: r.get("API_KEY_ENABLED", false),
        jwt_secret_key: r.optional("JWT_SECRET_KEY"),
        secrets_identity: r.optional("SECRETS_IDENTITY"),
        secrets_passphrase: r.optional("SECRETS_PASSPHRASE"),
        rate_limit_enabled: r.get("RATE_LIMIT_ENABLED", false),
        rate_limit_requests_per_minute: r.within("RATE_LIMIT_REQUESTS_PER_MINUTE", 60, 1..=1_000_000),
        http_private_hosts: r.get("HTTP_PRIVATE_HOSTS", Vec::new()),
        run_permissions: r.optional("RUN_PERMISSIONS"),
    };
    let runs = Runs {
        max: r.within("MAX_RUNS", 64, 1..=1024),
        max_queued: r.within("MAX_QUEUED_RUNS", 10_000, 0..=1_000_000),
        kept: Some(r.within("RUNS_KEPT", 100_000, 0..=1 << 40)).filter(|count| *count > 0),
        kept_for: Some(r.within("RUNS_KEPT_DAYS", 90, 0..=36_500))
            .filter(|days: &u64| *days > 0)
            .map(|days| Duration::from_secs(days * 86_400)),
        step_images: r.get("STEP_IMAGES", true),
    };
    let days: u32 = r.within("SNAPSHOT_MAX_AGE_DAYS", 30, 0..=36_500);
    let total: u64 = r.within("SNAPSHOT_MAX_TOTAL_BYTES", 1 << 30, 0..=1 << 50);
    let snapshots =
        Snapshots { max_age: (days > 0).then(|| Duration::from_secs(u64::from(days) * 86_400)), max_total: (total > 0).then_some(total) };
    let days: u32 = r.within("RECORDING_MAX_AGE_DAYS", 30, 0..=36_500);
    let total: u64 = r.within("RECORDING_MAX_TOTAL_BYTES", 10 << 30, 0..=1 << 50);
    let recordings = Recordings {
        max_bytes: r.within("RECORDING_MAX_BYTES", 2 << 30, 1 << 20..=1 << 40),
        max_age: (days > 0).then(|| Duration::from_secs(u64::from(days) * 86_400)),
        max_total: (total > 0).then_some(total),
    };
    let desktop = Desktop {
        mode: r.get("DISPLAY_MODE", DisplayMode::Auto),
        virtual_size: {
            let Size(width, height) = r.get("VIRTUAL_SIZE", Size(1920, 1080));
            (width, height)
        },
        virtual_startup: r.optional("VIRTUAL_STARTUP").map(|Words(words)| words).unwrap_or_default(),
        control_idle: Duration::from_secs(r.within("CONTROL_IDLE", 120, 1..=86_400)),
        emergency_hotkey: r.get("EMERGENCY_HOTKEY", HotKey(Some("ctrl+alt+shift+esc".to_owned()))).0,
        emergency_corner: r.get("EMERGENCY_CORNER", ScreenCorner(Some(Corner::TopLeft))).0,
        emergency_pause: Duration::from_secs(r.within("EMERGENCY_PAUSE", 10, 0..=3600)),
        max_targets: r.within("MAX_TARGETS", 16, 0..=1000),
        max_size: {
            let Size(width, height) = r.get("MAX_TARGET_SIZE", Size(7680, 4320));
            (width, height)
        },
    };
    let mut line = |name, default: &[&str]| r.get(name, Words(default.iter().map(|word| (*word).to_owned()).collect())).0;
    let powershell = if cfg!(windows) { "powershell" } else { "pwsh" };
    let shell = Shell {
        bash: line("SHELL_BASH", &["bash", "-c"]),
        powershell: line("SHELL_POWERSHELL", &[powershell, "-NoProfile", "-NonInteractive", "-Command"]),
        cmd: line("SHELL_CMD", &["cmd", "/C"]),
        bash_interactive: line("SHELL_BASH_INTERACTIVE", &["bash", "--noprofile", "--norc", "-i"]),
        powershell_interactive: line("SHELL_POWERSHELL_INTERACTIVE", &[powershell, "-NoLogo", "-NoProfile"]),
        cmd_interactive: line("SHELL_CMD_INTERACTIVE", &["cmd", "/Q", "/K"]),
        sh: line("SHELL_SH", &["sh", "-c"]),
        sh_interactive: line("SHELL_SH_INTERACTIVE", &["sh", "-i"]),
        zsh: line("SHELL_ZSH", &["zsh", "-c"]),
        zsh_interactive: line("SHELL_ZSH_INTERACTIVE", &["zsh", "-f", "-i"]),
        fish: line("SHELL_FISH", &["fish", "-c"]),
        fish_interactive: line("SHELL_FISH_INTERACTIVE", &["fish", "--no-config", "-i"]),
        max_sessions: r.within("MAX_SHELL_SESSIONS", 32, 1..=1024),
        allow: r.get("SHELL_ALLOW", Vec::new()),
        record: r.get("RECORD_SHELL_SESSIONS", false),
        sandbox: r.get("SHELL_SANDBOX", true),
    };
    let level = if application.debug { "debug" } else { "info" };
    let logging = Logging {
        format: r.get("LOG_FORMAT", LogFormat::Text),
        level: r.get("LOG_LEVEL", LogLevel(level.to_owned())).0,
        file: r.get("LOG_FILE", LogFile(Some(storage.data_dir.join("logs/backend.log")))).0,
        max_bytes: r.within("LOG_MAX_BYTES", 10 << 20, 4096..=1 << 40),
        keep: r.within("LOG_KEEP", 5, 0..=1000),
    };
    let proxmox = Proxmox {
        host: r.optional("PROXMOX_HOST"),
        port: r.get("PROXMOX_PORT", 8006),
        username: r.optional("PROXMOX_USERNAME"),
        password: r.optional("PROXMOX_PASSWORD"),
        fingerprint: r.optional("PROXMOX_FINGERPRINT"),
    };
    let settings = r.settings();
    Config {
        application,
        server,
        cors,
        services,
        ocr,
        websockets,
        security,
        storage,
        runs,
        snapshots,
        recordings,
        desktop,
        shell,
        logging,
        proxmox,
        settings,
    }
}

/// What single values cannot say: how they fit together.
pub(super) fn check(config: &Config, reader: &mut Reader) {
    if !config.server.host.is_loopback() && !config.security.api_key_enabled {
        reader.problem(
            "HOST",
            format!(
                "{} can be reached from other machines, which needs authentication: set API_KEY_ENABLED=true, or HOST=127.0.0.1",
                config.server.host
            ),
        );
    }
    if let Some(Secret(secret)) = &config.security.jwt_secret_key {
        if secret == "your-super-secret-jwt-key" {
            reader.problem(
                "JWT_SECRET_KEY",
                "this is the sample that everybody knows: set a secret of your own, or none to have one generated",
            );
        } else if secret.len() < 32 {
            reader.problem("JWT_SECRET_KEY", "is shorter than 32 bytes: set a longer one, or none to have one generated");
        }
    }
    for origin in &config.cors.origins {
        let known = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization().eq_ignore_ascii_case(origin));
        if !known {
            reader.problem(
                "CORS_ORIGINS",
                format!("{origin:?} is not an origin: write it like https://example.org or http://localhost:3000"),
            );
        }
    }
    if config.server.tls_cert.is_some() != config.server.tls_key.is_some() {
        reader.problem("TLS_CERT", "TLS_CERT and TLS_KEY go together: set both or neither");
    }
    let Proxmox { host, username, password, .. } = &config.proxmox;
    let token = password.as_ref().is_some_and(|Secret(text)| text.contains('!') && text.contains('='));
    if host.is_some() && (password.is_none() || (username.is_none() && !token)) {
        reader.problem(
            "PROXMOX_HOST",
            "needs PROXMOX_USERNAME and PROXMOX_PASSWORD as well, or an API token (USER@REALM!ID=SECRET) in PROXMOX_PASSWORD",
        );
    }
}

/// `./data` in a checkout of TRAE, else the platform's data folder.
pub(super) fn default_data_dir(sources: &Sources) -> PathBuf {
    let manifest = std::fs::read_to_string(sources.directory.join("Cargo.toml")).unwrap_or_default();
    let checkout = manifest.parse::<toml::Table>().is_ok_and(|table| {
        table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str) == Some(env!("CARGO_PKG_NAME"))
    });
    let variable = |name: &str| sources.environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if checkout {
        return sources.directory.join("data");
    }
    let platform = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        variable("XDG_DATA_HOME").filter(|path| path.is_absolute()).or_else(|| variable("HOME").map(|home| home.join(".local/share")))
    };
    platform.as_deref().unwrap_or_else(|| Path::new(".")).join("trae")
}
