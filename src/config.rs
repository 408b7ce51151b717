//! The settings: small structs, one per concern, each field with its variable's name and default.
//!
//! Sources, each over the one before: defaults, `trae.toml`, `.env`, the environment, command-line flags. A variable has one name
//! everywhere; `trae.toml` writes it in lower case and is flat. All that is wrong is reported at once ([`Problems`]), and every value
//! knows where it came from ([`Config::settings`]).
//!
//! What a setting does is not decided here: rooms are given their part by `app`.

mod read;
mod settle;
mod value;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use read::Reader;

pub use read::{Problem, Problems, Setting, Source};
pub use value::{Fingerprint, Network, Secret};

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the program calls itself.
    pub application: Application,
    /// Where and how it listens.
    pub server: Server,
    /// Which pages of other origins may use it.
    pub cors: Cors,
    /// Which parts are on.
    pub services: Services,
    /// Reading text.
    pub ocr: Ocr,
    /// WebSockets.
    pub websockets: WebSockets,
    /// Who may use it.
    pub security: Security,
    /// Where it keeps things.
    pub storage: Storage,
    /// Runs of workflows and scripts.
    pub runs: Runs,
    /// Kept pictures.
    pub snapshots: Snapshots,
    /// Films of the screen.
    pub recordings: Recordings,
    /// The screen it works on.
    pub desktop: Desktop,
    /// Commands and shell sessions.
    pub shell: Shell,
    /// What it writes to its log.
    pub logging: Logging,
    /// The Proxmox host.
    pub proxmox: Proxmox,
    settings: Vec<Setting>,
}

/// What the program calls itself.
#[derive(Debug, Clone)]
pub struct Application {
    /// `APP_NAME`, default `TRAE Backend`: the title of the API's description, and in the log's first line.
    pub name: String,
    /// `DEBUG`, default `false`: more in the log, unless `LOG_LEVEL` says how much.
    pub debug: bool,
    /// `ENVIRONMENT`, default `production`: a label in the log's first line and in the API's description.
    pub environment: String,
}

/// Where and how it listens.
#[derive(Debug, Clone)]
pub struct Server {
    /// `HOST`, default `127.0.0.1`, and then also `::1`: an address, or `localhost`. Others than loopback need `API_KEY_ENABLED=true`.
    pub host: IpAddr,
    /// `PORT`, default `8007`; `0` takes a free one.
    pub port: u16,
    /// `ALLOWED_HOSTS`, default empty: names beside the loopback ones that a `Host` header may hold.
    pub allowed_hosts: Vec<String>,
    /// `MAX_BODY_BYTES`, default 10 MiB.
    pub max_body_bytes: usize,
    /// `MAX_CONNECTIONS`, default `1024`.
    pub max_connections: usize,
    /// `WORKERS`: threads of the async runtime; default: one for each core.
    pub workers: usize,
    /// `TRUSTED_PROXIES`, default empty: addresses or networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// `TLS_CERT`, default none: a PEM file.
    pub tls_cert: Option<PathBuf>,
    /// `TLS_KEY`, default none: a PEM file.
    pub tls_key: Option<PathBuf>,
}

/// Which pages of other origins may use it.
#[derive(Debug, Clone)]
pub struct Cors {
    /// `CORS_ORIGINS`, default `http://localhost:3000,http://localhost:5174`.
    pub origins: Vec<String>,
    /// `CORS_CREDENTIALS`, default `true`.
    pub credentials: bool,
}

/// Which parts are on. All default to `true`.
#[derive(Debug, Clone)]
pub struct Services {
    /// `ENABLE_OCR`.
    pub ocr: bool,
    /// `ENABLE_DESKTOP_STREAMING`; screenshots are not streams.
    pub desktop_streaming: bool,
    /// `ENABLE_CLICK_AUTOMATION`.
    pub click_automation: bool,
    /// `ENABLE_WEBSOCKETS`.
    pub websockets: bool,
}

/// Reading text.
#[derive(Debug, Clone)]
pub struct Ocr {
    /// `OCR_LANGUAGES`, default `eng`: what a reading without a language uses.
    pub languages: Vec<String>,
    /// `OCR_CONFIDENCE_THRESHOLD`, 0–1, default `0.7`.
    pub confidence_threshold: f64,
    /// `OCR_TIMEOUT` in seconds, default `30`.
    pub timeout: Duration,
    /// `OCR_MODELS`, default `models` in the data folder: where the neural engine's files are.
    pub models: PathBuf,
}

/// WebSockets.
#[derive(Debug, Clone)]
pub struct WebSockets {
    /// `WEBSOCKET_TIMEOUT` in seconds of silence, default `300`.
    pub timeout: Duration,
    /// `MAX_WEBSOCKET_CONNECTIONS`, default `100`.
    pub max_connections: usize,
    /// `WEBSOCKET_PING_INTERVAL` in seconds, default `60`: who lets two of them pass without a sign of life is gone.
    pub ping_interval: Duration,
}

/// Who may use it.
#[derive(Debug, Clone)]
pub struct Security {
    /// `API_KEY_ENABLED`, default `false`.
    pub api_key_enabled: bool,
    /// `JWT_SECRET_KEY`, at least 32 bytes; default: none, one is generated.
    pub jwt_secret_key: Option<Secret>,
    /// `SECRETS_IDENTITY`, default `DATA_DIR/secrets.identity`: the age identity that opens the secrets.
    pub secrets_identity: Option<PathBuf>,
    /// `SECRETS_PASSPHRASE`, default none: what encrypts that file.
    pub secrets_passphrase: Option<Secret>,
    /// `RATE_LIMIT_ENABLED`, default `false`.
    pub rate_limit_enabled: bool,
    /// `RATE_LIMIT_REQUESTS_PER_MINUTE`, default `60`.
    pub rate_limit_requests_per_minute: u32,
    /// `HTTP_PRIVATE_HOSTS`, default none: hosts on this machine or in private networks that scripts may call, `*` for all. With neither keys
    /// nor other machines that reach the server they may call all of them.
    pub http_private_hosts: Vec<String>,
    /// `RUN_PERMISSIONS`, default: everything: what runs may do at most, whatever they declare, as a TOML table like a script's `[permissions]`.
    pub run_permissions: Option<String>,
}

/// Where it keeps things.
#[derive(Debug, Clone)]
pub struct Storage {
    /// `DATA_DIR`: default `./data` where the working folder is a checkout of TRAE (its `Cargo.toml` names the package), else the platform's data folder.
    pub data_dir: PathBuf,
    /// `SCRIPT_DIRS`, separated like `PATH`, default empty: script folders beside `DATA_DIR/scripts`.
    pub script_dirs: Vec<PathBuf>,
    /// `RELOAD`, default `true`: hot reload of the script folders.
    pub reload: bool,
    /// `SCRIPT_APPROVAL`, default `false`: scripts of the folders that declare permissions run only once these were approved.
    pub script_approval: bool,
    /// `VERSIONS_KEPT`, default `0`: so many versions of each workflow and script are kept, the newest; `0` keeps all.
    pub versions_kept: u32,
}

/// Runs of workflows and scripts.
#[derive(Debug, Clone, Copy)]
pub struct Runs {
    /// `MAX_RUNS`, default `64`: so many at once; the others wait.
    pub max: usize,
    /// `MAX_QUEUED_RUNS`, default `10000`: so many may wait; further ones are refused with 429.
    pub max_queued: usize,
    /// `RUNS_KEPT`, default `100000`: so many stay on record, the newest; `0` keeps all.
    pub kept: Option<u64>,
    /// `RUNS_KEPT_DAYS`, default `90`: they stay so long after their end; `0` for ever.
    pub kept_for: Option<Duration>,
    /// `STEP_IMAGES`, default `true`: pictures of the screen before and after each step that uses mouse or keyboard.
    pub step_images: bool,
}

/// Kept pictures.
#[derive(Debug, Clone, Copy)]
pub struct Snapshots {
    /// `SNAPSHOT_MAX_AGE_DAYS`, default `30`: older ones are removed; `0` keeps them.
    pub max_age: Option<Duration>,
    /// `SNAPSHOT_MAX_TOTAL_BYTES`, default 1 GiB: the oldest make room, the newest stays; `0` sets no limit.
    pub max_total: Option<u64>,
}

/// Films of the screen.
#[derive(Debug, Clone, Copy)]
pub struct Recordings {
    /// `RECORDING_MAX_BYTES`, default 2 GiB: a film ends by itself when it is so large.
    pub max_bytes: u64,
    /// `RECORDING_MAX_AGE_DAYS`, default `30`: older ones are removed; `0` keeps them.
    pub max_age: Option<Duration>,
    /// `RECORDING_MAX_TOTAL_BYTES`, default 10 GiB: the oldest make room, the newest stays; `0` sets no limit.
    pub max_total: Option<u64>,
}

/// The screen it works on.
#[derive(Debug, Clone)]
pub struct Desktop {
    /// `DISPLAY_MODE`, default `auto`.
    pub mode: DisplayMode,
    /// `VIRTUAL_SIZE`, default `1920x1080`: width and height of an own virtual screen.
    pub virtual_size: (u32, u32),
    /// `VIRTUAL_STARTUP`, default none: a command line that is started on an own virtual screen, beside a window manager.
    pub virtual_startup: Vec<String>,
    /// `CONTROL_IDLE` in seconds, default `120`: a person who is at the controls of the desktop and does nothing for so long loses them.
    pub control_idle: Duration,
    /// `EMERGENCY_HOTKEY`, default `ctrl+alt+shift+esc`: keys that a person presses together at the desktop itself to end whatever has
    /// its mouse and keyboard; `none` for none. They are heard, not taken away from other programs.
    pub emergency_hotkey: Option<String>,
    /// `EMERGENCY_CORNER`, default `top_left`: the corner of the screen (`top_left`, `top_right`, `bottom_left`, `bottom_right`) into which
    /// a person moves the pointer for the same; `none` for none. What scripts and viewers do with the pointer does not count.
    pub emergency_corner: Option<Corner>,
    /// `EMERGENCY_PAUSE` in seconds, default `10`: so long nobody uses mouse and keyboard after an emergency stop, unless somebody takes
    /// control.
    pub emergency_pause: Duration,
    /// `MAX_TARGETS`, default 16: so many desktops beside that one.
    pub max_targets: usize,
    /// `MAX_TARGET_SIZE`, default `7680x4320`: no desktop beside it is wider or higher.
    pub max_size: (u32, u32),
}

/// A corner of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corner {
    /// Where coordinates begin.
    TopLeft,
    /// The upper right one.
    TopRight,
    /// The lower left one.
    BottomLeft,
    /// The lower right one.
    BottomRight,
}

/// Which screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplayMode {
    /// The session's where there is one, else a virtual one.
    Auto,
    /// The session's.
    Local,
    /// An own virtual one.
    Virtual,
    /// None.
    None,
}

/// Commands and shell sessions. Each shell is a command line, in words; quotes keep a word with blanks together.
#[derive(Debug, Clone)]
pub struct Shell {
    /// `SHELL_BASH`, default `bash -c`: the command is added as the last word.
    pub bash: Vec<String>,
    /// `SHELL_POWERSHELL`, default `pwsh -NoProfile -NonInteractive -Command`; on Windows with `powershell`.
    pub powershell: Vec<String>,
    /// `SHELL_CMD`, default `cmd /C`.
    pub cmd: Vec<String>,
    /// `SHELL_BASH_INTERACTIVE`, default `bash --noprofile --norc -i`: the shell of a session.
    pub bash_interactive: Vec<String>,
    /// `SHELL_POWERSHELL_INTERACTIVE`, default `pwsh -NoLogo -NoProfile`; on Windows with `powershell`.
    pub powershell_interactive: Vec<String>,
    /// `SHELL_CMD_INTERACTIVE`, default `cmd /Q /K`.
    pub cmd_interactive: Vec<String>,
    /// `SHELL_SH`, default `sh -c`.
    pub sh: Vec<String>,
    /// `SHELL_SH_INTERACTIVE`, default `sh -i`.
    pub sh_interactive: Vec<String>,
    /// `SHELL_ZSH`, default `zsh -c`.
    pub zsh: Vec<String>,
    /// `SHELL_ZSH_INTERACTIVE`, default `zsh -f -i`.
    pub zsh_interactive: Vec<String>,
    /// `SHELL_FISH`, default `fish -c`.
    pub fish: Vec<String>,
    /// `SHELL_FISH_INTERACTIVE`, default `fish --no-config -i`.
    pub fish_interactive: Vec<String>,
    /// `MAX_SHELL_SESSIONS`, default `32`.
    pub max_sessions: usize,
    /// `SHELL_ALLOW`, default none: the only commands that may be started, as patterns: `git status`, `echo *`, `make -j*`. Over REST, in
    /// sessions and by scripts alike; terminals are then not opened, as what is typed there is not looked at.
    pub allow: Vec<String>,
    /// `RECORD_SHELL_SESSIONS`, default `false`: whether sessions are recorded that do not say themselves.
    pub record: bool,
    /// `SHELL_SANDBOX`, default `true`: commands of scripts and workflows touch only what these were granted to read and write.
    pub sandbox: bool,
}

/// What it writes to its log.
#[derive(Debug, Clone)]
pub struct Logging {
    /// `LOG_FORMAT`, default `text`.
    pub format: LogFormat,
    /// `LOG_LEVEL`, default `info`, with `DEBUG` `debug`: a level, or directives as `RUST_LOG` takes them.
    pub level: String,
    /// `LOG_FILE`, default `DATA_DIR/logs/backend.log`: where `trae serve` writes beside the terminal; `none` for nowhere.
    pub file: Option<PathBuf>,
    /// `LOG_MAX_BYTES`, default 10 MiB: a file that is larger is put aside as `backend.log.1`, and so on.
    pub max_bytes: u64,
    /// `LOG_KEEP`, default `5`: so many are kept beside the present one.
    pub keep: u32,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The Proxmox host.
#[derive(Debug, Clone)]
pub struct Proxmox {
    /// `PROXMOX_HOST`, default none.
    pub host: Option<String>,
    /// `PROXMOX_PORT`, default `8006`.
    pub port: u16,
    /// `PROXMOX_USERNAME`, default none.
    pub username: Option<String>,
    /// `PROXMOX_PASSWORD`, default none: the password, or an API token as `USER@REALM!ID=SECRET`.
    pub password: Option<Secret>,
    /// `PROXMOX_FINGERPRINT`, default none: the SHA-256 of the host's certificate, where no authority vouches for it.
    pub fingerprint: Option<Fingerprint>,
}

/// What the settings are read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The folder in which `trae.toml` and `.env` are looked for: the working folder.
    pub directory: PathBuf,
    /// `trae.toml` elsewhere; it must exist then.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The command line's flags, by variable name.
    pub flags: BTreeMap<String, String>,
}

impl Sources {
    /// The working folder and the environment of this process, with `flags` over them.
    pub fn of_process(flags: BTreeMap<String, String>) -> Self {
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { directory: std::env::current_dir().unwrap_or_default(), file: None, environment: environment.collect(), flags }
    }
}

impl Default for Config {
    /// The defaults, with nothing read from anywhere and the data in `./data`.
    fn default() -> Self {
        let mut reader = Reader::empty();
        settle::read_all(&mut reader, PathBuf::from("data"))
    }
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut reader = Reader::open(sources);
        let config = settle::read_all(&mut reader, settle::default_data_dir(sources));
        settle::check(&config, &mut reader);
        reader.finish().map(|()| config)
    }

    /// The values that are not to be shown anywhere.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let all = [&self.security.jwt_secret_key, &self.security.secrets_passphrase, &self.proxmox.password];
        all.into_iter().flatten().map(|Secret(text)| text.as_str())
    }

    /// Every value and where it came from, in the order of the structs; secrets are masked.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

#[cfg(test)]
mod tests;
