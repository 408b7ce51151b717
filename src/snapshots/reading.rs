//! Reading zones of a snapshot, on all cores.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use image::{GrayImage, ImageReader, Limits};
use tokio_util::sync::CancellationToken;

use super::words::{MOST, OcrAnswer, OcrRequest, Zone, ZoneResult, ZoneWord};
use super::{Error, Image, Snapshots, blocking};
use crate::ocr::{self, Engine, Ocr, Reading};
use crate::screen::ImageFormat;
use crate::store::snapshots::SnapshotRow;

/// Bytes of the name of a zone.
const LONGEST_NAME: usize = 64;

impl Snapshots {
    /// Reads the zones of a snapshot. All of them together may take as long as one reading.
    ///
    /// # Errors
    /// `NOT_FOUND`; `VALIDATION_ERROR` with the place of each zone that is not one; `SERVICE_UNAVAILABLE` for an engine or a language
    /// that is not there; `TIMEOUT`.
    pub async fn read(&self, request: OcrRequest, cancel: &CancellationToken) -> Result<OcrAnswer, Error> {
        let started = Instant::now();
        let OcrRequest { snapshot_id, zones, engine, preprocess } = request;
        count("/zones", zones.len())?;
        refused(zone_faults(&zones, "/zones", false))?;
        let row = self.row(&snapshot_id).await?;
        refused(outside(&zones, &row).into_iter().map(|(index, message)| (format!("/zones/{index}"), message)).collect())?;
        let image = self.image_of(&row).await?;
        let ocr = std::sync::Arc::clone(&self.inner.ocr);
        let cancel = cancel.child_token();
        // Whoever goes away takes the reading along.
        let _gone = cancel.clone().drop_guard();
        let reading = {
            let cancel = cancel.clone();
            blocking(move || {
                readable(&ocr, &zones, engine)?;
                timely(&ocr, &zones)?;
                let picture = decoded(&row, &image)?;
                let usual = Reading { engine: Some(engine), preprocess: Some(preprocess), ..Reading::default() };
                read_all(&ocr, &picture, &zones, &usual, started, &cancel)
            })
        };
        let results: Vec<(ZoneResult, String)> = reading.await?;
        let engine = engine_of(&results);
        let results = results.into_iter().map(|(result, _)| result).collect();
        Ok(OcrAnswer { success: true, snapshot_id, engine, results, execution_time: started.elapsed().as_secs_f64() })
    }
}

/// Refuses an empty list, and one that is too long.
pub(super) fn count(path: &str, there: usize) -> Result<(), Error> {
    match there {
        0 => Err(Error::invalid(path, "the list is empty: give at least one")),
        1..=MOST => Ok(()),
        _ => Err(Error::invalid(path, format!("there are {there}; at most {MOST} are possible at once"))),
    }
}

/// Fails if there is anything to complain about.
pub(super) fn refused(faults: Vec<(String, String)>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults.into_iter().take(100).collect())) }
}

/// What is wrong with zones whatever the picture; `named` where one may have a name in place of numbers.
pub(super) fn zone_faults(zones: &[Zone], path: &str, named: bool) -> Vec<(String, String)> {
    let mut faults = twice(zones.iter().map(|zone| zone.id.as_str()), path);
    for (index, zone) in zones.iter().enumerate() {
        let mut wrong = |field: &str, message: &str| faults.push((format!("{path}/{index}/{field}"), message.to_owned()));
        let numbers = [("x", zone.x), ("y", zone.y), ("width", zone.width), ("height", zone.height)];
        match &zone.zone {
            Some(_) if !named => wrong("zone", "a snapshot has no zones with names: give x, y, width and height"),
            Some(name) if name.is_empty() || name.len() > LONGEST_NAME => wrong("zone", "a zone's name has 1 to 64 characters"),
            Some(_) => {
                let given = numbers.into_iter().filter(|(_, number)| number.is_some());
                given.for_each(|(field, _)| wrong(field, "the zone of that name says where it is: leave this out, or zone"));
            }
            None => {
                let missing = numbers.into_iter().filter(|(_, number)| number.is_none());
                missing.for_each(|(field, _)| wrong(field, "say where the zone is: x, y, width and height"));
            }
        }
        for (field, length) in [("width", zone.width), ("height", zone.height)] {
            if length == Some(0) {
                wrong(field, "give at least 1 pixel");
            }
        }
        if !(0.0..=1.0).contains(&zone.confidence_threshold) {
            wrong("confidence_threshold", "give a number from 0 to 1");
        }
        if let Some(Err(malformed)) = zone.language.as_deref().map(ocr::check_language) {
            wrong("language", &malformed.to_string());
        }
    }
    faults
}

/// The ids that were there already.
pub(super) fn twice<'a>(ids: impl Iterator<Item = &'a str>, path: &str) -> Vec<(String, String)> {
    let mut first = BTreeMap::new();
    let again = ids.enumerate().filter_map(|(index, id)| {
        let earlier = first.insert(id, index)?;
        Some((format!("{path}/{index}/id"), format!("this id is taken by {path}/{earlier} already")))
    });
    again.collect()
}

/// The zones that do not lie in the picture, each with its number.
pub(super) fn outside(zones: &[Zone], row: &SnapshotRow) -> Vec<(usize, String)> {
    let lies_within = |start: u32, length: u32, all: u32| u64::from(start) + u64::from(length) <= u64::from(all);
    let fault = |zone: &Zone| match zone.part() {
        None => Some(format!(
            "the zone {:?} has a name, and is where it is on the screen now: leave out snapshot_id, or give it x, y, width and height",
            zone.id
        )),
        Some((x, y, width, height)) => {
            let inside = lies_within(x, width, row.width) && lies_within(y, height, row.height);
            (!inside).then(|| {
                format!(
                    "the zone {:?} of {width}×{height} at ({x}, {y}) does not lie in the snapshot, which is {}×{}: choose one inside it",
                    zone.id, row.width, row.height
                )
            })
        }
    };
    zones.iter().enumerate().filter_map(|(index, zone)| Some((index, fault(zone)?))).collect()
}

/// Whether every engine and every language is there, before any is read.
fn readable(ocr: &Ocr, zones: &[Zone], engine: Engine) -> Result<(), Error> {
    let mut asked: Vec<(Engine, Option<&str>)> = Vec::new();
    for zone in zones {
        let ask = (zone.engine.unwrap_or(engine), zone.language.as_deref());
        if !asked.contains(&ask) {
            asked.push(ask);
        }
    }
    for (engine, language) in asked {
        if matches!(engine, Engine::Onnx | Engine::Easyocr) {
            ocr.neural()?;
        }
        ocr.language(language, engine)?;
    }
    Ok(())
}

/// Whether each zone may take the time that it says.
fn timely(ocr: &Ocr, zones: &[Zone]) -> Result<(), Error> {
    let faults = zones.iter().enumerate().filter_map(|(index, zone)| {
        let fault = ocr.time(zone.timeout).err()?;
        Some((format!("/zones/{index}/timeout"), fault.to_string()))
    });
    refused(faults.collect())
}

/// The one engine that read all zones, or `auto`.
fn engine_of(results: &[(ZoneResult, String)]) -> String {
    let first = results.first().map_or("tesseract", |(_, engine)| engine);
    if results.iter().all(|(_, engine)| engine == first) { first.to_owned() } else { "auto".to_owned() }
}

fn decoded(row: &SnapshotRow, image: &Image) -> Result<GrayImage, Error> {
    let damaged = |reason: String| Error::Damaged { id: row.id.clone(), reason };
    let format = match image.format {
        ImageFormat::Jpeg => image::ImageFormat::Jpeg,
        ImageFormat::Png => image::ImageFormat::Png,
        ImageFormat::Webp => image::ImageFormat::WebP,
    };
    let mut reader = ImageReader::with_format(Cursor::new(&image.bytes), format);
    // A file that was put in the image's place must not unfold into gigabytes.
    let mut limits = Limits::default();
    limits.max_image_width = Some(row.width);
    limits.max_image_height = Some(row.height);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| damaged(error.to_string()))?.into_luma8();
    if picture.dimensions() != (row.width, row.height) {
        return Err(damaged(format!(
            "it is {}×{} pixels large instead of {}×{}",
            picture.width(),
            picture.height(),
            row.width,
            row.height
        )));
    }
    Ok(picture)
}

/// Reads all zones, as many at once as there are cores. The first that fails stops the others.
fn read_all(
    ocr: &Ocr,
    picture: &GrayImage,
    zones: &[Zone],
    usual: &Reading,
    started: Instant,
    cancel: &CancellationToken,
) -> Result<Vec<(ZoneResult, String)>, Error> {
    let deadline = started + ocr.timeout();
    let stop = cancel.child_token();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, (ZoneResult, String))>> = Mutex::new(Vec::with_capacity(zones.len()));
    let failed: Mutex<Option<ocr::Error>> = Mutex::new(None);
    let work = || {
        while !stop.is_cancelled() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(zone) = zones.get(index) else { return };
            match read_one(ocr, picture, zone, usual, deadline, &stop) {
                Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result)),
                Err(error) => {
                    // The others end because of this one, and say so later.
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    stop.cancel();
                    return;
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(zones.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    if cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn read_one(
    ocr: &Ocr,
    picture: &GrayImage,
    zone: &Zone,
    usual: &Reading,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Result<(ZoneResult, String), ocr::Error> {
    // That they say where they are was checked.
    let (x, y, width, height) = zone.part().unwrap_or_default();
    let cut = image::imageops::crop_imm(picture, x, y, width, height).to_image();
    let text = ocr.read_until(&cut, &zone.reading().or(usual.clone()), deadline, cancel)?;
    let word = |word: ocr::Word| ZoneWord {
        text: word.text,
        confidence: word.confidence,
        x: i64::from(word.x) + i64::from(x),
        y: i64::from(word.y) + i64::from(y),
        width: word.width,
        height: word.height,
    };
    let result = ZoneResult {
        zone_id: zone.id.clone(),
        name: zone.name.clone(),
        accepted: text.accepted,
        text: text.text,
        confidence: text.confidence,
        language: text.language,
        words: text.words.into_iter().map(word).collect(),
        execution_time: text.execution_time,
    };
    Ok((result, text.engine))
}
