//! `window::` — the windows on the desktop. A window is a map; what is done with it takes its `id`.

use rhai::Map;
use rhai::plugin::*;

use super::screen::Image;
use crate::error::{Failure, Kind};
use crate::host::protocol::Call;
use crate::script::steps::{call, call_for, call_with};
use crate::script::values::{Returned, raise};
use crate::windows::{Act, Filter};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// All windows, the top-most first: a list of maps with `id`, `title`, `class`, `instance`, `pid`, `x`, `y`, `width`, `height` (with the
    /// frame, in physical pixels of the virtual screen), `frame` (`left`, `right`, `top`, `bottom`), `monitor`, `is_focused`,
    /// `is_visible`, `is_minimized`, `is_maximized`, `is_fullscreen`.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// for seen in window::list() {
    ///     log::info(`${seen.title} at ${seen.x}, ${seen.y}`);
    /// }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn list(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::WindowList(Filter::default()))
    }

    /// The windows that fit all that is given: `title` (a part of it, in capital or small letters), `title_regex`, `class` (as `"XTerm"`),
    /// `pid`.
    ///
    /// Needs `screen = true`.
    ///
    /// ```rhai
    /// assert(window::list(#{ title: "a title that no window has" }).is_empty());
    /// ```
    #[rhai_fn(name = "list", return_raw)]
    pub fn list_some(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::WindowList)
    }

    /// What a window is like now.
    ///
    /// Raises `NOT_FOUND` where there is none of this `id`. Needs `screen = true`.
    ///
    /// ```rhai
    /// let caught = ();
    /// try { window::get(1); } catch (error) { caught = error; }
    /// assert(caught.code == "NOT_FOUND");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(context: NativeCallContext, id: i64) -> Returned<Dynamic> {
        let id = super::number(&context, id)?;
        call(&context, Call::WindowGet { id })
    }

    /// Raises a window and lets keys go to it; one that is minimized comes back. Gives what it is like then.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// let found = window::find(#{ title: "Editor" });
    /// if found != () { window::focus(found.id); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn focus(context: NativeCallContext, id: i64) -> Returned<Dynamic> {
        super::act(&context, id, Act::Focus)
    }

    /// Puts the corner of a window's frame at a point; one that is maximized is restored for it. Gives what it is like then: a window manager
    /// may keep it where it is seen.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// let found = window::find(#{ title: "Editor" });
    /// if found != () { window::move(found.id, 100, 50); }
    /// ```
    #[rhai_fn(name = "move", return_raw)]
    pub fn move_to(context: NativeCallContext, id: i64, x: i64, y: i64) -> Returned<Dynamic> {
        let (x, y) = (super::coordinate(&context, "x", x)?, super::coordinate(&context, "y", y)?);
        super::act(&context, id, Act::Move { x, y })
    }

    /// Gives a window a size, frame included; one that is maximized is restored for it. Gives what it is like then: a terminal, say, has whole
    /// lines and columns only.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// let found = window::find(#{ title: "Editor" });
    /// if found != () { window::resize(found.id, 800, 600); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn resize(context: NativeCallContext, id: i64, width: i64, height: i64) -> Returned<Dynamic> {
        let (width, height) = (super::side(&context, "width", width)?, super::side(&context, "height", height)?);
        super::act(&context, id, Act::Resize { width, height })
    }

    /// Puts a window away. Gives what it is like then.
    ///
    /// Needs `input = true`, and a window manager.
    ///
    /// ```rhai
    /// let found = window::find(#{ title: "Editor" });
    /// if found != () { window::minimize(found.id); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn minimize(context: NativeCallContext, id: i64) -> Returned<Dynamic> {
        super::act(&context, id, Act::Minimize)
    }

    /// Lets a window fill its monitor. Gives what it is like then.
    ///
    /// Needs `input = true`, and a window manager.
    ///
    /// ```rhai
    /// let found = window::find(#{ title: "Editor" });
    /// if found != () { window::maximize(found.id); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn maximize(context: NativeCallContext, id: i64) -> Returned<Dynamic> {
        super::act(&context, id, Act::Maximize)
    }

    /// Undoes what was last of minimized, fullscreen and maximized. Gives what the window is like then.
    ///
    /// Needs `input = true`, and a window manager.
    ///
    /// ```rhai
    /// let found = window::find(#{ title: "Editor" });
    /// if found != () { window::restore(found.id); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn restore(context: NativeCallContext, id: i64) -> Returned<Dynamic> {
        super::act(&context, id, Act::Restore)
    }

    /// Asks a window to close, as the cross in its frame does, and waits up to two seconds. Gives `()` where it has, and else what it is like
    /// then: it may ask whether to save first.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// let found = window::find(#{ title: "Editor" });
    /// if found != () { window::close(found.id); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn close(context: NativeCallContext, id: i64) -> Returned<Dynamic> {
        super::act(&context, id, Act::Close)
    }

    /// Takes a picture of a window with its frame, also where others cover it; it is not raised.
    ///
    /// A run keeps its last 32 pictures. Raises `CONFLICT` where the window is minimized. Needs `screen = true`.
    ///
    /// ```rhai
    /// let found = window::find(#{ title: "Editor" });
    /// if found != () { assert(window::capture(found.id).width == found.width); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn capture(context: NativeCallContext, id: i64) -> Returned<Image> {
        let id = super::number(&context, id)?;
        call_for(&context, Call::WindowCapture { id }).map(Image)
    }
}

fn act(context: &NativeCallContext, id: i64, act: Act) -> Returned<Dynamic> {
    let id = number(context, id)?;
    call(context, Call::WindowAct { id, act })
}

/// A number that no window can have is that of none.
fn number(context: &NativeCallContext, id: i64) -> Returned<u32> {
    let gone = || raise(Failure::new(Kind::NotFound, format!("there is no window {id}")), context.call_position());
    u32::try_from(id).map_err(|_| gone())
}

fn coordinate(context: &NativeCallContext, name: &str, value: i64) -> Returned<i32> {
    i32::try_from(value).map_err(|_| out_of_range(context, name, value))
}

fn side(context: &NativeCallContext, name: &str, value: i64) -> Returned<u32> {
    u32::try_from(value).map_err(|_| out_of_range(context, name, value))
}

fn out_of_range(context: &NativeCallContext, name: &str, value: i64) -> Box<rhai::EvalAltResult> {
    raise(Failure::new(Kind::ValidationError, format!("{name} is {value}: no window can have that")), context.call_position())
}
