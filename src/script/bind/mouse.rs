//! `mouse::` — the pointer and its buttons. Coordinates are physical pixels of the whole virtual screen.

use rhai::Map;
use rhai::plugin::*;

use crate::error::{Failure, Kind};
use crate::host::protocol::Call;
use crate::script::steps::{call, call_with};
use crate::script::values::{Returned, raise};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// Clicks with the left button at a point.
    ///
    /// Raises `VALIDATION_ERROR` where the point is on no screen; then nothing is clicked. Needs `input = true`.
    ///
    /// ```rhai
    /// mouse::click(200, 100);
    /// assert(mouse::position().x == 200);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn click(context: NativeCallContext, x: i64, y: i64) -> Returned<Dynamic> {
        call_with(&context, point(x, y), Call::MouseClick)
    }

    /// Clicks as described: `x`, `y`, `button` (`"left"`, `"right"`, `"middle"`), `clicks` (1–100), `duration` (seconds a click holds). With the name of
    /// a `zone`, `x` and `y` count from its corner; without them the click is in its middle.
    ///
    /// Needs `input = true`, and `screen = true` for a zone.
    ///
    /// ```rhai
    /// mouse::click(#{ x: 200, y: 100, button: "right" });
    /// keyboard::press("esc");
    /// ```
    #[rhai_fn(name = "click", return_raw)]
    pub fn click_as(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        let options = super::in_zone(&context, options)?;
        call_with(&context, options, Call::MouseClick)
    }

    /// Moves the pointer to a point at once.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// mouse::move_to(10, 20);
    /// assert(mouse::position() == #{ x: 10, y: 20 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn move_to(context: NativeCallContext, x: i64, y: i64) -> Returned<Dynamic> {
        call_with(&context, point(x, y), Call::MouseMove)
    }

    /// Moves the pointer as described: `x`, `y`, `duration` (seconds the way takes).
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// mouse::move_to(#{ x: 300, y: 200, duration: 0.1 });
    /// assert(mouse::position().y == 200);
    /// ```
    #[rhai_fn(name = "move_to", return_raw)]
    pub fn move_as(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::MouseMove)
    }

    /// Presses at one point and releases at another: `from_x`, `from_y`, `to_x`, `to_y`, `button`, `duration` (seconds, 0.25).
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// mouse::drag(#{ from_x: 10, from_y: 10, to_x: 60, to_y: 40, duration: 0.05 });
    /// assert(mouse::position() == #{ x: 60, y: 40 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn drag(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::MouseDrag)
    }

    /// Turns the wheel: `dy` steps down, `dx` steps to the right, at `x`, `y` where given.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// mouse::scroll(#{ x: 100, y: 100, dy: 3 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn scroll(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::MouseScroll)
    }

    /// Presses a button and keeps it down: `button`, and `x`, `y` where the pointer is to go first.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// mouse::down(#{ x: 50, y: 50 });
    /// mouse::up(#{});
    /// ```
    #[rhai_fn(return_raw)]
    pub fn down(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::MouseDown)
    }

    /// Lets a button go: `button`, and `x`, `y` where the pointer is to go first.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// mouse::down(#{ button: "left" });
    /// mouse::up(#{ button: "left" });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn up(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::MouseUp)
    }

    /// Where the pointer is: a map of `x` and `y`.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// mouse::move_to(5, 6);
    /// assert(mouse::position().x == 5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn position(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::MousePosition)
    }
}

/// A point that counts from the corner of a zone, as one of the virtual screen.
fn in_zone(context: &NativeCallContext, mut options: Map) -> Returned<Map> {
    let Some(name) = options.remove("zone").filter(|name| !name.is_unit()) else { return Ok(options) };
    let refused = |message: &str| raise(Failure::new(Kind::ValidationError, message), context.call_position());
    let name = name.into_immutable_string().map_err(|_| refused("`zone` is the name of a zone"))?;
    let zone = super::screen::zone(context, &name)?;
    let number = |name: &str| zone.get(name).and_then(|value| value.as_int().ok()).unwrap_or_default();
    for (axis, middle) in [("x", "center_x"), ("y", "center_y")] {
        let at = match options.get(axis).filter(|value| !value.is_unit()) {
            None => number(middle),
            Some(offset) => offset.as_int().map_err(|_| refused("x and y are whole numbers"))?.saturating_add(number(axis)),
        };
        options.insert(axis.into(), at.into());
    }
    Ok(options)
}

fn point(x: i64, y: i64) -> Map {
    Map::from([("x".into(), x.into()), ("y".into(), y.into())])
}
