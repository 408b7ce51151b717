//! Values that are too large to stand where they belong: what a reader sees instead of them, and how it gets them.

use serde::Serialize;
use utoipa::ToSchema;

use super::Runs;
use crate::error::Failure;
use crate::host::protocol::Json;
use crate::store::runs::{ImageRow, RunRow, WholeRun};
use crate::store::{Apart, Content};

/// Bytes of large values that stand in a run's record all the same; the others are named there.
pub(super) const SHOWN_WHOLE: u64 = 4 << 20;

/// Stands for a value that is too large to be shown here.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ValueRef {
    /// Where it is: `GET` it there.
    #[serde(rename = "$ref")]
    pub url: String,
    /// Bytes of its JSON.
    pub bytes: u64,
    /// SHA-256 of its JSON, in hex.
    pub sha256: String,
}

/// Pictures of the screen around what a step did with mouse and keyboard. Null where there was no time to keep one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "before": "/api/runs/0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04/images/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "after": "/api/runs/0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04/images/60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
}))]
pub struct StepImages {
    /// Before its first use of them.
    pub before: Option<String>,
    /// After its last.
    pub after: Option<String>,
}

/// What lies beside a run's record.
#[derive(Debug, Clone)]
pub enum RunFile {
    /// A value's JSON.
    Value(Vec<u8>),
    /// A picture, as JPEG.
    Image(Vec<u8>),
}

impl Runs {
    /// A large value or a picture of a run, by its SHA-256. None where the run has no such thing.
    ///
    /// # Errors
    /// Where the database or the file cannot be read.
    pub async fn file(&self, run_id: &str, sha256: &str) -> Result<Option<RunFile>, Failure> {
        let found = self.inner.store.run_file(run_id, sha256).await?;
        Ok(found.map(|(content, bytes)| match content {
            Content::Value => RunFile::Value(bytes),
            Content::Image => RunFile::Image(bytes),
        }))
    }
}

/// Puts in the place of a stand-in where the value is.
fn show(value: &mut Json, url: impl FnOnce(&str) -> String) {
    if let Some(Apart { sha256, bytes }) = Apart::of(value) {
        let shown = ValueRef { url: url(&sha256), bytes, sha256 };
        if let Ok(shown) = serde_json::value::to_raw_value(&shown) {
            *value = shown;
        }
    }
}

fn url_of(run_id: &str, sha256: &str) -> String {
    format!("/api/runs/{run_id}/values/{sha256}")
}

/// The run as its readers see it.
pub(super) fn shown(mut whole: WholeRun) -> WholeRun {
    let run_id = whole.run.run_id.clone();
    whole.values_mut().for_each(|value| show(value, |sha256| url_of(&run_id, sha256)));
    whole
}

/// The run as it stands in a folder of its own.
pub(super) fn relative(mut whole: WholeRun) -> WholeRun {
    whole.values_mut().for_each(|value| show(value, |sha256| format!("values/{sha256}.json")));
    whole
}

/// A run in a list.
pub(super) fn shown_in_list(mut row: RunRow) -> RunRow {
    let RunRow { run_id, parameters, result, .. } = &mut row;
    std::iter::once(parameters).chain(result).for_each(|value| show(value, |sha256| url_of(run_id, sha256)));
    row
}

impl StepImages {
    /// Names them as they lie in a folder.
    pub(super) fn make_relative(&mut self) {
        for url in [&mut self.before, &mut self.after].into_iter().flatten() {
            if let Some(hash) = url.rsplit('/').next() {
                *url = format!("images/{hash}.jpg");
            }
        }
    }
}

/// The pictures of one try of a step. None where there are none.
pub(super) fn images_of(run_id: &str, images: &[ImageRow], step_id: &str, attempt: u32) -> Option<StepImages> {
    let mut found = None;
    for image in images.iter().filter(|image| image.step_id == step_id && image.attempt == attempt) {
        let urls: &mut StepImages = found.get_or_insert_default();
        let url = image.hash.as_ref().map(|hash| format!("/api/runs/{run_id}/images/{hash}"));
        if image.moment == "before" { urls.before = url } else { urls.after = url }
    }
    found
}
