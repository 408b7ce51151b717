//! Hearing what the mouse and the keyboard of an X display do, through RECORD, which the server tells everything that its devices do:
//! those that hands move, and those that XTEST moves.
//!
//! There are two connections, as RECORD wants it: over one the server tells, and does nothing else; over the other is asked what a key
//! means, and said that it is enough.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use x11rb::connection::{Connection, RequestConnection as _};
use x11rb::protocol::record::{self, ConnectionExt as _};
use x11rb::protocol::xkb::{self, ConnectionExt as _, MapPart};
use x11rb::protocol::xproto::{self, ConnectionExt as _, KeyButMask, KeyPressEvent};
use x11rb::rust_connection::RustConnection;
use x11rb::x11_utils::TryParse as _;

use super::keymap::Keymap;
use super::listen::{Deed, Ear, Heard, Modifiers, Stroke};
use super::x11::Broken;
use super::{Button, Error, Point};

/// What is told when there is something to tell, and when the telling ends.
const FROM_SERVER: u8 = 0;
const END_OF_DATA: u8 = 5;
/// The core device of XKB.
const CORE: xkb::DeviceSpec = 0x100;
const ALT_KEYS: [u32; 4] = [0xffe9, 0xffea, 0xffe7, 0xffe8];
const WIN_KEYS: [u32; 2] = [0xffeb, 0xffec];

/// Whoever holds it listens.
struct Listener {
    control: Arc<RustConnection>,
    context: record::Context,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The thread ends with what it is told; where the connection is broken it has ended already.
        let _ = self.control.record_disable_context(self.context);
        let _ = self.control.record_free_context(self.context);
        let _ = self.control.flush();
    }
}

/// Begins to listen to a display.
pub(super) fn listen(display: &str, mut ear: Ear) -> Result<Box<dyn Send + Sync>, Error> {
    let unavailable = |reason: String| Error::Unavailable { display: display.to_owned(), reason };
    let connect =
        || RustConnection::connect(Some(display)).map(|(connection, _)| connection).map_err(|error| unavailable(error.to_string()));
    let (control, data) = (Arc::new(connect()?), connect()?);
    let told = |broken: Broken| match broken {
        Broken::Connection(reason) => unavailable(reason),
        Broken::Other(error) => error,
    };
    for connection in [&*control, &data] {
        let known = connection.extension_information(record::X11_EXTENSION_NAME).map_err(|error| unavailable(error.to_string()))?;
        if known.is_none() {
            return Err(Error::Lacking(format!("the X server of {display} has no RECORD")));
        }
    }
    let context = begin(&control).map_err(told)?;
    let listener = Listener { control: Arc::clone(&control), context };
    let thread = std::thread::Builder::new().name("listener".to_owned()).spawn(move || {
        let reason = follow(&control, &data, context, &mut ear).err().map(|broken| match broken {
            Broken::Connection(reason) => reason,
            Broken::Other(error) => error.to_string(),
        });
        let (point, held) = (Point { x: 0, y: 0 }, Modifiers::default());
        ear(Heard { at: SystemTime::now(), point, held, deed: Deed::End(reason) });
    });
    thread.map_err(|error| Error::Failed(format!("nobody can listen: {error}")))?;
    Ok(Box::new(listener))
}

fn begin(control: &RustConnection) -> Result<record::Context, Broken> {
    let (major, minor) = record::X11_XML_VERSION;
    let known = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    control.record_query_version(known(major), known(minor))?.reply()?;
    control.xkb_use_extension(1, 0)?.reply()?;
    let context = control.generate_id().map_err(|error| Broken::Connection(error.to_string()))?;
    let none = record::Range8 { first: 0, last: 0 };
    let no_extension = record::ExtRange { major: none, minor: record::Range16 { first: 0, last: 0 } };
    let range = record::Range {
        core_requests: none,
        core_replies: none,
        ext_requests: no_extension,
        ext_replies: no_extension,
        delivered_events: none,
        // Without the pointer's ways, which are many and say nothing.
        device_events: record::Range8 { first: xproto::KEY_PRESS_EVENT, last: xproto::BUTTON_RELEASE_EVENT },
        errors: none,
        client_started: false,
        client_died: false,
    };
    control.record_create_context(context, 0, &[record::CS::ALL_CLIENTS.into()], &[range])?.check()?;
    Ok(context)
}

/// The server's clock beside ours: however late an event is heard, the time between two of them is as it was.
#[derive(Default)]
struct Clock(Option<(SystemTime, u32)>);

impl Clock {
    fn at(&mut self, time: u32) -> SystemTime {
        let (ours, theirs) = *self.0.get_or_insert_with(|| (SystemTime::now(), time));
        // It begins anew every seven weeks.
        ours + Duration::from_millis(time.wrapping_sub(theirs).into())
    }
}

/// Tells what is heard until it is enough.
fn follow(control: &RustConnection, data: &RustConnection, context: record::Context, ear: &mut Ear) -> Result<(), Broken> {
    let mut clock = Clock::default();
    for reply in data.record_enable_context(context)? {
        let reply = reply?;
        match reply.category {
            END_OF_DATA => return Ok(()),
            FROM_SERVER if !reply.client_swapped => {
                let mut rest = &reply.data[..];
                while !rest.is_empty() {
                    // All four kinds of events have the same fields.
                    let Ok((event, after)) = KeyPressEvent::try_parse(rest) else { break };
                    let at = clock.at(event.time);
                    if let Some(heard) = understand(control, &event, at)? {
                        ear(heard);
                    }
                    rest = after;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn understand(control: &RustConnection, event: &KeyPressEvent, at: SystemTime) -> Result<Option<Heard>, Broken> {
    let state = u16::from(event.state);
    let is_key = matches!(event.response_type, xproto::KEY_PRESS_EVENT | xproto::KEY_RELEASE_EVENT);
    let down = matches!(event.response_type, xproto::KEY_PRESS_EVENT | xproto::BUTTON_PRESS_EVENT);
    // Asked each time, as whoever types may have changed it for a single character.
    let keymap = keymap(control)?;
    let deed = if is_key {
        let symbol = keymap.typed(event.detail, state);
        symbol.map(|symbol| Deed::Key(Stroke::of(symbol, keymap.shortcut(event.detail, state)), down))
    } else {
        match (event.detail, down) {
            (1, _) => Some(Deed::Button(Button::Left, down)),
            (2, _) => Some(Deed::Button(Button::Middle, down)),
            (3, _) => Some(Deed::Button(Button::Right, down)),
            (4, true) => Some(Deed::Wheel { dx: 0, dy: -1 }),
            (5, true) => Some(Deed::Wheel { dx: 0, dy: 1 }),
            (6, true) => Some(Deed::Wheel { dx: -1, dy: 0 }),
            (7, true) => Some(Deed::Wheel { dx: 1, dy: 0 }),
            _ => None,
        }
    };
    let is_down = |mask: u16| state & mask != 0;
    let held = Modifiers {
        ctrl: is_down(KeyButMask::CONTROL.into()),
        alt: is_down(keymap.mask_of(&ALT_KEYS)),
        shift: is_down(KeyButMask::SHIFT.into()),
        win: is_down(keymap.mask_of(&WIN_KEYS)),
    };
    let point = Point { x: event.root_x.into(), y: event.root_y.into() };
    Ok(deed.map(|deed| Heard { at, point, held, deed }))
}

fn keymap(connection: &RustConnection) -> Result<Keymap, Broken> {
    let (parts, nothing) = (MapPart::KEY_TYPES | MapPart::KEY_SYMS, MapPart::from(0u16));
    let map = connection.xkb_get_map(CORE, parts, nothing, 0, 0, 0, 0, 0, 0, 0, 0, xkb::VMod::from(0u16), 0, 0, 0, 0, 0, 0)?;
    let state = connection.xkb_get_state(CORE)?;
    let modifiers = connection.get_modifier_mapping()?;
    let map = map.reply()?;
    // Changes are heard of on every connection, and asked about here.
    while connection.poll_for_event()?.is_some() {}
    Ok(Keymap::new(map, &state.reply()?, &modifiers.reply()?))
}
