//! Snapshots: pictures of the screen that are kept, read and clicked in.
//!
//! A snapshot is a record in the database and an image in the data folder, both or neither: the image is on the disk before the record
//! is committed, goes before the record does, and whatever a crash left between the two is put in order at the start
//! ([`Snapshots::start`]). Old ones make room for new ones. What is read ([`Snapshots::read`]) and where is clicked
//! ([`Snapshots::click`]) is said in the picture's own pixels; a named set of both is a template. How text is read, and how a click
//! reaches the desktop, is the business of other rooms.

mod clicking;
mod error;
mod images;
mod reading;
mod templates;
mod words;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::sync::RwLock;

use crate::desktop::Desktops;
use crate::ocr::Ocr;
use crate::policy::Grant;
use crate::screen::{Capture, ImageFormat};
use crate::store::snapshots::SnapshotRow;
use crate::store::{self, Store};

pub use error::Error;
use images::{Claim, FileName, Images, is_id};
pub use words::*;

/// Where images lie, and how long.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Their folder.
    pub folder: PathBuf,
    /// Older ones go; none stay for ever.
    pub max_age: Option<Duration>,
    /// Bytes of all images together; the oldest go first, the newest never.
    pub max_total: Option<u64>,
}

/// All snapshots. Clones share them.
#[derive(Clone)]
pub struct Snapshots {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    desktops: Arc<Desktops>,
    ocr: Arc<Ocr>,
    images: Images,
    settings: Settings,
    /// Held while the snapshots are in use, so that no other process puts the folder in order meanwhile.
    claim: Mutex<Option<Claim>>,
    /// Held for writing by whoever puts records and images in order: what is being made or removed would look like an orphan.
    order: RwLock<()>,
}

/// An image as it is kept.
#[derive(Debug, Clone)]
pub struct Image {
    /// The file.
    pub bytes: Vec<u8>,
    /// How it is written down.
    pub format: ImageFormat,
}

impl Snapshots {
    /// Snapshots of what is on `desktops`.
    pub fn new(store: Store, desktops: Arc<Desktops>, ocr: Arc<Ocr>, settings: Settings) -> Self {
        let images = Images::new(settings.folder.clone());
        Self { inner: Arc::new(Inner { store, desktops, ocr, images, settings, claim: Mutex::default(), order: RwLock::default() }) }
    }

    /// Makes the folder, removes images without a record and records without an image, and those that are too old or too many.
    /// Another process that uses the same folder, such as a server beside a command, keeps orphans from being told from what it is
    /// just making: they are left for the next start then.
    ///
    /// # Errors
    /// Where the folder or the database cannot be read or written.
    pub async fn start(&self) -> Result<(), Error> {
        let _alone = self.inner.order.write().await;
        // That of an earlier start would stand in its own way.
        drop(self.claim().take());
        let mut claim = self.on_images(Images::claim).await?;
        if claim.alone {
            self.put_in_order().await?;
            claim.share();
        }
        *self.claim() = Some(claim);
        self.keep_to_limits().await
    }

    /// Removes images without a record and records without an image.
    async fn put_in_order(&self) -> Result<(), Error> {
        let mut records = Vec::new();
        for (id, format) in self.inner.store.all_snapshots().await? {
            records.push((file_name(&id, &format)?, id));
        }
        let compared = self.on_images(move |images| {
            let mut orphans: HashSet<FileName> = images.names()?.into_iter().collect();
            let mut gone = Vec::new();
            for (name, id) in records {
                if images.holds(&name) {
                    orphans.remove(&name);
                } else {
                    gone.push(id);
                }
            }
            Ok((orphans, gone))
        });
        let (orphans, gone) = compared.await?;
        for id in &gone {
            self.inner.store.delete_snapshot(id).await?;
        }
        if !gone.is_empty() {
            let shown = gone.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
            tracing::warn!(count = gone.len(), snapshots = shown, "the images of these snapshots are gone; their records were removed");
        }
        if !orphans.is_empty() {
            tracing::warn!(count = orphans.len(), "images without a snapshot were removed");
        }
        self.on_images(move |images| orphans.iter().try_for_each(|name| images.remove(name))).await
    }

    /// Returns once nothing is being made or removed.
    pub async fn stop(&self) {
        let _alone = self.inner.order.write().await;
        drop(self.claim().take());
    }

    fn claim(&self) -> MutexGuard<'_, Option<Claim>> {
        self.inner.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a picture and keeps it.
    ///
    /// # Errors
    /// What the screen says; `PERMISSION_DENIED`; `STORAGE_FULL`. Nothing is kept then.
    pub async fn create(&self, grant: &Grant, request: SnapshotRequest) -> Result<Snapshot, Error> {
        grant.screen()?;
        // Its zones may be read next.
        self.inner.ocr.warm();
        let this = self.clone();
        // Goes on to its end where the caller goes away, lest an image be left without its record.
        to_its_end(async move { this.take(request).await }).await
    }

    async fn take(&self, request: SnapshotRequest) -> Result<Snapshot, Error> {
        let _order = self.inner.order.read().await;
        let id = uuid::Uuid::now_v7().to_string();
        let SnapshotRequest { monitor, region, quality, format, target } = request;
        let name = FileName::of(&id, format).ok_or(Error::Ended)?;
        let (inner, wanted) = (Arc::clone(&self.inner), target.clone());
        let file = name.clone();
        let shot = blocking(move || {
            let desktop = inner.desktops.get(wanted.as_deref())?;
            let frame = desktop.screen().capture(&Capture { monitor: Some(monitor), region })?;
            let bytes = frame.encode(format, u32::from(quality))?;
            inner.images.write(&file, &bytes)?;
            Ok((frame.width(), frame.height(), bytes.len() as u64))
        });
        let (width, height, size_bytes) = shot.await?;
        let row = SnapshotRow {
            id,
            monitor: i64::try_from(monitor).unwrap_or(i64::MAX),
            region: region.and_then(|region| serde_json::to_string(&region).ok()),
            width,
            height,
            quality: u32::from(quality),
            format: format_name(format).to_owned(),
            size_bytes,
            created_at: Utc::now().timestamp_micros(),
            target,
        };
        if let Err(error) = self.inner.store.create_snapshot(row.clone()).await {
            self.on_images(move |images| images.remove(&name)).await?;
            return Err(error.into());
        }
        if let Err(error) = self.keep_to_limits().await {
            tracing::warn!(%error, "old snapshots could not be removed");
        }
        Ok(snapshot(row))
    }

    /// The ids of all snapshots, newest first, and how many there are.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn list(&self, limit: u32, offset: u32) -> Result<(Vec<String>, u64), Error> {
        Ok(self.inner.store.snapshot_ids(limit, offset).await?)
    }

    /// The record of a snapshot whose image is there.
    ///
    /// # Errors
    /// `NOT_FOUND`, also where its image is gone.
    pub async fn get(&self, id: &str) -> Result<Snapshot, Error> {
        let row = self.row(id).await?;
        let name = file_name(&row.id, &row.format)?;
        if !self.on_images(move |images| Ok(images.holds(&name))).await? {
            return Err(Error::Gone(row.id));
        }
        Ok(snapshot(row))
    }

    /// The image of a snapshot.
    ///
    /// # Errors
    /// `NOT_FOUND`, also where it is gone or something else stands in its place.
    pub async fn image(&self, id: &str) -> Result<Image, Error> {
        let row = self.row(id).await?;
        self.image_of(&row).await
    }

    /// Removes a snapshot, its image first: its record is what is asked for until nothing is left of it.
    ///
    /// # Errors
    /// `NOT_FOUND`; where the image cannot be removed, nothing is.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        let (this, id) = (self.clone(), id.to_owned());
        to_its_end(async move {
            let _order = this.inner.order.read().await;
            let row = this.row(&id).await?;
            let name = file_name(&row.id, &row.format)?;
            this.on_images(move |images| images.remove(&name)).await?;
            this.inner.store.delete_snapshot(&id).await?;
            Ok(())
        })
        .await
    }

    async fn row(&self, id: &str) -> Result<SnapshotRow, Error> {
        let known = if is_id(id) { self.inner.store.snapshot(id).await? } else { None };
        known.ok_or_else(|| not_found("snapshot", id))
    }

    async fn image_of(&self, row: &SnapshotRow) -> Result<Image, Error> {
        let name = file_name(&row.id, &row.format)?;
        let bytes = self.on_images(move |images| images.read(&name)).await?;
        let bytes = bytes.ok_or_else(|| Error::Gone(row.id.clone()))?;
        Ok(Image { bytes, format: format_of(&row.format) })
    }

    /// Removes what is too old or too much.
    async fn keep_to_limits(&self) -> Result<(), Error> {
        let Settings { max_age, max_total, .. } = self.inner.settings;
        let age = max_age.and_then(|age| i64::try_from(age.as_micros()).ok());
        let before = age.map(|age| Utc::now().timestamp_micros().saturating_sub(age));
        if before.is_none() && max_total.is_none() {
            return Ok(());
        }
        let outdated = self.inner.store.outdated_snapshots(before, max_total).await?;
        if outdated.is_empty() {
            return Ok(());
        }
        tracing::info!(count = outdated.len(), "snapshots past the limits of age or size were removed");
        let names = outdated.iter().map(|row| file_name(&row.id, &row.format)).collect::<Result<Vec<_>, _>>()?;
        self.on_images(move |images| names.iter().try_for_each(|name| images.remove(name))).await
    }

    async fn on_images<T: Send + 'static>(&self, work: impl FnOnce(&Images) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner.images)).await
    }
}

/// Runs what blocks where it holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Ended))
}

/// Runs something to its end, whether or not anybody waits for it.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or(Err(Error::Ended))
}

fn not_found(kind: &'static str, id: &str) -> Error {
    Error::NotFound { kind, id: id.chars().take(128).collect() }
}

fn file_name(id: &str, format: &str) -> Result<FileName, Error> {
    // Only a hand in the database could have put another id there.
    FileName::of(id, format_of(format)).ok_or_else(|| store::Error::Sqlite(format!("{id:?} is no snapshot's id")).into())
}

fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "jpeg",
        ImageFormat::Png => "png",
        ImageFormat::Webp => "webp",
    }
}

fn format_of(name: &str) -> ImageFormat {
    match name {
        "png" => ImageFormat::Png,
        "webp" => ImageFormat::Webp,
        _ => ImageFormat::Jpeg,
    }
}

/// A moment, as the wire writes it.
fn moment(micros: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn snapshot(row: SnapshotRow) -> Snapshot {
    Snapshot {
        timestamp: moment(row.created_at),
        monitor: usize::try_from(row.monitor).unwrap_or_default(),
        region: row.region.and_then(|region| serde_json::from_str(&region).ok()),
        width: row.width,
        height: row.height,
        quality: row.quality,
        format: format_of(&row.format),
        size_bytes: row.size_bytes,
        target: row.target,
        snapshot_id: row.id,
    }
}
