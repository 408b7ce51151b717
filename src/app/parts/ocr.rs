//! `enhanced_ocr`: reading text.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::Failure;
use crate::ocr::Ocr;
use crate::services::Service;

/// Tesseract, and the neural engine. A restart lets Tesseract's warm engines go, gives up readings that go on, and looks which languages there
/// are. A machine without either has this part down, with the package to install as the reason, until one is installed: nothing else depends
/// on it.
pub(super) struct Reading(pub(super) Arc<Ocr>);

impl Service for Reading {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(self.0.start().map(drop)?) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.0.stop() })
    }

    fn details(&self) -> String {
        let neural = if self.0.neural().is_ok() { "; the neural engine is there" } else { "" };
        match self.0.languages() {
            Ok(languages) => {
                let missing = self.0.missing_languages().join(", ");
                let missing = if missing.is_empty() { missing } else { format!("; of OCR_LANGUAGES not installed: {missing}") };
                format!("Tesseract reads {}{missing}{neural}", languages.join(", "))
            }
            Err(error) => format!("{error}{neural}"),
        }
    }
}
