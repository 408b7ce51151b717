//! Another machine's desktop, through VNC (RFB 3.3, 3.7 and 3.8): its picture, its mouse and keyboard, its clipboard.
//!
//! [`Vnc`] is one connection that stays: a thread of its own keeps it, decodes what comes, and connects anew, with longer and longer
//! pauses, when it breaks. What a server says is believed only within limits: nothing is allocated by its word alone, a message that has
//! begun has to end in time, and what makes no sense ends the connection. What is done with the picture is for other rooms.

mod address;
mod clip;
mod decode;
mod error;
mod handshake;
mod hextile;
mod keys;
mod picture;
mod session;
mod tls;
mod wire;
mod zrle;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use address::Address;
pub use error::Error;
pub use picture::Area;
pub use tls::Trust;

use picture::Picture;

/// How long somebody waits for the first connection.
const FIRST: Duration = Duration::from_secs(20);
/// How long somebody waits for the picture as it is now.
const FRESH: Duration = Duration::from_secs(10);
/// How long to wait for room among the messages that wait.
const ROOM: Duration = Duration::from_millis(5);
/// Messages that wait to be sent.
const WAITING: usize = 1024;
/// More changed areas than this are told as the one around them.
const MANY: usize = 256;

/// Where a desktop is, and how to get in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is called here.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// For servers that want one.
    pub username: Option<String>,
    /// For servers that want one.
    pub password: Option<String>,
    /// Whom to believe that it is the right server. With none of it TLS is used where the server's certificate is one that this machine
    /// trusts anyway; with some of it nothing but TLS is.
    pub trust: Trust,
    /// Width and height that its picture may have at most.
    pub max_size: (u32, u32),
}

/// What the mouse pointer looks like there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its number; another one has another.
    pub id: u32,
    /// Width and height.
    pub size: (u32, u32),
    /// The pixel that points.
    pub hotspot: (u32, u32),
    /// Red, green, blue, and how opaque, of each pixel.
    pub rgba: Vec<u8>,
}

/// Another machine's desktop. The connection ends when this is dropped.
pub struct Vnc {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Vnc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vnc").field("address", &self.shared.settings.address).finish_non_exhaustive()
    }
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
    /// Told of each change of `state` that somebody may wait for.
    changed: Condvar,
    stop: CancellationToken,
}

/// What is known of the desktop.
#[derive(Default)]
struct State {
    /// Where messages to the server go, while it is connected.
    out: Option<mpsc::Sender<Vec<u8>>>,
    /// Why it is not.
    away: Option<String>,
    picture: Picture,
    /// Updates of the picture that came over this connection.
    updates: u64,
    /// The server is to tell of the next change.
    asked: bool,
    watchers: HashMap<u64, Seen>,
    next_watcher: u64,
    pointer: (u16, u16),
    buttons: u8,
    cursor: Option<Arc<Cursor>>,
    cursors: u32,
    /// The text on its clipboard, as far as it was told.
    clipboard: String,
    /// Counts the texts that came onto it.
    copied: watch::Sender<u64>,
    /// A text of ours, for when it asks.
    offered: Option<String>,
    /// It asks for texts, and gives them, in UTF-8.
    extended_clipboard: bool,
    /// It takes keys by where they are.
    key_codes: bool,
}

/// What somebody who watches has not looked at yet.
struct Seen {
    wake: Arc<dyn Fn() + Send + Sync>,
    changes: Vec<Area>,
    picture: bool,
    pointer: bool,
}

/// Somebody who watches. While there is one, the server is asked for each change.
pub struct Watcher {
    shared: Arc<Shared>,
    id: u64,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Vnc {
    /// Connects, and stays connected. Blocks until that has worked once.
    ///
    /// # Errors
    /// [`Error::Away`] with the reason.
    pub fn connect(settings: Settings) -> Result<Self, Error> {
        let shared = Arc::new(Shared { settings, state: Mutex::default(), changed: Condvar::new(), stop: CancellationToken::new() });
        let kept = Arc::clone(&shared);
        let started = std::thread::Builder::new().name("vnc".to_owned()).spawn(move || session::keep(&kept));
        let thread = started.map_err(|error| shared.away(&error.to_string()))?;
        // From here on a failure drops it, which ends the thread.
        let this = Self { shared, thread: Mutex::new(Some(thread)) };
        let end = Instant::now() + FIRST;
        let state = this.shared.wait(end, |state| (state.out.is_some() && state.updates > 0) || state.away.is_some());
        state.up(&this.shared)?;
        let is_seen = state.updates > 0;
        drop(state);
        if is_seen { Ok(this) } else { Err(this.shared.away("it connects, and shows no picture")) }
    }

    /// Ends the connection for good.
    pub fn close(&self) {
        self.shared.stop.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.shared.settings.address
    }

    /// Width and height of its picture.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn size(&self) -> Result<(u32, u32), Error> {
        let state = self.shared.lock();
        state.up(&self.shared)?;
        Ok(state.picture.size())
    }

    /// The pixels of a part of its picture, which must lie in it: blue, green, red and one that means nothing, row by row.
    ///
    /// # Errors
    /// [`Error::Away`]; [`Error::Changed`] where the picture has another size by now.
    pub fn grab(&self, area: Area) -> Result<Vec<u8>, Error> {
        let mut state = self.shared.lock();
        state.up(&self.shared)?;
        // While somebody watches, every change comes by itself.
        if state.watchers.is_empty() {
            let before = state.updates;
            let (width, height) = state.picture.size();
            if !state.asked {
                state.send(&self.shared, wire::update_request(true, (width, height)))?;
                state.asked = true;
            }
            // The server may have nothing new to say: it is asked for one pixel as well, whatever it is.
            state.send(&self.shared, wire::update_request(false, (1, 1)))?;
            drop(state);
            state = self.shared.wait(Instant::now() + FRESH, |state| state.updates != before || state.out.is_none());
            state.up(&self.shared)?;
            if state.updates == before {
                return Err(self.shared.away("it does not answer, though it is connected"));
            }
        }
        state.picture.part(area).ok_or_else(|| Error::Changed(self.shared.settings.name.clone()))
    }

    /// Watches from now on; `wake` is called at each change, and when the connection breaks.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Watcher, Error> {
        let mut state = self.shared.lock();
        state.up(&self.shared)?;
        let id = state.next_watcher;
        state.next_watcher += 1;
        state.watchers.insert(id, Seen { wake, changes: Vec::new(), picture: false, pointer: false });
        state.ask(&self.shared)?;
        drop(state);
        Ok(Watcher { shared: Arc::clone(&self.shared), id })
    }

    /// Where its pointer is, as far as it was moved from here.
    pub fn pointer(&self) -> (u32, u32) {
        let (x, y) = self.shared.lock().pointer;
        (x.into(), y.into())
    }

    /// Moves its pointer, to a point that lies in the picture.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn point(&self, x: u32, y: u32) -> Result<(), Error> {
        let inside = |at: u32| u16::try_from(at).unwrap_or(u16::MAX);
        self.press(|state| state.pointer = (inside(x), inside(y)))
    }

    /// Presses or releases a button: 0 is the left one, 1 the middle one, 2 the right one, 3 to 6 turn the wheel up, down, left, right.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn button(&self, number: u8, down: bool) -> Result<(), Error> {
        let bit = 1u8.checked_shl(number.into()).unwrap_or(0);
        self.press(|state| state.buttons = if down { state.buttons | bit } else { state.buttons & !bit })
    }

    fn press(&self, change: impl Fn(&mut State)) -> Result<(), Error> {
        self.push(|state| {
            change(state);
            wire::pointer(state.buttons, state.pointer)
        })?;
        let mut state = self.shared.lock();
        state.watchers.values_mut().for_each(|seen| seen.pointer = true);
        state.wake();
        Ok(())
    }

    /// Sends a message; where too many wait already, as soon as there is room.
    fn push(&self, make: impl Fn(&mut State) -> Vec<u8>) -> Result<(), Error> {
        let end = Instant::now() + FRESH;
        loop {
            let mut state = self.shared.lock();
            state.up(&self.shared)?;
            let message = make(&mut state);
            let sent = state.send(&self.shared, message);
            if sent.is_ok() || Instant::now() >= end {
                return sent;
            }
            drop(state);
            std::thread::sleep(ROOM);
        }
    }

    /// Whether the server goes by where keys are: as a machine's keyboard, it may remember few keys at a time.
    pub fn goes_by_place(&self) -> bool {
        self.shared.lock().key_codes
    }

    /// Presses or releases a key, by its X keysym.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn key(&self, keysym: u32, down: bool) -> Result<(), Error> {
        self.push(|state| {
            let place = if state.key_codes { keys::code(keysym) } else { None };
            wire::key(keysym, place.map(|place| place.code), down)
        })
    }

    /// Types what a key stands for: presses and releases it, with Shift where the server goes by where keys are.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn tap(&self, keysym: u32) -> Result<(), Error> {
        self.push(|state| {
            let place = if state.key_codes { keys::code(keysym) } else { None };
            let shifted = place.is_some_and(|place| place.shift);
            let shift = |down| wire::key(keys::SHIFT, keys::code(keys::SHIFT).map(|place| place.code), down);
            let mut message = if shifted { shift(true) } else { Vec::new() };
            for down in [true, false] {
                message.extend(wire::key(keysym, place.map(|place| place.code), down));
            }
            if shifted {
                message.extend(shift(false));
            }
            message
        })
    }

    /// What its pointer looks like, where it was told.
    pub fn cursor(&self) -> Option<Arc<Cursor>> {
        self.shared.lock().cursor.clone()
    }

    /// The text on its clipboard, as far as it was told.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn clipboard(&self) -> Result<String, Error> {
        let state = self.shared.lock();
        state.up(&self.shared)?;
        Ok(state.clipboard.clone())
    }

    /// Puts a text on its clipboard.
    ///
    /// # Errors
    /// [`Error::Away`]; [`Error::NotLatin`] where the server takes no other letters, [`Error::LongText`].
    pub fn set_clipboard(&self, text: &str) -> Result<(), Error> {
        if text.len() > clip::LONGEST {
            return Err(Error::LongText);
        }
        let mut state = self.shared.lock();
        state.up(&self.shared)?;
        let message = if state.extended_clipboard { clip::notify() } else { clip::latin(text).ok_or(Error::NotLatin)? };
        state.send(&self.shared, message)?;
        state.offered = Some(text.to_owned());
        state.copy(text.to_owned());
        Ok(())
    }

    /// Changes with each text that comes onto its clipboard from now on.
    pub fn clipboard_changes(&self) -> watch::Receiver<u64> {
        self.shared.lock().copied.subscribe()
    }
}

impl Drop for Vnc {
    fn drop(&mut self) {
        self.close();
    }
}

impl Watcher {
    /// Whether the picture, and the pointer, have changed since this was asked last.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn heard(&self) -> Result<(bool, bool), Error> {
        let mut state = self.shared.lock();
        state.up(&self.shared)?;
        let seen = state.watchers.get_mut(&self.id);
        Ok(seen.map_or((false, false), |seen| (std::mem::take(&mut seen.picture), std::mem::take(&mut seen.pointer))))
    }

    /// Where the picture has changed since this was asked last.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub fn changes(&self) -> Result<Vec<Area>, Error> {
        let mut state = self.shared.lock();
        state.up(&self.shared)?;
        Ok(state.watchers.get_mut(&self.id).map(|seen| std::mem::take(&mut seen.changes)).unwrap_or_default())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.lock().watchers.remove(&self.id);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is so, or `end`.
    fn wait(&self, end: Instant, is_so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if is_so(&state) || left.is_zero() {
                return state;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn away(&self, reason: &str) -> Error {
        Error::Away { name: self.settings.name.clone(), address: self.settings.address.to_string(), reason: reason.to_owned() }
    }
}

impl State {
    /// A text comes onto the clipboard.
    fn copy(&mut self, text: String) {
        self.clipboard = text;
        self.copied.send_modify(|copied| *copied += 1);
    }

    /// Refuses where there is no connection.
    fn up(&self, shared: &Shared) -> Result<(), Error> {
        match &self.out {
            Some(_) => Ok(()),
            None => Err(shared.away(self.away.as_deref().unwrap_or("it takes long to connect"))),
        }
    }

    fn send(&self, shared: &Shared, message: Vec<u8>) -> Result<(), Error> {
        let out = self.out.as_ref().ok_or_else(|| shared.away("the connection broke"))?;
        out.try_send(message).map_err(|_| shared.away("it takes nothing of what is sent"))
    }

    /// Asks for the next change, where that is not asked for yet.
    fn ask(&mut self, shared: &Shared) -> Result<(), Error> {
        if !self.asked {
            self.send(shared, wire::update_request(true, self.picture.size()))?;
            self.asked = true;
        }
        Ok(())
    }

    /// Notes for those who watch that an area has changed.
    fn note(&mut self, area: Area) {
        for seen in self.watchers.values_mut() {
            if seen.changes.len() >= MANY {
                let around = seen.changes.drain(..).reduce(Area::around);
                seen.changes.extend(around);
            }
            seen.changes.push(area);
            seen.picture = true;
        }
    }

    fn wake(&self) {
        self.watchers.values().for_each(|seen| (seen.wake)());
    }
}
