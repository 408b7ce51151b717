//! `screen::` — what is on the screen. Pictures stay with the server; a script holds an `Image` and asks about it.

use rhai::plugin::*;
use rhai::{Engine, Map};

use crate::error::{Failure, Kind};
use crate::host::protocol::{Call, ImageRef};
use crate::screen::{Capture, Region};
use crate::script::steps::{call, call_for, call_with};
use crate::script::values::{Returned, raise, read};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

/// A picture that the server keeps for this run.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Image(pub(super) ImageRef);

pub(super) fn register_types(engine: &mut Engine) {
    engine.register_type_with_name::<Image>("Image").register_global_module(rhai::exported_module!(methods).into());
}

#[export_module]
mod functions {
    /// The monitors there are: a list of maps with `index`, `name`, `x`, `y`, `width`, `height`, `scale_factor`, `is_primary`.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(screen::monitors()[0].width > 0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn monitors(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::ScreenMonitors)
    }

    /// Takes a picture of the whole virtual screen.
    ///
    /// A run keeps its last 32 pictures. Needs `screen = true`.
    ///
    /// ```rhai
    /// let image = screen::capture();
    /// assert(image.width == screen::monitors()[0].width);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn capture(context: NativeCallContext) -> Returned<Image> {
        call_for(&context, Call::ScreenCapture(Default::default())).map(Image)
    }

    /// Takes a picture of a `monitor`, a `region` (`x`, `y`, `width`, `height`), a region of a monitor, or of the `zone` of a name.
    ///
    /// Raises `VALIDATION_ERROR` where the region is not on the screen entirely, `NOT_FOUND` where there is no such zone, or its window or what it
    /// stands beside is not there. Needs `screen = true`.
    ///
    /// ```rhai
    /// let image = screen::capture(#{ region: #{ x: 10, y: 10, width: 40, height: 30 } });
    /// assert(image.width == 40 && image.x == 10);
    /// ```
    #[rhai_fn(name = "capture", return_raw)]
    pub fn capture_part(context: NativeCallContext, options: Map) -> Returned<Image> {
        let capture = super::of_zone(&context, options)?;
        call_for(&context, Call::ScreenCapture(capture)).map(Image)
    }

    /// The names of the zones there are, in order.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// for name in screen::zones() { log::info(name); }
    /// assert(!("no-such-zone" in screen::zones()));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn zones(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::ZoneList)
    }

    /// Where a zone that has a name is now: a map of `x`, `y`, `width`, `height`, `center_x`, `center_y`, in pixels of the virtual screen. A zone
    /// has its name from `PUT /api/zones/…`, and may stand in a window, or beside a text or a picture.
    ///
    /// Raises `NOT_FOUND` where there is none of this name, or what it stands beside is not there. Needs `screen = true`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { screen::zone("no-such-zone"); } catch (error) { caught = error; }
    /// assert(caught.code == "NOT_FOUND");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn zone(context: NativeCallContext, name: &str) -> Returned<Dynamic> {
        super::zone(&context, name).map(|zone| zone.into())
    }

    /// Saves a picture as a file; its ending says how: `.png`, `.jpg` or `.webp`. Gives `path` and `bytes`.
    ///
    /// Relative paths lie in the data folder's `files/`. Needs `write = ["…"]`.
    ///
    /// ```rhai
    /// screen::save(screen::capture(), "reference/screen.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn save(context: NativeCallContext, image: Image, path: &str) -> Returned<Dynamic> {
        super::save(&context, image, path)
    }
}

/// Properties and methods of `Image`.
#[export_module]
mod methods {
    /// Width in pixels.
    #[rhai_fn(get = "width", pure)]
    pub fn width(image: &mut Image) -> i64 {
        i64::from(image.0.width)
    }

    /// Height in pixels.
    #[rhai_fn(get = "height", pure)]
    pub fn height(image: &mut Image) -> i64 {
        i64::from(image.0.height)
    }

    /// Left edge on the virtual screen.
    #[rhai_fn(get = "x", pure)]
    pub fn x(image: &mut Image) -> i64 {
        i64::from(image.0.x)
    }

    /// Top edge on the virtual screen.
    #[rhai_fn(get = "y", pure)]
    pub fn y(image: &mut Image) -> i64 {
        i64::from(image.0.y)
    }

    /// Saves the picture, as `screen::save` does.
    #[rhai_fn(name = "save", return_raw, pure)]
    pub fn save_image(context: NativeCallContext, image: &mut Image, path: &str) -> Returned<Dynamic> {
        super::save(&context, *image, path)
    }

    /// The colour of one pixel, `[red, green, blue]`, counted from the picture's corner.
    #[rhai_fn(return_raw, pure)]
    pub fn pixel(context: NativeCallContext, image: &mut Image, x: i64, y: i64) -> Returned<Dynamic> {
        let at = |value: i64| i32::try_from(value).unwrap_or(-1);
        call(&context, Call::ImagePixel { image: image.0.image, x: at(x), y: at(y) })
    }

    /// A part of the picture: `x`, `y`, `width`, `height`, counted from its corner.
    #[rhai_fn(return_raw, pure)]
    pub fn crop(context: NativeCallContext, image: &mut Image, region: Map) -> Returned<Image> {
        let region: Region = read(region).map_err(|failure| raise(failure, context.call_position()))?;
        call_for(&context, Call::ImageCrop { image: image.0.image, region }).map(Image)
    }
}

/// Where a zone is, with its middle.
pub(super) fn zone(context: &NativeCallContext, name: &str) -> Returned<Map> {
    let Region { x, y, width, height } = call_for(context, Call::ZoneFind { name: name.to_owned() })?;
    let middle = |start: i32, length: u32| i64::from(start) + i64::from(length / 2);
    Ok(Map::from([
        ("x".into(), i64::from(x).into()),
        ("y".into(), i64::from(y).into()),
        ("width".into(), i64::from(width).into()),
        ("height".into(), i64::from(height).into()),
        ("center_x".into(), middle(x, width).into()),
        ("center_y".into(), middle(y, height).into()),
    ]))
}

/// What to take a picture of, where the place of a zone has been looked up.
fn of_zone(context: &NativeCallContext, mut options: Map) -> Returned<Capture> {
    let refused = |failure| raise(failure, context.call_position());
    options.retain(|_, value| !value.is_unit());
    let Some(name) = options.remove("zone") else { return read(options).map_err(refused) };
    let wrong = |message: &str| refused(Failure::new(Kind::ValidationError, message));
    let name = name.into_immutable_string().map_err(|_| wrong("`zone` is the name of a zone"))?;
    if !options.is_empty() {
        return Err(wrong("a zone says itself where it is: leave out monitor and region"));
    }
    let region = call_for(context, Call::ZoneFind { name: name.to_string() })?;
    Ok(Capture { monitor: None, region: Some(region) })
}

fn save(context: &NativeCallContext, image: Image, path: &str) -> Returned<Dynamic> {
    let options = Map::from([
        ("image".into(), i64::try_from(image.0.image).unwrap_or(-1).into()),
        ("path".into(), path.into()),
        ("quality".into(), 85_i64.into()),
    ]);
    call_with(context, options, |saving: Saving| Call::ImageSave { image: saving.image, path: saving.path, quality: saving.quality })
}

#[derive(serde::Deserialize)]
struct Saving {
    image: u64,
    path: String,
    quality: u8,
}
