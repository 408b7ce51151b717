//! `ocr::` — reading text from the screen or a picture, and finding a text there.

use rhai::Map;
use rhai::plugin::*;

use super::screen::Image;
use crate::error::{Failure, Kind};
use crate::host::protocol::Call;
use crate::input::Click;
use crate::ocr::Reading;
use crate::script::steps::{call, call_for};
use crate::script::values::{Returned, raise, read as words};
use crate::sight::{FoundText, TextSearch, TextSought, Zone};

/// Seconds that a text is waited for, where a script does not say.
const PATIENCE: f64 = 10.0;

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// Reads the whole screen: a map of `text`, `confidence` (0–1), `accepted` (it reaches the threshold), `words` (each with `text`,
    /// `confidence`, `x`, `y`, `width`, `height`, `line`), `language`, `engine`, `execution_time`. What has not changed since it was last
    /// read is not read again.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// let seen = ocr::read();
    /// assert(seen.engine == "tesseract");
    /// ```
    #[rhai_fn(name = "read", return_raw)]
    pub fn read_screen(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::OcrRead { image: None, zone: Zone::default(), reading: Reading::default(), target: None })
    }

    /// Reads a zone (`x`, `y`, `width`, `height`, counted from the corner of a `monitor` or `window` where one is given) or an `image`, with
    /// `language` (`"deu+eng"`), `page_segmentation` (1, or 3–13), `whitelist` (only these characters), `preprocess` (`"auto"`, `"none"`, or a list of steps such as `[#{ scale: 3 }, "invert_dark", "contrast", "threshold", #{ border: 10 }]`,
    /// at most 16 of them; `"auto"` is for Tesseract grey, enlarged, dark themes turned round, with a border, and for the neural engine nothing),
    /// `engine` (`"tesseract"`; `"onnx"` or `"easyocr"`, the neural engine, which `trae models install` brings; `"auto"`, the better of the two),
    /// `confidence_threshold` (0–1; without it the configured one), `timeout` (seconds that the reading may take, at most `OCR_TIMEOUT`; it raises
    /// `TIMEOUT` then). A `window` is its number, a part of its title, or a map as for
    /// `window::list`. `zone` is the name of a zone instead, of which `x`, `y`, `width` and `height` are a part. `target` is another desktop.
    ///
    /// Boxes count from the corner of the virtual screen, or of the image. Raises `SERVICE_UNAVAILABLE` where the language or the engine is
    /// not installed. Needs `screen = true`.
    ///
    /// ```rhai
    /// let line = ocr::read(#{ x: 0, y: 0, width: 300, height: 40, page_segmentation: 7 });
    /// assert(line.confidence <= 1.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        super::read_zone(&context, options)
    }

    /// Reads all zones of an OCR template (`POST /api/snapshots/templates`) on the screen, by its id, or its name where only one has it: a map with
    /// an entry for each zone, by its id, each as `ocr::read` gives it, with the zone's `name`; `accepted` goes by what the zone asks for. Several
    /// zones are read at once.
    ///
    /// Raises `NOT_FOUND` where there is no such template, or what a zone of it stands beside is not there. Needs `screen = true`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { ocr::template("no such template"); } catch (error) { caught = error; }
    /// assert(caught.code == "NOT_FOUND");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn template(context: NativeCallContext, template: &str) -> Returned<Dynamic> {
        call(&context, Call::TemplateRead { template: template.to_owned(), monitor: None, target: None })
    }

    /// The same on another `monitor` than the first, or another desktop (`target`).
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { ocr::template("no such template", #{ monitor: 0 }); } catch (error) { caught = error; }
    /// assert(caught.code == "NOT_FOUND");
    /// ```
    #[rhai_fn(name = "template", return_raw)]
    pub fn template_on(context: NativeCallContext, template: &str, options: Map) -> Returned<Dynamic> {
        let super::Where { monitor, target } = words(options).map_err(|failure| raise(failure, context.call_position()))?;
        call(&context, Call::TemplateRead { template: template.to_owned(), monitor, target })
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

    /// Finds a text on the screen: a map of `text`, `score` (how much it is like it, 0–1), `confidence`, `x`, `y`, `width`, `height`,
    /// `center_x`, `center_y`, `groups`, or `()`.
    ///
    /// Several words match where they stand side by side on one line. Case and white space do not matter; what is easily misread is
    /// found as well, unless the text itself is there. Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(ocr::find("a text that is nowhere on this screen") == ());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find(context: NativeCallContext, text: &str) -> Returned<Dynamic> {
        super::found(&context, super::with_text(text, Map::new()))
    }

    /// Finds what the options say: `text`, or `regex` (a part of a line that fits; `groups` has what its groups caught), and where.
    ///
    /// Where: the options of `ocr::read`; `near`, `right_of`, `left_of`, `above`, `below` another text, with at most `within` pixels between
    /// them (the nearest first); `occurrence` (1 = the first in reading order). How: `min_score` (0.85; 1 = exactly), `match_case`. With
    /// `timeout` (seconds) it waits, as `ocr::wait_for_text` does. Needs `screen = true`.
    ///
    /// ```rhai
    /// let total = ocr::find(#{ regex: `([0-9]+,[0-9][0-9])`, right_of: "Total", x: 0, y: 0, width: 600, height: 200 });
    /// if total != () { log::info(total.groups[0]); }
    /// ```
    #[rhai_fn(name = "find", return_raw)]
    pub fn find_what(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        super::found(&context, options)
    }

    /// Finds a text, with the options of `ocr::find` that say where and how.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(ocr::find("nowhere", #{ x: 0, y: 0, width: 300, height: 100 }) == ());
    /// ```
    #[rhai_fn(name = "find", return_raw)]
    pub fn find_where(context: NativeCallContext, text: &str, options: Map) -> Returned<Dynamic> {
        super::found(&context, super::with_text(text, options))
    }

    /// All places at which a text stands, as a list of what `ocr::find` gives; the options are the same.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(ocr::find_all("nowhere", #{ x: 0, y: 0, width: 300, height: 100 }).is_empty());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find_all(context: NativeCallContext, text: &str, options: Map) -> Returned<Dynamic> {
        super::all(&context, super::with_text(text, options))
    }

    /// The same for options that say all of it.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(ocr::find_all(#{ regex: "nowhere[0-9]+" }).is_empty());
    /// ```
    #[rhai_fn(name = "find_all", return_raw)]
    pub fn find_all_what(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        super::all(&context, options)
    }

    /// Looks for a text and says what there is: a map of `found` (as `ocr::find` gives it), `matches` (all of them), `nearest` (what comes
    /// closest, where nothing fits), `zone` (the part of the screen that was looked at), `seen` (its text), `words` (their number), `image` (where
    /// it is not there, how what comes closest looks, as a `data:` URL), `known` (it had not changed, and was not read again), `execution_time`. The options are those of `ocr::find`.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// let looked = ocr::look_for(#{ text: "nowhere", x: 0, y: 0, width: 300, height: 100 });
    /// assert(looked.found == () && looked.zone.width == 300);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn look_for(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        let (image, search) = super::search(&context, options)?;
        call(&context, Call::TextFind { image, search: Box::new(search), explain: true })
    }

    /// Waits until a text is on the screen, at most 10 seconds, and gives where.
    ///
    /// Raises `TIMEOUT` with what comes closest, what was seen instead, and a picture of it (`details.image`). Needs `screen = true`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { ocr::wait_for_text("nowhere", #{ timeout: 0.1 }); } catch (error) { caught = error; }
    /// assert(caught.code == "TIMEOUT" && caught.message.contains("nowhere"));
    /// ```
    #[rhai_fn(name = "wait_for_text", return_raw)]
    pub fn wait_for_text(context: NativeCallContext, text: &str) -> Returned<Dynamic> {
        super::awaited(&context, super::with_text(text, Map::new()))
    }

    /// The same with the options of `ocr::find`, `timeout` (seconds, 10) and `gone` (wait until it is there no more; gives `()` then).
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(ocr::wait_for_text("nowhere", #{ x: 0, y: 0, width: 300, height: 100, gone: true }) == ());
    /// ```
    #[rhai_fn(name = "wait_for_text", return_raw)]
    pub fn wait_for_text_where(context: NativeCallContext, text: &str, options: Map) -> Returned<Dynamic> {
        super::awaited(&context, super::with_text(text, options))
    }

    /// The same for options that say all of it, such as `regex`.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { ocr::wait_for_text(#{ regex: "nowhere[0-9]", timeout: 0 }); } catch (error) { caught = error; }
    /// assert(caught.code == "TIMEOUT");
    /// ```
    #[rhai_fn(name = "wait_for_text", return_raw)]
    pub fn wait_for_text_what(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        super::awaited(&context, options)
    }

    /// Another name of `ocr::wait_for_text`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { ocr::wait_for("nowhere", #{ x: 0, y: 0, width: 300, height: 100, timeout: 0.2 }); } catch (error) { caught = error; }
    /// assert(caught.code == "TIMEOUT" && caught.details.zone.width == 300);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wait_for(context: NativeCallContext, text: &str, options: Map) -> Returned<Dynamic> {
        super::awaited(&context, super::with_text(text, options))
    }

    /// Another name of `ocr::wait_for_text`.
    ///
    /// ```rhai
    /// let found = ocr::find("Save");
    /// if found != () { assert(ocr::wait_for("Save").x == found.x); }
    /// ```
    #[rhai_fn(name = "wait_for", return_raw)]
    pub fn wait_for_short(context: NativeCallContext, text: &str) -> Returned<Dynamic> {
        super::awaited(&context, super::with_text(text, Map::new()))
    }

    /// Waits until a text is on the screen, at most 10 seconds, and clicks in its middle. Gives where it was.
    ///
    /// Raises `TIMEOUT` as `ocr::wait_for_text` does. Needs `screen = true` and `input = true`.
    ///
    /// ```rhai
    /// if ocr::find("Save") != () { ocr::click_text("Save"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn click_text(context: NativeCallContext, text: &str) -> Returned<Dynamic> {
        super::click(&context, super::with_text(text, Map::new()))
    }

    /// The same with the options of `ocr::wait_for_text`, and `button` (`"left"`), `clicks` (1), `duration` (seconds each click holds the button
    /// down), `offset_x` and `offset_y` (pixels from the text's middle).
    ///
    /// Needs `screen = true` and `input = true`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { ocr::click_text("nowhere", #{ timeout: 0, offset_x: 80 }); } catch (error) { caught = error; }
    /// assert(caught.code == "TIMEOUT");
    /// ```
    #[rhai_fn(name = "click_text", return_raw)]
    pub fn click_text_where(context: NativeCallContext, text: &str, options: Map) -> Returned<Dynamic> {
        super::click(&context, super::with_text(text, options))
    }

    /// The same for options that say all of it, such as `regex`.
    ///
    /// Needs `screen = true` and `input = true`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { ocr::click_text(#{ regex: "nowhere[0-9]", timeout: 0 }); } catch (error) { caught = error; }
    /// assert(caught.code == "TIMEOUT");
    /// ```
    #[rhai_fn(name = "click_text", return_raw)]
    pub fn click_text_what(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        super::click(&context, options)
    }
}

/// The picture among options, if there is one. What is `()` counts as left out.
pub(super) fn image_of(context: &NativeCallContext, options: &mut Map) -> Returned<Option<u64>> {
    options.retain(|_, value| !value.is_unit());
    let Some(image) = options.remove("image") else { return Ok(None) };
    let refused =
        || raise(Failure::new(Kind::ValidationError, "`image` is a picture, as screen::capture gives it"), context.call_position());
    image.try_cast::<Image>().map(|image| Some(image.0.image)).ok_or_else(refused)
}

/// Where a template is read.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Where {
    monitor: Option<usize>,
    target: Option<String>,
}

/// The options of `read`: a zone's fields beside those of [`Reading`].
fn read_zone(context: &NativeCallContext, mut options: Map) -> Returned<Dynamic> {
    let refused = |failure| raise(failure, context.call_position());
    let image = image_of(context, &mut options)?;
    let wrong = |_| refused(Failure::new(Kind::ValidationError, "`target` is the name of a desktop"));
    let target = options.remove("target").map(Dynamic::into_string).transpose().map_err(wrong)?;
    let mut zone = Map::new();
    for name in ["x", "y", "width", "height", "monitor", "window", "zone"] {
        zone.extend(options.remove(name).map(|value| (name.into(), value)));
    }
    let zone: Zone = words(zone).map_err(refused)?;
    let reading: Reading = words(options).map_err(refused)?;
    call(context, Call::OcrRead { image, zone, reading, target })
}

fn with_text(text: &str, mut options: Map) -> Map {
    options.insert("text".into(), text.into());
    options
}

fn search(context: &NativeCallContext, mut options: Map) -> Returned<(Option<u64>, TextSearch)> {
    let image = image_of(context, &mut options)?;
    let search = words(options).map_err(|failure| raise(failure, context.call_position()))?;
    Ok((image, search))
}

fn sought(context: &NativeCallContext, options: Map) -> Returned<TextSought> {
    let (image, search) = search(context, options)?;
    call_for(context, Call::TextFind { image, search: Box::new(search), explain: false })
}

fn found(context: &NativeCallContext, options: Map) -> Returned<Dynamic> {
    rhai::serde::to_dynamic(sought(context, options)?.found)
}

fn all(context: &NativeCallContext, options: Map) -> Returned<Dynamic> {
    rhai::serde::to_dynamic(sought(context, options)?.matches)
}

/// With the time that is waited where the options do not say.
pub(super) fn patient(mut options: Map) -> Map {
    let unsaid = options.get("timeout").is_none_or(Dynamic::is_unit);
    if unsaid {
        options.insert("timeout".into(), PATIENCE.into());
    }
    options
}

fn awaited(context: &NativeCallContext, options: Map) -> Returned<Dynamic> {
    found(context, patient(options))
}

/// What a click needs beside a point.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct How {
    button: crate::input::Button,
    clicks: u32,
    duration: f64,
    offset_x: i32,
    offset_y: i32,
}

impl Default for How {
    fn default() -> Self {
        Self { button: crate::input::Button::Left, clicks: 1, duration: 0.1, offset_x: 0, offset_y: 0 }
    }
}

fn click(context: &NativeCallContext, mut options: Map) -> Returned<Dynamic> {
    let how = how_to_click(context, &mut options)?;
    let there: Option<FoundText> = sought(context, patient(options))?.found;
    if let Some(there) = &there {
        how.click(context, there.center_x, there.center_y)?;
    }
    rhai::serde::to_dynamic(there)
}

/// Takes what says how to click out of options.
pub(super) fn how_to_click(context: &NativeCallContext, options: &mut Map) -> Returned<How> {
    options.retain(|_, value| !value.is_unit());
    let mut how = Map::new();
    for name in ["button", "clicks", "duration", "offset_x", "offset_y"] {
        how.extend(options.remove(name).map(|value| (name.into(), value)));
    }
    if let Some(name) = ["image", "gone", "target"].into_iter().find(|name| options.contains_key(*name)) {
        let message =
            format!("`{name}` is nothing for a click, which is done on the desktop that is meant: leave it out, or see desktop::use");
        return Err(raise(Failure::new(Kind::ValidationError, message), context.call_position()));
    }
    words(how).map_err(|failure| raise(failure, context.call_position()))
}

impl How {
    pub(super) fn click(self, context: &NativeCallContext, x: i32, y: i32) -> Returned<()> {
        let Self { button, clicks, duration, offset_x, offset_y } = self;
        let (x, y) = (x.saturating_add(offset_x), y.saturating_add(offset_y));
        call(context, Call::MouseClick(Click { x, y, button, clicks, duration })).map(drop)
    }
}
