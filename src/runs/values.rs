//! Values that are too large to stand where they belong: what a reader sees instead of them, and how it gets them.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Runs;
use crate::error::Failure;
use crate::host::protocol::Json;
use crate::host::{Moment, StepPicture};
use crate::store::runs::{ImageRow, NewImage, RunKey, Write};
use crate::store::{Apart, Content, Store};

/// Bytes of large values that stand in a run's record all the same; the others are named there.
pub(super) const SHOWN_WHOLE: u64 = 4 << 20;

/// The word for pictures from before a step used mouse or keyboard.
const BEFORE: &str = "before";

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

/// Puts a picture of a step on record. Where there is no room for it, the run goes on without.
pub(super) fn keep_picture(store: &Store, run: RunKey, picture: StepPicture) {
    let StepPicture { step_id, attempt, moment, jpeg } = picture;
    let moment = match moment {
        Moment::Before => BEFORE,
        Moment::After => "after",
    };
    if let Err(error) = store.write(Write::Image(Box::new(NewImage { run, step_id, attempt, moment, picture: jpeg }))) {
        tracing::warn!(%error, "a picture of a step was not kept");
    }
}

/// Says where a value is.
pub(super) fn at_its_url(run_id: &str, apart: Apart) -> Json {
    at(format!("/api/runs/{run_id}/values/{}", apart.sha256), apart)
}

/// The same within a run's own folder.
pub(super) fn in_its_folder(_run_id: &str, apart: Apart) -> Json {
    at(format!("values/{}.json", apart.sha256), apart)
}

fn at(url: String, Apart { sha256, bytes }: Apart) -> Json {
    serde_json::value::to_raw_value(&ValueRef { url, bytes, sha256 }).unwrap_or_else(|_| RawValue::NULL.to_owned())
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
        if image.moment == BEFORE { urls.before = url } else { urls.after = url }
    }
    found
}
