//! A combination of keys that a person presses, as somebody who listens to a keyboard looks for it.

use super::{Error, Key};

/// Modifiers that stand on both sides of a keyboard: either is meant.
const SIDES: [(u32, u32); 4] = [(0xffe1, 0xffe2), (0xffe3, 0xffe4), (0xffe9, 0xffea), (0xffeb, 0xffec)];

/// Several keys that are down together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortcut {
    keys: Vec<Vec<u32>>,
}

impl Shortcut {
    /// Reads one like `ctrl+alt+shift+esc`: names as PyAutoGUI spells them, the last one pressed standing last.
    ///
    /// # Errors
    /// [`Error::UnknownKey`]; [`Error::Keys`] for none or more than ten.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let names: Vec<_> = text.split('+').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.is_empty() || names.len() > 10 {
            return Err(Error::Keys(names.len()));
        }
        let keys = names.into_iter().map(|name| {
            let Key(symbol) = Key::named(name, "")?;
            Ok(SIDES
                .iter()
                .find(|(left, _)| *left == symbol && !name.ends_with("left"))
                .map_or(vec![symbol], |(left, right)| vec![*left, *right]))
        });
        Ok(Self { keys: keys.collect::<Result<_, Error>>()? })
    }

    /// For each of its keys the X keysyms of which one is enough.
    pub fn symbols(&self) -> &[Vec<u32>] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modifier_is_meant_on_either_side_unless_one_is_named() {
        let symbols = |text: &str| Shortcut::parse(text).unwrap().symbols().to_vec();
        assert_eq!(symbols("ctrl + alt+F12"), [vec![0xffe3, 0xffe4], vec![0xffe9, 0xffea], vec![0xffc9]]);
        assert_eq!(symbols("ctrlleft+pause"), [vec![0xffe3], vec![0xff13]]);
        for bad in ["", "+", "ctrl+nokey", "a+b+c+d+e+f+g+h+i+j+k"] {
            assert!(Shortcut::parse(bad).is_err(), "{bad}");
        }
    }
}
