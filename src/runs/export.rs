//! A run as a folder that can be kept, sent, and read without TRAE.
//!
//! `run.json` is its record, `events.jsonl` its events, one a line, `script.rhai` what ran; large values lie in `values/`, pictures in
//! `images/`, and the record names them from there.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::event::replay;
use super::record::Run;
use super::{Runs, values};
use crate::error::{Failure, Kind};
use crate::host::protocol::Program;
use crate::store::Content;

/// A run, ready to be written down.
#[derive(Debug)]
pub struct Export {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Its path in the folder.
    name: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Text(String),
    File(PathBuf),
}

impl Runs {
    /// The run of that id, as it stands.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn export(&self, run_id: &str) -> Result<Option<Export>, Failure> {
        self.inner.settle().await;
        let store = &self.inner.store;
        let Some(whole) = store.run_to_show(run_id, -1, 0, values::in_its_folder).await? else { return Ok(None) };
        let mut events = String::new();
        for event in replay(whole.clone(), 0) {
            events.push_str(&text(&event)?);
            events.push('\n');
        }
        let mut run = Run::from(whole);
        for step in &mut run.steps {
            step.images.iter_mut().for_each(values::StepImages::make_relative);
        }
        let record = serde_json::to_string_pretty(&run).map_err(|error| unwritable(&error))?;
        let mut entries = vec![entry("run.json", record + "\n"), entry("events.jsonl", events)];
        let program = store.program(run_id).await?.and_then(|program| serde_json::from_str::<Program>(&program).ok());
        entries.extend(program.map(|program| entry("script.rhai", program.source)));
        for file in store.run_files(run_id).await? {
            let name = match file.content {
                Content::Value => format!("values/{}.json", file.hash),
                Content::Image => format!("images/{}.jpg", file.hash),
            };
            entries.push(Entry { name, what: What::File(file.path) });
        }
        Ok(Some(Export { entries }))
    }
}

fn entry(name: &str, text: String) -> Entry {
    Entry { name: name.to_owned(), what: What::Text(text) }
}

fn text(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> Failure {
    Failure::new(Kind::Internal, format!("the run cannot be written as JSON: {error}"))
}

impl Export {
    /// Writes it as a ZIP archive, everything in one folder of that name. Blocks.
    ///
    /// # Errors
    /// Where `to` does not take it.
    pub fn write_zip(&self, folder: &str, to: impl Write) -> io::Result<()> {
        let mut archive = ZipWriter::new_stream(to);
        for Entry { name, what } in &self.entries {
            let options = SimpleFileOptions::default().large_file(true);
            // Pictures are as small as they get.
            let method = if name.ends_with(".jpg") { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
            let mut file = match what {
                What::Text(_) => None,
                What::File(path) => match opened(path)? {
                    Some(file) => Some(file),
                    None => continue,
                },
            };
            archive.start_file(format!("{folder}/{name}"), options.compression_method(method))?;
            match (what, &mut file) {
                (What::Text(text), _) => archive.write_all(text.as_bytes())?,
                (What::File(_), Some(file)) => drop(io::copy(file, &mut archive)?),
                (What::File(_), None) => {}
            }
        }
        archive.finish()?.flush()
    }

    /// Writes it into a folder, which is made; files of the same names are replaced. Blocks.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn write_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for Entry { name, what } in &self.entries {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            match what {
                What::Text(text) => std::fs::write(&path, text)?,
                What::File(from) => {
                    if let Some(mut from) = opened(from)? {
                        io::copy(&mut from, &mut File::create(&path)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A file, unless it went since the record was read.
fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}
