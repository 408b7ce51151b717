//! The templates of snapshots, as `host` wants them.

use futures_util::future::BoxFuture;

use crate::error::Failure;
use crate::host::{self, TemplateZone};
use crate::sight;
use crate::snapshots::{Snapshots, Zone};

/// The templates, for runs.
pub(super) struct Kept(pub(super) Snapshots);

impl host::Templates for Kept {
    fn zones(&self, named: String) -> BoxFuture<'_, Result<Vec<TemplateZone>, Failure>> {
        Box::pin(async move { Ok(self.0.template_named(&named).await?.zones.into_iter().map(read_as).collect()) })
    }
}

/// A zone of a template as it is read on the screen.
fn read_as(zone: Zone) -> TemplateZone {
    let edge = |edge: Option<u32>| edge.map(|edge| i32::try_from(edge).unwrap_or(i32::MAX));
    TemplateZone {
        reading: zone.reading(),
        place: sight::Zone {
            x: edge(zone.x),
            y: edge(zone.y),
            width: zone.width,
            height: zone.height,
            zone: zone.zone,
            ..sight::Zone::default()
        },
        id: zone.id,
        name: zone.name,
    }
}
