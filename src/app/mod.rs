//! The one room that knows every other: settings → capabilities → library → runs → router.

mod checks;
pub mod doctor;
mod gate;
mod kept_targets;
mod kept_templates;
mod kept_zones;
pub mod models;
mod parts;
mod programs;
mod secrets;
mod shell_history;
mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::{Parts, State, Tls};
use crate::audit::{self, Audit};
use crate::config::{self, Config, DisplayMode};
use crate::desktop::control::Corner;
use crate::desktop::{self, Desktops};
use crate::error::{Failure, Kind};
use crate::host::{self, Capabilities, Host, Job, Outcome};
use crate::input::Shortcut;
use crate::keys::Keys;
use crate::policy::{Commands, Grant, Kept, Permissions};
use crate::recordings::{self, Recordings};
use crate::runs::{self, Runs, Workflows};
use crate::sandbox::{self, Sandbox};
use crate::script::{self, Library};
use crate::secrets::Vault;
use crate::services::Services;
use crate::sight::Sight;
use crate::snapshots::{self, Snapshots};
use crate::store::Store;
use crate::triggers::{self, SystemClock, Triggers};
use crate::{api, fetch, mask, ocr, shell, system};

pub use programs::Programs;

/// TRAE, put together.
pub struct App {
    /// The settings it was made with.
    pub config: Arc<Config>,
    /// Scripts and node types.
    pub library: Arc<Library>,
    /// Where scripts run.
    pub host: Arc<Host>,
    /// All runs.
    pub runs: Runs,
    /// The stored workflows.
    pub workflows: Workflows,
    /// What starts runs by itself.
    pub triggers: Triggers,
    /// The desktops.
    pub desktops: Arc<Desktops>,
    /// Kept pictures.
    pub snapshots: Snapshots,
    /// What is recorded of the desktops.
    pub recordings: Recordings,
    /// The parts, and how each is.
    pub services: Arc<Services>,
    /// Commands and shell sessions.
    pub shells: Arc<shell::Shells>,
    /// API keys.
    pub keys: Arc<Keys>,
    /// Secrets.
    pub secrets: Arc<Vault>,
    /// Who did what.
    pub audit: Arc<Audit>,
    fetch: Arc<fetch::Fetch>,
    ocr: Arc<ocr::Ocr>,
    sight: Sight,
    system: Arc<system::System>,
    tls: Option<Tls>,
    store: Store,
    /// Which commands may be started.
    commands: Commands,
    /// What no permission opens.
    kept: Arc<Kept>,
    /// The data folder's `files/`, with no link in its path.
    files: PathBuf,
    started: Instant,
    shutdown: CancellationToken,
}

/// What an embedder may choose beside the settings.
pub struct Options {
    /// TRAE's binary, of which runners are made.
    pub runner: PathBuf,
    /// What runs may do at most.
    pub allowed: Permissions,
}

impl App {
    /// Puts everything together, and starts the parts. Runs that a dead server left are looked after once this one listens.
    ///
    /// # Errors
    /// A data folder that cannot be written (`STORAGE_FULL`), a database that cannot be read.
    pub async fn new(config: Config) -> Result<Self, Failure> {
        let runner = std::env::current_exe()
            .map_err(|error| Failure::new(Kind::Internal, format!("the running program cannot be found: {error}")))?;
        let allowed = allowed(&config)?;
        Self::with(config, Options { runner, allowed }).await
    }

    /// The same, for whoever is not TRAE's own binary or grants less than everything.
    ///
    /// # Errors
    /// As [`App::new`].
    pub async fn with(config: Config, options: Options) -> Result<Self, Failure> {
        let started = Instant::now();
        let data = &config.storage.data_dir;
        let files = prepare(data)?;
        let commands = commands(&config)?;
        let tls = Tls::load(&config.server)?;
        let store = Store::open(&data.join("trae.db"))?;
        let keys = Arc::new(open_keys(&config, store.clone())?);
        let audit = Arc::new(Audit::open(store.clone(), data)?);
        mask::learn(config.secrets());
        let secrets = Arc::new(Vault::new(store.clone(), secrets::settings(&config, data)));
        if let Err(error) = secrets.learn().await {
            tracing::error!(%error, "what is secret is not masked where it is shown before it was used, and cannot be used");
        }
        let targets = kept_targets::read(&store).await?;
        let desktops = Desktops::new(desktop_settings(&config)?).kept(Arc::new(kept_targets::Kept(store.clone())), targets);
        let desktops = Arc::new(desktops);
        let ocr = Arc::new(ocr::Ocr::new(ocr_settings(&config)));
        let zones = kept_zones::read(&store).await?;
        let sight = Sight::with_zones(Arc::clone(&ocr), Arc::new(kept_zones::Kept(store.clone())), zones);
        let history = Arc::new(shell_history::Kept { store: store.clone(), audit: Arc::clone(&audit) });
        if !config.shell.sandbox {
            tracing::warn!("SHELL_SANDBOX=false: commands of scripts and workflows may touch whatever the server may");
        }
        let shells = Arc::new(shell::Shells::with_history(shell_settings(&config, &files), history));
        let fetch = Arc::new(fetch::Fetch::within(private_hosts(&config)));
        let system = Arc::new(system::System::new());
        let services = Arc::new(Services::new());
        let capabilities = Capabilities {
            desktops: Arc::clone(&desktops),
            ocr: Arc::clone(&ocr),
            sight: sight.clone(),
            shells: Arc::clone(&shells),
            fetch: Arc::clone(&fetch),
            system: Arc::clone(&system),
        };
        let settings = host::Settings { runner: options.runner, max_runners: config.runs.max };
        let host = Host::new(capabilities, settings)
            .map_err(|error| Failure::new(Kind::Internal, format!("no thread could be started: {error}")))?;
        let host = host.behind(Arc::new(gate::Gate(Arc::clone(&services)))).knowing(Arc::new(secrets::Kept(Arc::clone(&secrets))));
        let snapshots = Snapshots::new(store.clone(), Arc::clone(&desktops), Arc::clone(&ocr), snapshot_settings(&config));
        let host = host.with_templates(Arc::new(kept_templates::Kept(snapshots.clone())));
        let host = host.watched_by(Arc::new(witness::Watching(Arc::clone(&audit))));
        let host = Arc::new(if config.runs.step_images { host.picturing() } else { host });
        let library = Arc::new(Library::open(script_settings(&config)));
        let programs = Arc::new(Programs::new(Arc::clone(&library)));
        let kept = kept(&config);
        let watching = Grant::new(vec![options.allowed.clone()], files.clone()).keeping(Arc::clone(&kept));
        let runs = Runs::new(
            store.clone(),
            Arc::new(HostRunner(Arc::clone(&host))),
            programs,
            runs::Settings {
                closed: Arc::clone(&kept),
                commands: commands.clone(),
                lacking: lacking(&config),
                ..run_settings(&config, &files, options.allowed)
            },
        );
        let settings = triggers::Settings { store: store.clone(), grant: watching, clock: Arc::new(SystemClock) };
        let triggers = Triggers::new(runs.clone(), settings).seeing(sight.clone(), Arc::clone(&desktops));
        let recordings = Recordings::new(store.clone(), Arc::clone(&desktops), recording_settings(&config));
        let rooms = parts::Rooms {
            config: &config,
            desktops: &desktops,
            fetch: &fetch,
            host: &host,
            library: &library,
            ocr: &ocr,
            runs: &runs,
            shells: &shells,
            snapshots: &snapshots,
            store: &store,
            triggers: &triggers,
        };
        services.start(parts::parts(&rooms)).await;
        Ok(Self {
            workflows: runs.workflows(),
            config: Arc::new(config),
            library,
            host,
            runs,
            triggers,
            desktops,
            snapshots,
            recordings,
            services,
            keys,
            secrets,
            audit,
            fetch,
            ocr,
            sight,
            shells,
            system,
            tls,
            store,
            commands,
            kept,
            files,
            started,
            shutdown: CancellationToken::new(),
        })
    }

    /// Goes on with the runs that a dead server left, and serves the API on these until [`App::shutdown`]. They have one port: what runs
    /// does not call the first one, nor any loopback address where it is one.
    pub async fn listen(&self, listeners: impl IntoIterator<Item = TcpListener>) {
        let listeners: Vec<TcpListener> = listeners.into_iter().collect();
        if let Some(Ok(own)) = listeners.first().map(TcpListener::local_addr) {
            self.fetch.never(own);
        }
        shell_history::close(&self.store).await;
        if let Err(failure) = self.runs.recover().await {
            tracing::error!(error = %failure, "the runs that were left behind cannot be read");
        }
        if let Err(error) = self.recordings.recover().await {
            tracing::error!(%error, "the recordings that were left behind cannot be read");
        }
        self.runs.tend(self.shutdown.clone());
        let details = serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id() });
        let deed = audit::Deed { actor: "server".to_owned(), action: "server.start".to_owned(), target: None, details };
        self.audit.note(deed, audit::Outcome::Ok);
        tokio::spawn(Arc::clone(&self.audit).keep(self.shutdown.clone()));
        let state = State::new(Parts {
            config: Arc::clone(&self.config),
            grant: Grant::new(vec![Permissions::all()], self.files.clone())
                .keeping(Arc::clone(&self.kept))
                .with_commands(self.commands.clone()),
            keys: Arc::clone(&self.keys),
            secrets: Arc::clone(&self.secrets),
            audit: Arc::clone(&self.audit),
            ocr: Arc::clone(&self.ocr),
            sight: self.sight.clone(),
            shells: Arc::clone(&self.shells),
            system: Arc::clone(&self.system),
            library: Arc::clone(&self.library),
            runs: self.runs.clone(),
            workflows: self.workflows.clone(),
            triggers: self.triggers.clone(),
            desktops: Arc::clone(&self.desktops),
            snapshots: self.snapshots.clone(),
            recordings: self.recordings.clone(),
            node_configs: self.runs.node_configs(),
            services: Arc::clone(&self.services),
            host: Arc::clone(&self.host),
            started: self.started,
            shutdown: self.shutdown.clone(),
        });
        api::serve(listeners, api::door(state), self.tls.clone(), self.config.server.max_connections, self.shutdown.clone()).await;
    }

    /// The server's end, for whoever should end with it.
    pub fn ending(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Ends everything: no new requests, streams end, runs that go on are put down for the next start (or `interrupted`), the journal is written, the desktop of our
    /// own is closed.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        // What would start now would be stopped at once.
        self.triggers.disarm().await;
        self.runs.shutdown().await;
        self.recordings.shutdown().await;
        // While the database still takes something: it rests with the services.
        if let Err(error) = self.audit.sign().await {
            tracing::error!(%error, "the end of the audit log is not signed");
        }
        self.services.stop().await;
        self.host.settled().await;
        self.host.shutdown();
        self.desktops.shutdown();
        self.store.close();
    }
}

/// The API keys of the data folder, for whoever starts nothing else: `trae keys`. The folder is made if it is not there.
///
/// # Errors
/// A data folder that cannot be written, a database that cannot be read.
pub fn keys(config: &Config) -> Result<Keys, Failure> {
    prepare(&config.storage.data_dir)?;
    open_keys(config, Store::open(&config.storage.data_dir.join("trae.db"))?)
}

/// The secrets of the data folder, for whoever starts nothing else: `trae secrets`. The folder is made if it is not there.
///
/// # Errors
/// As [`keys`].
pub fn secrets(config: &Config) -> Result<Vault, Failure> {
    let data = &config.storage.data_dir;
    prepare(data)?;
    Ok(Vault::new(Store::open(&data.join("trae.db"))?, secrets::settings(config, data)))
}

/// The audit log of the data folder, for whoever starts nothing else: `trae audit`. The folder is made if it is not there.
///
/// # Errors
/// As [`keys`].
pub fn audit(config: &Config) -> Result<Audit, Failure> {
    let data = &config.storage.data_dir;
    prepare(data)?;
    Ok(Audit::open(Store::open(&data.join("trae.db"))?, data)?)
}

/// The runs of the data folder, for whoever only looks at them: nothing can be run, and nothing is started. The folder is made if it is
/// not there.
///
/// # Errors
/// As [`keys`].
pub fn history(config: &Config) -> Result<Runs, Failure> {
    let files = prepare(&config.storage.data_dir)?;
    let store = Store::open(&config.storage.data_dir.join("trae.db"))?;
    let programs = Arc::new(Programs::new(Arc::new(Library::open(script_settings(config)))));
    Ok(Runs::new(store, Arc::new(Nobody), programs, run_settings(config, &files, Permissions::default())))
}

/// Runs nothing.
struct Nobody;

impl runs::Runner for Nobody {
    fn run(&self, _: Job) -> BoxFuture<'_, Outcome> {
        let failure = Failure::new(Kind::ServiceUnavailable, "nothing is run by who only looks at the record");
        Box::pin(async { Outcome::Failed(failure.into()) })
    }
}

/// The first script folder of the data folder, for whoever starts nothing else: `trae new`. It is made if it is not there.
///
/// # Errors
/// A data folder that cannot be written.
pub fn script_folder(config: &Config) -> Result<PathBuf, Failure> {
    prepare(&config.storage.data_dir)?;
    Ok(config.storage.data_dir.join("scripts"))
}

fn open_keys(config: &Config, store: Store) -> Result<Keys, Failure> {
    let configured = config.security.jwt_secret_key.as_ref().map(|secret| secret.0.as_str());
    Ok(Keys::open(store, configured, &config.storage.data_dir)?)
}

/// The host, as `runs` wants it.
struct HostRunner(Arc<Host>);

impl runs::Runner for HostRunner {
    fn run(&self, job: Job) -> BoxFuture<'_, Outcome> {
        Box::pin(self.0.run(job))
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.settled())
    }
}

/// Makes the data folder: private, since it holds what people typed and read. Gives the folder for files.
fn prepare(data: &Path) -> Result<PathBuf, Failure> {
    let cannot = |path: &Path, error: std::io::Error| {
        let message =
            format!("the data folder {} cannot be written: {error}; free space there, or set DATA_DIR to another folder", path.display());
        Failure::new(Kind::StorageFull, message)
    };
    let scripts = data.join("scripts");
    let fresh = !scripts.exists();
    for folder in [data.to_path_buf(), data.join("files"), scripts.join("nodes")] {
        std::fs::create_dir_all(&folder).map_err(|error| cannot(&folder, error))?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700)).map_err(|error| cannot(data, error))?;
    }
    if fresh {
        for (path, source) in script::starters() {
            let path = scripts.join(path);
            std::fs::write(&path, source).map_err(|error| cannot(&path, error))?;
        }
    }
    data.join("files").canonicalize().map_err(|error| cannot(data, error))
}

fn ocr_settings(config: &Config) -> ocr::Settings {
    let config::Ocr { languages, confidence_threshold, timeout, models } = &config.ocr;
    let (languages, models) = (languages.clone(), models.clone());
    ocr::Settings { languages, timeout: *timeout, confidence_threshold: *confidence_threshold, models }
}

fn desktop_settings(config: &Config) -> Result<desktop::Settings, Failure> {
    let mode = match config.desktop.mode {
        DisplayMode::Auto => desktop::Mode::Auto,
        DisplayMode::Local => desktop::Mode::Local,
        DisplayMode::Virtual => desktop::Mode::Virtual,
        DisplayMode::None => desktop::Mode::None,
    };
    let corner = config.desktop.emergency_corner.map(|corner| match corner {
        config::Corner::TopLeft => Corner::TopLeft,
        config::Corner::TopRight => Corner::TopRight,
        config::Corner::BottomLeft => Corner::BottomLeft,
        config::Corner::BottomRight => Corner::BottomRight,
    });
    let hot_key = config.desktop.emergency_hotkey.as_deref().map(Shortcut::parse).transpose().map_err(|error| {
        Failure::new(Kind::ValidationError, format!("EMERGENCY_HOTKEY: {error}; write it like ctrl+alt+shift+esc, or none"))
    })?;
    let config::Desktop { virtual_size, ref virtual_startup, control_idle: idle, emergency_pause: pause, max_targets, max_size, .. } =
        config.desktop;
    let control = desktop::control::Settings { idle, pause, hot_key, corner };
    Ok(desktop::Settings { mode, virtual_size, virtual_startup: virtual_startup.clone(), max_targets, max_size, control })
}

fn snapshot_settings(config: &Config) -> snapshots::Settings {
    let folder = config.storage.data_dir.join("snapshots");
    snapshots::Settings { folder, max_age: config.snapshots.max_age, max_total: config.snapshots.max_total }
}

fn recording_settings(config: &Config) -> recordings::Settings {
    let config::Recordings { max_bytes, max_age, max_total } = config.recordings;
    recordings::Settings { folder: config.storage.data_dir.join("recordings"), max_bytes, max_age, max_total }
}

fn run_settings(config: &Config, files: &Path, allowed: Permissions) -> runs::Settings {
    let config::Runs { max, max_queued, kept, kept_for, .. } = config.runs;
    let versions_kept = config.storage.versions_kept;
    let script_approval = config.storage.script_approval;
    runs::Settings { max_runs: max, max_queued, kept, kept_for, versions_kept, script_approval, ..runs::Settings::new(files, allowed) }
}

/// Which commands may be started.
///
/// # Errors
/// A pattern of `SHELL_ALLOW` that cannot be held to.
pub fn commands(config: &Config) -> Result<Commands, Failure> {
    let wrong = |reason| Failure::new(Kind::ValidationError, format!("SHELL_ALLOW: {reason}"));
    Commands::only(&config.shell.allow).map_err(wrong)
}

/// What runs may do at most, as the settings say.
///
/// # Errors
/// A text of `RUN_PERMISSIONS` that is no manifest.
pub fn allowed(config: &Config) -> Result<Permissions, Failure> {
    #[derive(serde::Deserialize)]
    struct Inline {
        all: Permissions,
    }
    let Some(text) = config.security.run_permissions.as_deref().map(str::trim) else { return Ok(Permissions::all()) };
    let read =
        if text.starts_with('{') { toml::from_str(&format!("all = {text}")).map(|Inline { all }| all) } else { toml::from_str(text) };
    read.map_err(|error: toml::de::Error| {
        let message = format!(
            "RUN_PERMISSIONS: {}; write what runs may do as [permissions] of a script does: {{ screen = true, shell = [\"git\"] }}",
            error.message()
        );
        Failure::new(Kind::ValidationError, message)
    })
}

/// What of the sandbox is missing here: learnt once, as no kernel gains or loses it.
fn lacking(config: &Config) -> Option<String> {
    if !config.shell.sandbox {
        return Some("SHELL_SANDBOX=false: leave it out, so that commands are held".to_owned());
    }
    Sandbox { landlock: sandbox::try_paths().ok(), seccomp: sandbox::try_calls().is_ok() }.lacks()
}

/// What the server keeps for itself, beside the folder of files.
fn kept(config: &Config) -> Arc<Kept> {
    let own = std::iter::once(config.storage.data_dir.clone()).chain(config.security.secrets_identity.clone());
    Arc::new(Kept { own: own.collect(), scripts: config.storage.script_dirs.clone() }.resolved())
}

/// Whose addresses may be private: whoever can reach a server that others reach, too, is not to reach what lies behind it.
fn private_hosts(config: &Config) -> fetch::Private {
    let ours_alone = config.server.host.is_loopback() && !config.security.api_key_enabled;
    if ours_alone { fetch::Private::All } else { fetch::Private::Of(config.security.http_private_hosts.clone().into()) }
}

/// The shells by name, as command lines, and where they begin.
fn shell_settings(config: &Config, files: &Path) -> shell::Settings {
    let set = &config.shell;
    let named = |name: &str, line: &Vec<String>| (name.to_owned(), line.clone());
    shell::Settings {
        shells: BTreeMap::from([
            named("bash", &set.bash),
            named("sh", &set.sh),
            named("zsh", &set.zsh),
            named("fish", &set.fish),
            named("powershell", &set.powershell),
            named("cmd", &set.cmd),
        ]),
        terminals: BTreeMap::from([
            named("bash", &set.bash_interactive),
            named("sh", &set.sh_interactive),
            named("zsh", &set.zsh_interactive),
            named("fish", &set.fish_interactive),
            named("powershell", &set.powershell_interactive),
            named("cmd", &set.cmd_interactive),
        ]),
        max_sessions: set.max_sessions,
        confine: set.sandbox,
        directory: files.to_owned(),
        private: config.storage.data_dir.join("sessions"),
        recordings: config.storage.data_dir.join("recordings"),
        record: set.record,
    }
}

fn script_settings(config: &Config) -> script::Settings {
    let own = config.storage.data_dir.join("scripts");
    let folders = std::iter::once(own).chain(config.storage.script_dirs.iter().cloned()).collect();
    script::Settings { folders, reload: config.storage.reload }
}
