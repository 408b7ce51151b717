//! The log: lines for people or programs, on standard error and in a file that is put aside when it is full.
//!
//! Rooms write through `tracing`; how much of it is kept, and what a line looks like, is decided here. Lines are written by a thread of
//! their own, so that nobody waits for a disk or a terminal; where they come faster than that, the newest are dropped. On that thread
//! each line is also cleaned ([`clean`]): what [`crate::mask`] knows to be secret is masked, control characters are made visible.

mod clean;
mod rolling;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logging};
use crate::error::{Classify, Kind};
use clean::clean;
use rolling::Rolling;

/// So many lines may wait to be written.
const WAITING: usize = 32_768;

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the log {} cannot be written: {source}; free space there, or set LOG_FILE to another file or to none", path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        Kind::StorageFull
    }
}

/// The log, as long as this lives: what waits is written when it goes.
pub struct Log {
    _guard: WorkerGuard,
}

/// For a server: standard error and the file that the settings name.
///
/// # Errors
/// A file that cannot be written.
pub fn to_file(logging: &Logging) -> Result<Log, Error> {
    let open = |path: &PathBuf| Rolling::open(path, logging.max_bytes, logging.keep).map_err(|source| Error { path: path.clone(), source });
    let file = logging.file.as_ref().map(open).transpose()?;
    Ok(start(&logging.level, logging.format, file))
}

/// For a command: standard error only, warnings and worse unless `level` says otherwise.
pub fn to_stderr(logging: &Logging, level: Option<&str>) -> Log {
    start(level.unwrap_or("warn"), logging.format, None)
}

fn start(level: &str, format: LogFormat, file: Option<Rolling>) -> Log {
    let colours =
        format == LogFormat::Text && std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let output = Output { colours, file };
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(WAITING).thread_name("log").finish(output);
    let filter = EnvFilter::try_new(directives(level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    // Only a second subscriber could fail, and there is none.
    let _ = match format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    Log { _guard: guard }
}

/// A bare level is that of TRAE; libraries say no more than `info`, for some of them show what they carry.
fn directives(level: &str) -> String {
    match level.to_ascii_lowercase().as_str() {
        level @ ("debug" | "trace") => format!("info,trae={level}"),
        _ => level.to_owned(),
    }
}

/// Where lines end up.
struct Output {
    colours: bool,
    file: Option<Rolling>,
}

impl Write for Output {
    /// One line, as the writing thread gets it.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let clean = clean(line);
        if let Some(file) = &mut self.file {
            // A disk that is full for a while takes no line that is written meanwhile, and nothing else with it.
            let _ = file.write_all(&clean);
        }
        let mut stderr = std::io::stderr().lock();
        let _ = if self.colours { stderr.write_all(&coloured(&clean)) } else { stderr.write_all(&clean) };
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Rolling::flush)
    }
}

/// The line with its level in colour.
fn coloured(line: &[u8]) -> Vec<u8> {
    const LEVELS: [(&str, &str); 5] = [("ERROR", "31"), (" WARN", "33"), (" INFO", "32"), ("DEBUG", "34"), ("TRACE", "35")];
    let head = &line[..line.len().min(40)];
    let found = |level: &str| head.windows(level.len()).position(|window| window == level.as_bytes());
    let first = LEVELS.iter().filter_map(|(level, colour)| Some((found(level)?, level, colour))).min();
    let Some((at, level, colour)) = first else { return line.to_vec() };
    [&line[..at], format!("\u{1b}[{colour}m{level}\u{1b}[0m").as_bytes(), &line[at + level.len()..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_not_that_of_every_library() {
        assert_eq!(directives("DEBUG"), "info,trae=debug");
        assert_eq!(directives("warn"), "warn");
        assert_eq!(directives("info,hyper=trace"), "info,hyper=trace");
    }

    #[test]
    fn the_level_is_coloured_and_nothing_else() {
        let line = coloured(b"2026-01-01T00:00:00Z  WARN an ERROR\n");
        assert_eq!(String::from_utf8(line).unwrap(), "2026-01-01T00:00:00Z \u{1b}[33m WARN\u{1b}[0m an ERROR\n");
    }
}
