//! `ocr::` — reading text from the screen or a picture.

use rhai::Map;
use rhai::plugin::*;

use super::screen::Image;
use crate::host::protocol::Call;
use crate::ocr::Reading;
use crate::screen::{Capture, Region};
use crate::script::steps::call;
use crate::script::values::{Returned, raise, read as words};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// Reads the whole screen: a map of `text`, `confidence` (0–1), `accepted` (it reaches the threshold), `words` (each with `text`,
    /// `confidence`, `x`, `y`, `width`, `height`, `line`), `language`, `engine`, `execution_time`.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// let seen = ocr::read();
    /// assert(seen.engine == "tesseract");
    /// ```
    #[rhai_fn(name = "read", return_raw)]
    pub fn read_screen(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::OcrRead { image: None, capture: Capture::default(), reading: Reading::default() })
    }

    /// Reads a zone (`x`, `y`, `width`, `height`, and `monitor` where they count from its corner) or an `image`, with `language`
    /// (`"deu+eng"`), `page_segmentation` (0–13), `whitelist` (only these characters), `preprocess` (`"auto"` or `"none"`),
    /// `confidence_threshold` (0–1; without it the configured one).
    ///
    /// Boxes count from the corner of the virtual screen, or of the image. Raises `SERVICE_UNAVAILABLE` where the language is not
    /// installed. Needs `screen = true`.
    ///
    /// ```rhai
    /// let line = ocr::read(#{ x: 0, y: 0, width: 300, height: 40, page_segmentation: 7 });
    /// assert(line.confidence <= 1.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        super::read_zone(&context, options)
    }

    /// The languages that are installed.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// assert("eng" in ocr::languages());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn languages(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::OcrLanguages)
    }
}

/// The options of `read`: a zone's fields beside those of [`Reading`].
fn read_zone(context: &NativeCallContext, mut options: Map) -> Returned<Dynamic> {
    let refused = |failure| raise(failure, context.call_position());
    let image = options.remove("image").and_then(|image| image.try_cast::<Image>()).map(|image| image.0.image);
    let mut zone = Map::new();
    for name in ["x", "y", "width", "height"] {
        zone.extend(options.remove(name).filter(|value| !value.is_unit()).map(|value| (name.into(), value)));
    }
    let monitor = options.remove("monitor").filter(|value| !value.is_unit()).and_then(|value| usize::try_from(value.as_int().ok()?).ok());
    let region = if zone.is_empty() { None } else { Some(words::<Region>(zone).map_err(refused)?) };
    options.retain(|_, value| !value.is_unit());
    let reading: Reading = words(options).map_err(refused)?;
    call(context, Call::OcrRead { image, capture: Capture { monitor, region }, reading })
}
