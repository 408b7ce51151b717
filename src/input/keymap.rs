//! What each key of an X keyboard types, at which level of which group. Computed as the XKB protocol says it, from a copy of the
//! server's tables; nothing here talks to the server.

use std::collections::HashMap;

use x11rb::protocol::xkb::{GetMapReply, GetStateReply, KeySymMap, KeyType};
use x11rb::protocol::xproto::{GetModifierMappingReply, Keycode, ModMask};

use super::Key;

/// The keysym of AltGr.
const ISO_LEVEL3_SHIFT: u32 = 0xfe03;
const SHIFT_KEYS: [u32; 2] = [0xffe1, 0xffe2];

/// A key and the modifiers to hold while it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chord {
    pub(super) code: Keycode,
    pub(super) shift: Option<Keycode>,
    pub(super) level3: Option<Keycode>,
}

/// A modifier that can be pressed: its key, its bit.
#[derive(Debug, Clone, Copy)]
struct Modifier {
    code: Keycode,
    mask: u16,
}

/// The keyboard at one moment.
pub(super) struct Keymap {
    first: Keycode,
    types: Vec<KeyType>,
    keys: Vec<KeySymMap>,
    group: usize,
    shift: Option<Modifier>,
    level3: Option<Modifier>,
    /// Each modifier's bit, and its keys.
    modifiers: Vec<(u16, Vec<Keycode>)>,
    /// Modifiers that are down now.
    pub(super) down: u16,
    /// Modifiers that are locked now.
    pub(super) locked: u16,
    /// For each keysym the places where it is: computed once, a text asks for many.
    places: HashMap<u32, Vec<(Keycode, usize, usize)>>,
}

impl Keymap {
    pub(super) fn new(map: GetMapReply, state: &GetStateReply, modifiers: &GetModifierMappingReply) -> Self {
        let mut this = Self {
            first: map.first_key_sym,
            types: map.map.types_rtrn.unwrap_or_default(),
            keys: map.map.syms_rtrn.unwrap_or_default(),
            group: u8::from(state.group).into(),
            shift: None,
            level3: None,
            modifiers: Vec::new(),
            down: u16::from(state.base_mods) | u16::from(state.latched_mods),
            locked: state.locked_mods.into(),
            places: HashMap::new(),
        };
        let each = modifiers.keycodes.len() / 8;
        let find = |wanted: &[u32]| {
            let rows = modifiers.keycodes.chunks(each.max(1)).enumerate();
            rows.flat_map(|(bit, codes)| codes.iter().map(move |code| (*code, 1u16 << bit)))
                .find(|(code, _)| *code != 0 && this.symbol(*code, 0, 0).is_some_and(|symbol| wanted.contains(&symbol)))
                .map(|(code, mask)| Modifier { code, mask })
        };
        let shift = find(&SHIFT_KEYS);
        let level3 = find(&[ISO_LEVEL3_SHIFT]);
        this.shift = shift;
        this.level3 = level3;
        let rows = modifiers.keycodes.chunks(each.max(1)).zip(0u16..8);
        this.modifiers = rows.map(|(codes, bit)| (1 << bit, codes.iter().copied().filter(|code| *code != 0).collect())).collect();
        for (index, key) in this.keys.iter().enumerate() {
            let Ok(offset) = u8::try_from(index) else { break };
            let Some(code) = this.first.checked_add(offset) else { break };
            for (at, symbol) in key.syms.iter().enumerate().filter(|(_, symbol)| **symbol != 0) {
                let width = usize::from(key.width.max(1));
                this.places.entry(*symbol).or_default().push((code, at / width, at % width));
            }
        }
        this
    }

    fn key(&self, code: Keycode) -> Option<&KeySymMap> {
        self.keys.get(usize::from(code.checked_sub(self.first)?))
    }

    fn symbol(&self, code: Keycode, group: usize, level: usize) -> Option<u32> {
        let key = self.key(code)?;
        key.syms.get(group * usize::from(key.width) + level).copied()
    }

    /// The group that a key uses while the keyboard is in the active one.
    fn group_of(&self, key: &KeySymMap) -> usize {
        folded(key, self.group)
    }

    /// The symbol of a key at a moment: `state` is what an event says of modifiers and group. None for a key without one.
    pub(super) fn typed(&self, code: Keycode, state: u16) -> Option<u32> {
        let key = self.key(code)?;
        let group = folded(key, usize::from(state >> 13 & 3));
        let level = self.level(key, group, state & 0xff);
        self.symbol(code, group, level).or_else(|| self.symbol(code, group, 0)).filter(|symbol| *symbol != 0)
    }

    /// What programs know a key by in a shortcut: its symbol without Shift, and where that is no letter of the Latin alphabet, that of
    /// another group, if it is there. 0 for none.
    pub(super) fn shortcut(&self, code: Keycode, state: u16) -> u32 {
        let Some(key) = self.key(code) else { return 0 };
        let group = folded(key, usize::from(state >> 13 & 3));
        let own = self.symbol(code, group, 0).unwrap_or(0);
        let groups = usize::from(key.group_info & 0x0f);
        let latin = |symbol: &u32| (0x20..0x7f).contains(symbol);
        let other = || (0..groups).filter_map(|group| self.symbol(code, group, 0)).find(latin);
        if latin(&own) || (0xfd00..=0xffff).contains(&own) { own } else { other().unwrap_or(own) }
    }

    /// The bits of the modifiers that these keys are.
    pub(super) fn mask_of(&self, keys: &[u32]) -> u16 {
        let is_one = |code: &Keycode| self.key(*code).is_some_and(|key| key.syms.iter().any(|symbol| keys.contains(symbol)));
        self.modifiers.iter().filter(|(_, codes)| codes.iter().any(is_one)).fold(0, |mask, (bit, _)| mask | bit)
    }

    /// The level that a key is at while these modifiers are down.
    fn level(&self, key: &KeySymMap, group: usize, down: u16) -> usize {
        let index = key.kt_index.get(group).copied().unwrap_or(0);
        let Some(kind) = self.types.get(usize::from(index)) else { return 0 };
        let bits = |mask: ModMask| u16::from(mask);
        let relevant = down & bits(kind.mods_mask);
        let entry = kind.map.iter().find(|entry| entry.active && bits(entry.mods_mask) == relevant);
        entry.map_or(0, |entry| entry.level.into())
    }

    /// A key that gives the symbol while the modifiers of `down` are held, with at most Shift and AltGr besides.
    pub(super) fn find(&self, key: Key, down: u16) -> Option<Chord> {
        let places = self.places.get(&key.0)?;
        let held = |modifier: Option<Modifier>| modifier.is_some_and(|m| down & m.mask != 0);
        for (shift, level3) in [(false, false), (true, false), (false, true), (true, true)] {
            if (shift && (self.shift.is_none() || held(self.shift))) || (level3 && (self.level3.is_none() || held(self.level3))) {
                continue;
            }
            let shift = self.shift.filter(|_| shift);
            let level3 = self.level3.filter(|_| level3);
            let all = down | shift.map_or(0, |m| m.mask) | level3.map_or(0, |m| m.mask);
            let found = places.iter().find(|(code, group, level)| {
                self.key(*code).is_some_and(|key| self.group_of(key) == *group && self.level(key, *group, all) == *level)
            });
            if let Some((code, ..)) = found {
                return Some(Chord { code: *code, shift: shift.map(|m| m.code), level3: level3.map(|m| m.code) });
            }
        }
        None
    }

    /// A key that has the symbol unshifted in any group: what a shortcut means by it under another layout.
    pub(super) fn find_anywhere(&self, key: Key) -> Option<Chord> {
        let (code, ..) = self.places.get(&key.0)?.iter().find(|(_, _, level)| *level == 0)?;
        Some(Chord { code: *code, shift: None, level3: None })
    }

    /// The bit of Shift, as far as it is held down.
    pub(super) fn shift_down(&self) -> bool {
        self.shift.is_some_and(|shift| self.down & shift.mask != 0)
    }
}

/// The group that a key uses: keys with fewer groups fold it back.
fn folded(key: &KeySymMap, group: usize) -> usize {
    let count = usize::from(key.group_info & 0x0f);
    if count == 0 || group < count {
        return group.min(count);
    }
    match key.group_info & 0xc0 {
        0x40 => count - 1,
        0x80 => Some(usize::from((key.group_info & 0x30) >> 4)).filter(|group| *group < count).unwrap_or(0),
        _ => group % count,
    }
}
