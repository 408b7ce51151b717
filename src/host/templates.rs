//! Sets of zones that are kept under a name, read on the screen as it is now.

use std::collections::BTreeMap;

use futures_util::future::{BoxFuture, try_join_all};
use serde::Serialize;

use super::broker::{Broker, json};
use super::protocol::Json;
use crate::error::{Failure, Kind};
use crate::ocr::{Engine, Reading, Text};
use crate::sight::Zone;

/// Knows the templates that are kept.
pub trait Templates: Send + Sync {
    /// The zones of the one with this id, or this name.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` where several have the name.
    fn zones(&self, named: String) -> BoxFuture<'_, Result<Vec<TemplateZone>, Failure>>;
}

/// A zone of a template.
#[derive(Debug, Clone)]
pub struct TemplateZone {
    /// What tells it from the others.
    pub id: String,
    /// For people.
    pub name: String,
    /// Where it is: in pixels of a monitor, or a zone that has a name.
    pub place: Zone,
    /// How it is read.
    pub reading: Reading,
}

/// For a host that was given none.
pub(super) struct NoTemplates;

impl Templates for NoTemplates {
    fn zones(&self, named: String) -> BoxFuture<'_, Result<Vec<TemplateZone>, Failure>> {
        Box::pin(async move { Err(Failure::new(Kind::NotFound, format!("there is no template {named:?} here"))) })
    }
}

/// What was read in a zone.
#[derive(Serialize)]
struct ZoneText {
    name: String,
    #[serde(flatten)]
    text: Text,
}

impl Broker {
    /// Reads all zones of a template on the screen, as many at once as there are cores.
    pub(super) async fn read_template(&self, template: String, monitor: Option<usize>, target: Option<String>) -> Result<Json, Failure> {
        self.grant().screen()?;
        let zones = self.templates().zones(template).await?;
        let desktop = self.desktop_named(target.as_deref()).await?;
        let (desktop, sight) = (&desktop, &self.capabilities.sight);
        let read = zones.into_iter().map(|TemplateZone { id, name, place, mut reading }| async move {
            let wrong = |failure: Failure| Failure { message: format!("the zone {id:?} of the template: {}", failure.message), ..failure };
            let (place, own) = match &place.zone {
                Some(named) => {
                    let own = sight.zone(named).map_err(|error| wrong(error.into()))?.engine;
                    (place, own)
                }
                None => (Zone { monitor: Some(monitor.unwrap_or(0)), ..place }, None),
            };
            // As in a snapshot, where nobody says which.
            reading.engine = reading.engine.or(own).or(Some(Engine::Auto));
            let text = sight.read(desktop, place, reading, self.cancel()).await.map_err(|error| wrong(error.into()))?;
            Ok::<_, Failure>((id, ZoneText { name, text }))
        });
        json(&try_join_all(read).await?.into_iter().collect::<BTreeMap<_, _>>())
    }
}
