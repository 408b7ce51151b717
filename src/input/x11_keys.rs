//! The keys of an X keyboard: those that the layout has, and spare ones that are given the symbols that it has not.
//!
//! A client learns of a changed key by a message and then asks the server what the key means *now*, whenever it gets round to it. So
//! a key that was given a symbol keeps it: all the symbols a text needs are given out in one request (each one makes every client
//! read the keyboard anew), clients get time to notice, and the keys go back only when nothing has been typed for a while.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use x11rb::connection::Connection;
use x11rb::protocol::xkb::{self, ConnectionExt as _, MapPart, NameDetail};
use x11rb::protocol::xproto::{ConnectionExt as _, Keycode, ModMask, Window};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use super::keymap::{Chord, Keymap};
use super::pause::pause;
use super::x11::{Broken, KEY_PRESS, KEY_RELEASE};
use super::{Error, Footprints, Key, Physical};

/// How long clients get to notice that keys have changed.
const NOTICE: Duration = Duration::from_millis(50);
/// How long clients get to read what was typed before a key they may still have to look up changes its meaning.
const READ: Duration = Duration::from_millis(150);
/// How long nothing is typed before spare keys go back.
const IDLE: Duration = Duration::from_secs(3);
/// The core device of XKB.
const CORE: xkb::DeviceSpec = 0x100;
/// XF86 keysyms: keys of multimedia keyboards, which are borrowed where there are no spare ones.
const VENDOR: std::ops::RangeInclusive<u32> = 0x1008_0000..=0x1008_ffff;
/// Keys that spare ones must not be: some toolkits have no room for the first.
const NEVER: [Keycode; 1] = [8];

/// A key that was given another symbol.
struct Lent {
    code: Keycode,
    /// What it meant before.
    before: Vec<u32>,
    used: Instant,
}

#[derive(Default)]
struct State {
    lent: HashMap<Key, Lent>,
    /// What the text being typed needs.
    plan: HashMap<Key, Chord>,
    /// Keys pressed for each key held down.
    held: HashMap<Key, Vec<Keycode>>,
    /// A text is being typed: nothing may change.
    active: bool,
    caps_was_on: bool,
    last: Option<Instant>,
    returner: bool,
}

impl State {
    /// Whether a lent key cannot be taken away now.
    fn needs(&self, key: &Key) -> bool {
        self.plan.contains_key(key) || self.held.contains_key(key)
    }
}

struct Inner {
    connection: Arc<RustConnection>,
    root: Window,
    footprints: Arc<Footprints>,
    state: Mutex<State>,
}

/// The keyboard of one connection.
pub(super) struct Keys {
    inner: Arc<Inner>,
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The connection may be what was lost; then the keys are as well.
        let mut state = self.inner.lock();
        let _ = self.inner.give_back(&mut state);
    }
}

impl Keys {
    pub(super) fn new(connection: Arc<RustConnection>, root: Window, footprints: Arc<Footprints>) -> Self {
        Self { inner: Arc::new(Inner { connection, root, footprints, state: Mutex::default() }) }
    }

    /// See [`super::Backend::physical`].
    pub(super) fn physical(&self, key: Physical, down: bool) -> Result<(), Broken> {
        let code = self.inner.code_at(key)?.ok_or_else(|| Error::NoKey(format!("the key {}", key.code())))?;
        let mut state = self.inner.lock();
        self.inner.fake(if down { KEY_PRESS } else { KEY_RELEASE }, code)?;
        state.last = Some(Instant::now());
        Ok(())
    }

    /// See [`super::Backend::prepare`].
    pub(super) fn prepare(&self, text: &[Key], cancel: &CancellationToken) -> Result<usize, Broken> {
        let mut state = self.inner.lock();
        let keymap = self.inner.keymap()?;
        let caps = u16::from(ModMask::LOCK);
        if keymap.locked & caps != 0 {
            state.caps_was_on = true;
            self.inner.lock_caps(false)?;
        }
        let down = keymap.down | (keymap.locked & !caps);
        let ready = self.inner.plan(&mut state, &keymap, text, down, cancel)?;
        state.active = true;
        Ok(ready)
    }

    /// See [`super::Backend::tap`].
    pub(super) fn tap(&self, key: Key) -> Result<(), Broken> {
        let mut state = self.inner.lock();
        // Without a plan the connection is a new one: the text's beginning is lost, and its end alone would be wrong.
        let chord = *state.plan.get(&key).ok_or_else(|| Error::Failed("the display was restarted while typing".to_owned()))?;
        let codes = chord.codes();
        for code in &codes {
            self.inner.fake(KEY_PRESS, *code)?;
        }
        for code in codes.iter().rev() {
            self.inner.fake(KEY_RELEASE, *code)?;
        }
        state.last = Some(Instant::now());
        Ok(())
    }

    /// See [`super::Backend::settle`].
    pub(super) fn settle(&self) -> Result<(), Broken> {
        let mut state = self.inner.lock();
        state.active = false;
        state.plan.clear();
        if std::mem::take(&mut state.caps_was_on) {
            self.inner.lock_caps(true)?;
            self.inner.connection.flush()?;
        }
        self.return_later(&mut state);
        Ok(())
    }

    /// Presses a key and the modifiers that it needs.
    pub(super) fn press(&self, key: Key) -> Result<(), Broken> {
        let mut state = self.inner.lock();
        if state.held.contains_key(&key) {
            return Ok(());
        }
        let keymap = self.inner.keymap()?;
        // Modifiers held down are meant to go with the key, not to choose its symbol; locks count, as for NumLock and the digits.
        let locked = keymap.locked & !u16::from(ModMask::LOCK);
        let chord = match keymap.find(key, locked).or_else(|| keymap.find_anywhere(key)) {
            Some(chord) => chord,
            None => {
                let never = CancellationToken::new();
                self.inner.plan(&mut state, &keymap, &[key], locked, &never)?;
                self.return_later(&mut state);
                *state.plan.get(&key).ok_or_else(|| Error::NoKey(key.describe()))?
            }
        };
        let codes = if keymap.shift_down() { Chord { shift: None, ..chord }.codes() } else { chord.codes() };
        // Remembered before they go out, so that a release finds them whatever happens.
        state.held.insert(key, codes.clone());
        for code in codes {
            self.inner.fake(KEY_PRESS, code)?;
        }
        state.last = Some(Instant::now());
        Ok(())
    }

    /// Releases what [`Keys::press`] pressed; without that, the key itself, which somebody else may hold.
    pub(super) fn release(&self, key: Key) -> Result<(), Broken> {
        let mut state = self.inner.lock();
        let codes = match state.held.remove(&key) {
            Some(codes) => codes,
            None => {
                let keymap = self.inner.keymap()?;
                keymap.find(key, 0).or_else(|| keymap.find_anywhere(key)).map(|chord| vec![chord.code]).unwrap_or_default()
            }
        };
        for code in codes.iter().rev() {
            self.inner.fake(KEY_RELEASE, *code)?;
        }
        Ok(())
    }

    /// Sees to it that lent keys go back some time.
    fn return_later(&self, state: &mut State) {
        if state.lent.is_empty() || state.returner {
            return;
        }
        let weak = Arc::downgrade(&self.inner);
        // Without a thread they stay lent until the connection closes.
        state.returner = std::thread::Builder::new().name("spare-keys".to_owned()).spawn(move || return_when_idle(&weak)).is_ok();
    }
}

/// Gives lent keys back once nothing was typed for a while.
fn return_when_idle(weak: &Weak<Inner>) {
    loop {
        std::thread::sleep(IDLE / 6);
        let Some(inner) = weak.upgrade() else { return };
        let mut state = inner.lock();
        let idle = state.last.is_none_or(|last| last.elapsed() >= IDLE);
        if idle && !state.active && state.held.is_empty() {
            state.returner = false;
            let _ = inner.give_back(&mut state);
            return;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The code of the key at that place, by the names that the server's keyboard has for places.
    fn code_at(&self, key: Physical) -> Result<Option<Keycode>, Broken> {
        let names = self.connection.xkb_get_names(CORE, NameDetail::KEY_NAMES | NameDetail::KEY_ALIASES)?.reply()?;
        let (keys, aliases) = (names.value_list.key_names.unwrap_or_default(), names.value_list.key_aliases.unwrap_or_default());
        let wanted = key.xkb_name();
        let real = aliases.iter().find(|alias| alias.alias == wanted).map_or(wanted, |alias| alias.real);
        let at = keys.iter().position(|key| key.name == wanted || key.name == real);
        Ok(at.and_then(|at| names.first_key.checked_add(u8::try_from(at).ok()?)))
    }

    fn fake(&self, kind: u8, code: Keycode) -> Result<(), Broken> {
        if kind == KEY_PRESS {
            self.footprints.press(code);
        }
        self.connection.xtest_fake_input(kind, code, 0, self.root, 0, 0, 0)?.ignore_error();
        Ok(())
    }

    fn lock_caps(&self, on: bool) -> Result<(), Broken> {
        let to = if on { ModMask::LOCK } else { ModMask::from(0u16) };
        let none = ModMask::from(0u16);
        self.connection.xkb_latch_lock_state(CORE, ModMask::LOCK, to, false, xkb::Group::M1, none, false, 0)?.ignore_error();
        Ok(())
    }

    /// The keyboard as it is now. Asked each time: a layout may be changed at any moment, and the answer takes a fraction of a
    /// millisecond.
    fn keymap(&self) -> Result<Keymap, Broken> {
        let parts = MapPart::KEY_TYPES | MapPart::KEY_SYMS;
        let nothing = MapPart::from(0u16);
        let none = xkb::VMod::from(0u16);
        let map = self.connection.xkb_get_map(CORE, parts, nothing, 0, 0, 0, 0, 0, 0, 0, 0, none, 0, 0, 0, 0, 0, 0)?;
        let state = self.connection.xkb_get_state(CORE)?;
        let modifiers = self.connection.get_modifier_mapping()?;
        Ok(Keymap::new(map.reply()?, &state.reply()?, &modifiers.reply()?))
    }

    /// Finds a key for as many symbols of `text` as there can be at once, and gives spare keys to those that have none.
    fn plan(&self, state: &mut State, keymap: &Keymap, text: &[Key], down: u16, cancel: &CancellationToken) -> Result<usize, Broken> {
        state.plan.clear();
        let mut ready = text.len();
        let mut missing: Vec<Key> = Vec::new();
        let mut spare: Option<Spare> = None;
        for (index, key) in text.iter().enumerate() {
            if state.plan.contains_key(key) || missing.contains(key) {
                continue;
            }
            let found = keymap.find(*key, down);
            let lent = state.lent.contains_key(key);
            if found.is_none() || lent {
                let room = match &spare {
                    Some(spare) => spare.count,
                    None => spare.insert(self.spare(state)?).count,
                };
                // Lent keys that this chunk uses already cannot be given away for it.
                let taken = state.lent.keys().filter(|lent| state.needs(lent)).count();
                if missing.len() + taken >= room {
                    ready = index;
                    break;
                }
            }
            match found {
                None => missing.push(*key),
                Some(chord) => {
                    state.plan.insert(*key, chord);
                    if let Some(lent) = state.lent.get_mut(key) {
                        lent.used = Instant::now();
                    }
                }
            }
        }
        if ready == 0 {
            let key = text.first().map_or_else(String::new, |key| key.describe());
            return Err(Error::NoKey(key).into());
        }
        if let Some(spare) = spare.filter(|_| !missing.is_empty()) {
            self.lend(state, spare, &missing, cancel)?;
        }
        Ok(ready)
    }

    /// The keys that can be given a symbol: those that have none, and if they are few, those of multimedia keyboards.
    fn spare(&self, state: &State) -> Result<Spare, Broken> {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let count = last.saturating_sub(first).saturating_add(1);
        let reply = self.connection.get_keyboard_mapping(first, count)?.reply()?;
        let each = usize::from(reply.keysyms_per_keycode.max(1));
        let lent: HashSet<Keycode> = state.lent.values().map(|lent| lent.code).collect();
        let (mut empty, mut vendor) = (Vec::new(), Vec::new());
        for (code, symbols) in (first..=last).zip(reply.keysyms.chunks(each)) {
            if NEVER.contains(&code) || lent.contains(&code) {
                continue;
            }
            if symbols.iter().all(|symbol| *symbol == 0) || left_over(symbols) {
                empty.push(code);
            } else if symbols.iter().all(|symbol| *symbol == 0 || VENDOR.contains(symbol)) {
                vendor.push(code);
            }
        }
        if empty.len() + lent.len() < 8 {
            vendor.extend(empty);
            empty = vendor;
        }
        Ok(Spare { first, each, count: empty.len() + lent.len(), free: empty, symbols: reply.keysyms })
    }

    /// Gives each missing symbol a key, all in one request, and waits until clients have noticed.
    fn lend(&self, state: &mut State, mut spare: Spare, missing: &[Key], cancel: &CancellationToken) -> Result<(), Broken> {
        let mut changed: Vec<(Keycode, Key, Vec<u32>)> = Vec::new();
        if missing.len() > spare.free.len()
            && let Some(last) = state.last
        {
            pause(READ.saturating_sub(last.elapsed()), cancel)?;
        }
        for key in missing {
            // From the top: the keys there are the least likely to mean something, and nearest to one another.
            if let Some(code) = spare.free.pop() {
                let before = spare.symbols_of(code).to_vec();
                changed.push((code, *key, if left_over(&before) { vec![0; before.len()] } else { before }));
                continue;
            }
            let oldest = state.lent.iter().filter(|(key, _)| !state.needs(key)).min_by_key(|(_, lent)| lent.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { return Err(Error::NoKey(key.describe()).into()) };
            if let Some(lent) = state.lent.remove(&oldest) {
                changed.push((lent.code, *key, lent.before));
            }
        }
        for (code, key, before) in changed {
            // On both levels, so that Shift, should it be held, makes no difference.
            spare.set(code, &[key.0, key.0]);
            state.lent.insert(key, Lent { code, before, used: Instant::now() });
            state.plan.insert(key, Chord { code, shift: None, level3: None });
        }
        let codes: Vec<Keycode> = missing.iter().filter_map(|key| state.lent.get(key)).map(|lent| lent.code).collect();
        self.write(&spare, &codes)?;
        pause(NOTICE, cancel)?;
        Ok(())
    }

    fn give_back(&self, state: &mut State) -> Result<(), Broken> {
        if state.lent.is_empty() {
            return Ok(());
        }
        if let Some(last) = state.last {
            std::thread::sleep(READ.saturating_sub(last.elapsed()));
        }
        let mut spare = self.spare(state)?;
        let mut codes = Vec::new();
        for (key, lent) in state.lent.drain() {
            // Somebody may have loaded another layout meanwhile; what that put there stays.
            if spare.symbols_of(lent.code).first() == Some(&key.0) {
                spare.set(lent.code, &lent.before);
                codes.push(lent.code);
            }
        }
        self.write(&spare, &codes)
    }

    /// Writes the keys from the first to the last of `codes` in one request, which is one message to every client.
    fn write(&self, spare: &Spare, codes: &[Keycode]) -> Result<(), Broken> {
        let (Some(low), Some(high)) = (codes.iter().min(), codes.iter().max()) else { return Ok(()) };
        let symbols = spare.range(*low, *high);
        let each = u8::try_from(spare.each).unwrap_or(u8::MAX);
        self.connection.change_keyboard_mapping(high - low + 1, *low, each, symbols)?.check()?;
        Ok(())
    }
}

/// Whether this is what a program that was killed while typing left behind: no layout has one printable character at both levels
/// and nothing else.
fn left_over(symbols: &[u32]) -> bool {
    match symbols {
        [a, b, rest @ ..] => {
            *a != 0 && a == b && Key(*a).character().is_some_and(|c| !c.is_ascii()) && rest.iter().all(|s| *s == 0 || s == a)
        }
        _ => false,
    }
}

/// The keyboard as the core protocol shows it, and which of its keys can be lent.
struct Spare {
    first: Keycode,
    /// Symbols of each key.
    each: usize,
    /// How many there are, lent ones included.
    count: usize,
    free: Vec<Keycode>,
    symbols: Vec<u32>,
}

impl Spare {
    fn start(&self, code: Keycode) -> usize {
        usize::from(code.saturating_sub(self.first)) * self.each
    }

    fn range(&self, low: Keycode, high: Keycode) -> &[u32] {
        self.symbols.get(self.start(low)..self.start(high) + self.each).unwrap_or_default()
    }

    fn symbols_of(&self, code: Keycode) -> &[u32] {
        self.range(code, code)
    }

    fn set(&mut self, code: Keycode, symbols: &[u32]) {
        let start = self.start(code);
        if let Some(place) = self.symbols.get_mut(start..start + self.each) {
            place.fill(0);
            for (to, from) in place.iter_mut().zip(symbols) {
                *to = *from;
            }
        }
    }
}

impl Chord {
    /// The keys in the order in which they go down.
    fn codes(self) -> Vec<Keycode> {
        self.shift.into_iter().chain(self.level3).chain([self.code]).collect()
    }
}
