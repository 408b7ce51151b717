//! What a script reads and looks for on the screen, or in a picture that it took.

use image::{Rgba, RgbaImage};

use super::broker::{Broker, blocking, json};
use super::protocol::Json;
use crate::error::{Failure, Kind};
use crate::files;
use crate::ocr::Reading;
use crate::policy::Access;
use crate::screen::Frame;
use crate::sight::{PictureSearch, StillSearch, TextSearch, Zone, difference};
use crate::vision::Needle;

impl Broker {
    /// Reads a part of the screen, or a picture.
    pub(super) async fn read_text(
        &self,
        image: Option<u64>,
        zone: Zone,
        reading: Reading,
        target: Option<String>,
    ) -> Result<Json, Failure> {
        self.grant().screen()?;
        let Some(image) = image else {
            let desktop = self.desktop_named(target.as_deref()).await?;
            return json(&self.capabilities.sight.read(&desktop, zone, reading, self.cancel()).await?);
        };
        let frame = self.image(image)?;
        let (frame, corner) = match zone.part_of_picture()? {
            Some(part) => (frame.crop(part)?, (part.x, part.y)),
            None => (frame, (0, 0)),
        };
        let (ocr, cancel) = (std::sync::Arc::clone(&self.capabilities.ocr), self.cancel().clone());
        let mut text = blocking(move || Ok::<_, Failure>(ocr.read(&frame.to_gray(), &reading, &cancel)?)).await?;
        for word in &mut text.words {
            word.x = word.x.saturating_add(corner.0);
            word.y = word.y.saturating_add(corner.1);
        }
        json(&text)
    }

    /// Looks for a text on the screen, or in a picture.
    pub(super) async fn find_text(&self, image: Option<u64>, search: TextSearch, explain: bool) -> Result<Json, Failure> {
        self.grant().screen()?;
        let sight = &self.capabilities.sight;
        match image {
            Some(image) => json(&sight.find_text_in(self.image(image)?, search, self.cancel()).await?),
            None => {
                let desktop = self.desktop_named(search.target.as_deref()).await?;
                let explain = explain && !search.gone;
                let mut sought = sight.find_text(&desktop, search, self.cancel()).await?;
                if let Some(part) = sought.telling().filter(|_| explain) {
                    sought.image = sight.shown(&desktop, part, self.cancel()).await;
                }
                json(&sought)
            }
        }
    }

    /// Looks for a picture on the screen, or in another one.
    pub(super) async fn find_picture(
        &self,
        needle: Needle,
        image: Option<u64>,
        search: PictureSearch,
        explain: bool,
    ) -> Result<Json, Failure> {
        let sight = &self.capabilities.sight;
        match image {
            Some(image) => json(&sight.find_picture_in(self.image(image)?, needle, search).await?),
            None => {
                let desktop = self.desktop_named(search.target.as_deref()).await?;
                let explain = explain && !search.gone;
                let mut sought = sight.find_picture(&desktop, needle, search, self.cancel()).await?;
                if let Some(part) = sought.telling().filter(|_| explain) {
                    sought.image = sight.shown(&desktop, part, self.cancel()).await;
                }
                json(&sought)
            }
        }
    }

    /// What a search looks for, with its mask.
    pub(super) async fn wanted(&self, needle: Option<u64>, mask: Option<u64>, search: &PictureSearch) -> Result<Needle, Failure> {
        self.grant().screen()?;
        let needle = self.needle(needle, search.picture.as_deref()).await?;
        if mask.is_none() && search.mask.is_none() {
            return Ok(needle);
        }
        let mask = self.needle(mask, search.mask.as_deref()).await?;
        Ok(needle.masked(&mask)?)
    }

    /// The picture that is looked for: one of the run's, a file, or one that is written down in the search.
    pub(super) async fn needle(&self, image: Option<u64>, named: Option<&str>) -> Result<Needle, Failure> {
        if let Some(image) = image {
            return Ok(Needle::new(pixels(&self.image(image)?))?);
        }
        let named =
            named.ok_or_else(|| Failure::new(Kind::ValidationError, "say which picture to look for: a file's path, or an image"))?;
        if let Some(needle) = Needle::of_url(named) {
            return Ok(needle?);
        }
        let path = self.grant().path(named, Access::Read)?;
        blocking(move || Ok::<_, Failure>(Needle::decode(&files::read_bytes(&path)?)?)).await
    }

    /// Waits until a part of the screen does not change.
    pub(super) async fn wait_until_still(&self, search: StillSearch) -> Result<Json, Failure> {
        self.grant().screen()?;
        let desktop = self.desktop_named(search.target.as_deref()).await?;
        json(&self.capabilities.sight.wait_until_still(&desktop, search, self.cancel()).await?)
    }

    /// Waits until a part of the screen changes.
    pub(super) async fn wait_for_change(&self, before: Option<u64>, search: StillSearch) -> Result<Json, Failure> {
        self.grant().screen()?;
        let before = before.map(|before| self.image(before)).transpose()?;
        let desktop = self.desktop_named(search.target.as_deref()).await?;
        json(&self.capabilities.sight.wait_for_change(&desktop, search, before, self.cancel()).await?)
    }

    /// The names of all zones.
    pub(super) fn zones(&self) -> Result<Json, Failure> {
        self.grant().screen()?;
        json(&self.capabilities.sight.zones().into_iter().map(|zone| zone.name).collect::<Vec<_>>())
    }

    /// Where a zone that has a name is now.
    pub(super) async fn where_is(&self, name: String) -> Result<Json, Failure> {
        self.grant().screen()?;
        let desktop = self.desktop_named(None).await?;
        let zone = Zone { zone: Some(name), ..Zone::default() };
        json(&self.capabilities.sight.where_is(&desktop, zone, self.cancel()).await?)
    }

    /// The colour of a pixel of the screen.
    pub(super) async fn screen_pixel(&self, x: i32, y: i32) -> Result<Json, Failure> {
        self.grant().screen()?;
        let desktop = self.desktop_named(None).await?;
        json(&self.capabilities.sight.pixel(&desktop, x, y, self.cancel()).await?)
    }

    /// In what two pictures differ.
    pub(super) async fn difference(&self, first: u64, second: u64, tolerance: u8) -> Result<Json, Failure> {
        let (first, second) = (self.image(first)?, self.image(second)?);
        json(&blocking(move || Ok::<_, Failure>(difference(&first, &second, tolerance)?)).await?)
    }
}

fn pixels(frame: &Frame) -> RgbaImage {
    RgbaImage::from_fn(frame.width(), frame.height(), |x, y| {
        let [red, green, blue] = frame.pixel(x, y).unwrap_or_default();
        Rgba([red, green, blue, 255])
    })
}
