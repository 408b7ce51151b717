//! `vision::` — finding pictures on the screen, and what there is to see without reading. A picture is a file's path (`buttons/save.png`), an
//! image of `screen::capture`, or a `data:` URL.

use rhai::Map;
use rhai::plugin::*;

use super::ocr::{how_to_click, image_of, patient};
use super::screen::Image;
use crate::error::{Failure, Kind};
use crate::host::protocol::Call;
use crate::script::steps::{call, call_for};
use crate::script::values::{Returned, raise, read as words};
use crate::sight::{FoundPicture, PictureSearch, PictureSought};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// Finds a picture on the screen: a map of `score` (how much it is like it, 0–1), `scale`, `x`, `y`, `width`, `height`, `center_x`,
    /// `center_y`, or `()`. Where it was last seen is looked at first.
    ///
    /// What is transparent in a file may be anything. Needs `screen = true`, and `read = ["…"]` for a file.
    ///
    /// ```rhai
    /// let corner = screen::capture(#{ region: #{ x: 0, y: 0, width: 40, height: 30 } });
    /// assert(vision::find(corner).score > 0.99);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find(context: NativeCallContext, picture: Dynamic) -> Returned<Dynamic> {
        super::found(&context, picture, Map::new())
    }

    /// The same with options. Where: `x`, `y`, `width`, `height`, counted from the corner of a `monitor`, `window` or `zone` (by its name) where one
    /// is given, or in an `image`; `occurrence` (1 = the first from the top; without it the first that is found, where it was last before all). How: `min_score` (0.9; 1 = exactly), `scales` (the sizes in which it is looked
    /// for, such as `[1.0, 1.25, 1.5]`), `mask` (a picture of the same size, as the picture is given: where it is dark or transparent what is looked for may be anything). With `timeout` (seconds) it waits, as `vision::wait` does.
    ///
    /// Needs `screen = true`, and `read = ["…"]` for a file.
    ///
    /// ```rhai
    /// let screen = screen::capture(#{ region: #{ x: 0, y: 0, width: 200, height: 100 } });
    /// let part = screen.crop(#{ x: 50, y: 20, width: 30, height: 30 });
    /// assert(vision::find(part, #{ image: screen, min_score: 0.95 }) != ());
    /// ```
    #[rhai_fn(name = "find", return_raw)]
    pub fn find_where(context: NativeCallContext, picture: Dynamic, options: Map) -> Returned<Dynamic> {
        super::found(&context, picture, options)
    }

    /// All places at which a picture is, as a list of what `vision::find` gives; the options are the same.
    ///
    /// Needs `screen = true`, and `read = ["…"]` for a file.
    ///
    /// ```rhai
    /// let corner = screen::capture(#{ region: #{ x: 0, y: 0, width: 40, height: 30 } });
    /// assert(vision::find_all(corner, #{ x: 0, y: 0, width: 80, height: 60 }).len() >= 1);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find_all(context: NativeCallContext, picture: Dynamic, options: Map) -> Returned<Dynamic> {
        let mut options = options;
        options.insert("all".into(), true.into());
        rhai::serde::to_dynamic(super::sought(&context, picture, options)?.matches)
    }

    /// Looks for a picture and says what there is: a map of `found` (as `vision::find` gives it), `matches`, `nearest` (what comes closest,
    /// where nothing fits), `zone` (the part of the screen that was looked at), `image` (where it is not there, how what comes closest looks, as a
    /// `data:` URL), `known` (it had not changed), `execution_time`. The options are
    /// those of `vision::find`.
    ///
    /// Needs `screen = true`, and `read = ["…"]` for a file.
    ///
    /// ```rhai
    /// let corner = screen::capture(#{ region: #{ x: 0, y: 0, width: 40, height: 30 } });
    /// assert(vision::look_for(corner, #{}).zone.x == 0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn look_for(context: NativeCallContext, picture: Dynamic, options: Map) -> Returned<Dynamic> {
        super::look(&context, picture, options)
    }

    /// Waits until a picture is on the screen, at most 10 seconds, and gives where.
    ///
    /// Raises `TIMEOUT` with what comes closest, its score, and a picture of it (`details.image`). Needs `screen = true`, and `read = ["…"]`
    /// for a file.
    ///
    /// ```rhai
    /// let corner = screen::capture(#{ region: #{ x: 0, y: 0, width: 40, height: 30 } });
    /// assert(vision::wait(corner).width == 40);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wait(context: NativeCallContext, picture: Dynamic) -> Returned<Dynamic> {
        super::found(&context, picture, patient(Map::new()))
    }

    /// The same with the options of `vision::find`, `timeout` (seconds, 10) and `gone` (wait until it is there no more; gives `()` then).
    ///
    /// Needs `screen = true`, and `read = ["…"]` for a file.
    ///
    /// ```rhai
    /// let corner = screen::capture(#{ region: #{ x: 0, y: 0, width: 40, height: 30 } });
    /// let caught = ();
    /// try { vision::wait(corner, #{ gone: true, timeout: 0 }); } catch (error) { caught = error; }
    /// assert(caught.code == "TIMEOUT");
    /// ```
    #[rhai_fn(name = "wait", return_raw)]
    pub fn wait_where(context: NativeCallContext, picture: Dynamic, options: Map) -> Returned<Dynamic> {
        super::found(&context, picture, patient(options))
    }

    /// Waits until a picture is on the screen, at most 10 seconds, and clicks in its middle. Gives where it was.
    ///
    /// Raises `TIMEOUT` as `vision::wait` does. Needs `screen = true` and `input = true`, and `read = ["…"]` for a file.
    ///
    /// ```rhai
    /// let corner = screen::capture(#{ region: #{ x: 100, y: 100, width: 40, height: 30 } });
    /// let there = vision::click(corner);
    /// assert(mouse::position().x == there.center_x);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn click(context: NativeCallContext, picture: Dynamic) -> Returned<Dynamic> {
        super::click(&context, picture, Map::new())
    }

    /// The same with the options of `vision::wait`, and `button` (`"left"`), `clicks` (1), `duration` (seconds each click holds the button
    /// down), `offset_x` and `offset_y` (pixels from the picture's middle).
    ///
    /// Needs `screen = true` and `input = true`, and `read = ["…"]` for a file.
    ///
    /// ```rhai
    /// let corner = screen::capture(#{ region: #{ x: 100, y: 100, width: 40, height: 30 } });
    /// vision::click(corner, #{ button: "middle", offset_x: 4, timeout: 2 });
    /// ```
    #[rhai_fn(name = "click", return_raw)]
    pub fn click_where(context: NativeCallContext, picture: Dynamic, options: Map) -> Returned<Dynamic> {
        super::click(&context, picture, options)
    }

    /// Waits until a part of the screen has not changed for a while: `seconds` (1), at most `timeout` (10), where `x`, `y`, `width`, `height`,
    /// `monitor`, `window` or `zone` say. Gives a map of `zone`, `changes` (how often it changed meanwhile), `execution_time`.
    ///
    /// Raises `TIMEOUT` where it goes on changing. Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(vision::wait_until_still(#{ x: 0, y: 0, width: 100, height: 50, seconds: 0.1 }).changes >= 0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wait_until_still(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        let mut options = options;
        options.retain(|_, value| !value.is_unit());
        let search = words(options).map_err(|failure| raise(failure, context.call_position()))?;
        call(&context, Call::ScreenStill(search))
    }

    /// Waits until a part of the screen changes, at most `timeout` (10) seconds, where `x`, `y`, `width`, `height`, `monitor`, `window` or `zone` say; or
    /// until it shows something else than an `image` that was taken before. Gives what `vision::wait_until_still` gives.
    ///
    /// Raises `TIMEOUT` where it does not change. Needs `screen = true`.
    ///
    /// ```rhai
    /// let before = screen::capture(#{ region: #{ x: 0, y: 0, width: 100, height: 50 } });
    /// let caught = ();
    /// try { vision::wait_for_change(#{ image: before, timeout: 0.1 }); } catch (error) { caught = error; }
    /// assert(caught.code == "TIMEOUT");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wait_for_change(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        let mut options = options;
        let before = image_of(&context, &mut options)?;
        let search = words(options).map_err(|failure| raise(failure, context.call_position()))?;
        call(&context, Call::ScreenChange { before, search })
    }

    /// The colour of a pixel of the screen, `[red, green, blue]`.
    ///
    /// Raises `VALIDATION_ERROR` where the point is on no screen. Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(vision::pixel(5, 5).len() == 3);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pixel(context: NativeCallContext, x: i64, y: i64) -> Returned<Dynamic> {
        let at = |value: i64| i32::try_from(value).unwrap_or(i32::MIN);
        call(&context, Call::ScreenPixel { x: at(x), y: at(y) })
    }

    /// In what two pictures of the same size differ: a map of `same`, `pixels` (how many differ), `part` (of all, 0–1), `regions` (rectangles
    /// around what differs, counted from their corner). A pixel differs where red, green or blue is off by more than `tolerance` (0–255).
    ///
    /// Raises `VALIDATION_ERROR` for pictures of different sizes.
    ///
    /// ```rhai
    /// let part = #{ region: #{ x: 0, y: 0, width: 100, height: 50 } };
    /// assert(vision::difference(screen::capture(part), screen::capture(part), 8).regions.is_empty());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn difference(context: NativeCallContext, first: Image, second: Image, tolerance: i64) -> Returned<Dynamic> {
        let Ok(tolerance) = u8::try_from(tolerance) else {
            return Err(raise(Failure::new(Kind::ValidationError, "give a tolerance from 0 to 255"), context.call_position()));
        };
        call(&context, Call::ImageDifference { first: first.0.image, second: second.0.image, tolerance })
    }
}

/// The call that a search comes to.
fn asked(context: &NativeCallContext, picture: Dynamic, mut options: Map, explain: bool) -> Returned<Call> {
    let image = image_of(context, &mut options)?;
    let mask = options.get("mask").and_then(|mask| mask.clone().try_cast::<Image>()).map(|mask| mask.0.image);
    if mask.is_some() {
        options.remove("mask");
    }
    let needle = picture.clone().try_cast::<Image>().map(|image| image.0.image);
    if needle.is_none() {
        let refused = |_| Failure::new(Kind::ValidationError, "a picture is a file's path, or an image as screen::capture gives it");
        let path = picture.into_string().map_err(|other| raise(refused(other), context.call_position()))?;
        options.insert("picture".into(), path.into());
    }
    let search: PictureSearch = words(options).map_err(|failure| raise(failure, context.call_position()))?;
    Ok(Call::PictureFind { needle, mask, image, search, explain })
}

fn look(context: &NativeCallContext, picture: Dynamic, options: Map) -> Returned<Dynamic> {
    call(context, asked(context, picture, options, true)?)
}

fn sought(context: &NativeCallContext, picture: Dynamic, options: Map) -> Returned<PictureSought> {
    call_for(context, asked(context, picture, options, false)?)
}

fn found(context: &NativeCallContext, picture: Dynamic, options: Map) -> Returned<Dynamic> {
    rhai::serde::to_dynamic(sought(context, picture, options)?.found)
}

fn click(context: &NativeCallContext, picture: Dynamic, mut options: Map) -> Returned<Dynamic> {
    let how = how_to_click(context, &mut options)?;
    let there: Option<FoundPicture> = sought(context, picture, patient(options))?.found;
    if let Some(there) = &there {
        how.click(context, there.center_x, there.center_y)?;
    }
    rhai::serde::to_dynamic(there)
}
