//! What is heard of mouse and keyboard, put together to what was meant: two presses to a double click, a press and a release elsewhere
//! to a drag, keys to a text.
//!
//! Nothing here looks at a desktop: what there was to see when something began is asked of whoever listens, and handed on with it.

use std::time::{Duration, SystemTime};

use icu_normalizer::properties::CanonicalCompositionBorrowed;

use super::words::Action;
use crate::input::{Button, Deed, Heard, Modifiers, Point, Stroke};

/// Two clicks within this are one more click.
const AGAIN: Duration = Duration::from_millis(500);
/// Pixels the pointer may move meanwhile.
const NEAR: i32 = 6;
/// A button that is held longer than this is held on purpose.
const LONG: Duration = Duration::from_millis(600);
/// Who stops typing or scrolling for so long has done so.
const IDLE: Duration = Duration::from_secs(2);
/// The wheel within this goes on.
const ROLLING: Duration = Duration::from_secs(1);
/// Characters of one text; a longer one goes on in the next.
const LONGEST: usize = 1_000;
/// Modifiers that do something by themselves.
const ALONE: [&str; 4] = ["win", "winright", "alt", "altright"];

/// Where something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// At a point.
    At(Point),
    /// Where keys go.
    Focus,
}

/// Something that was done, and what there was to see when it began.
#[derive(Debug)]
pub(super) struct Done<S> {
    pub(super) begun: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) action: Action,
    pub(super) scene: S,
}

/// What is heard so far and may still become more.
pub(super) struct Gestures<S> {
    open: Option<Open<S>>,
    /// A modifier that went down, and nothing since.
    alone: Option<String>,
    /// A dead key that waits for its letter.
    dead: Option<char>,
}

struct Open<S> {
    begun: SystemTime,
    last: SystemTime,
    scene: S,
    what: What,
}

enum What {
    /// A button that is down, and how often it was pressed before.
    Press {
        button: Button,
        from: Point,
        held: Modifiers,
        before: u32,
    },
    /// One that was released where it was pressed.
    Click {
        button: Button,
        at: Point,
        held: Modifiers,
        clicks: u32,
        long: Duration,
        pressed: SystemTime,
    },
    Scroll {
        at: Point,
        dx: i32,
        dy: i32,
    },
    Text(String),
    Key {
        name: String,
        presses: u32,
    },
}

fn near(a: Point, b: Point) -> bool {
    a.x.abs_diff(b.x) <= NEAR.unsigned_abs() && a.y.abs_diff(b.y) <= NEAR.unsigned_abs()
}

fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

impl<S> Gestures<S> {
    pub(super) fn new() -> Self {
        Self { open: None, alone: None, dead: None }
    }

    /// Takes in what was heard; gives what is over by it. `look` is asked what there is to see where something begins.
    pub(super) fn hear(&mut self, heard: &Heard, look: &mut dyn FnMut(Target) -> S) -> Vec<Done<S>> {
        let mut done = Vec::new();
        match &heard.deed {
            Deed::Button(button, true) => self.press(*button, heard, look, &mut done),
            Deed::Button(button, false) => done.extend(self.release(*button, heard)),
            Deed::Wheel { dx, dy } => self.roll((*dx, *dy), heard, look, &mut done),
            Deed::Key(stroke, true) => self.strike(stroke, heard, look, &mut done),
            Deed::Key(stroke, false) => self.lift(stroke, heard, look, &mut done),
            Deed::End(_) => done.extend(self.finish()),
        }
        done
    }

    /// What is over because nothing was heard for a while.
    pub(super) fn idle(&mut self, now: SystemTime) -> Option<Done<S>> {
        let open = self.open.as_ref()?;
        let over = match &open.what {
            What::Press { .. } => false,
            What::Click { pressed, .. } => since(now, *pressed) > AGAIN,
            What::Scroll { .. } | What::Text(_) | What::Key { .. } => since(now, open.last) > IDLE,
        };
        if over { self.finish() } else { None }
    }

    /// What is under way, as it is.
    pub(super) fn finish(&mut self) -> Option<Done<S>> {
        self.dead = None;
        let Open { begun, last, scene, what } = self.open.take()?;
        let names = |held: Modifiers| held.names().into_iter().map(str::to_owned).collect();
        let action = match what {
            // Its release was never heard.
            What::Press { before: 0, .. } => return None,
            What::Press { button, from, held, before } => {
                Action::Click { x: from.x, y: from.y, button, clicks: before, duration: None, modifiers: names(held) }
            }
            What::Click { button, at, held, clicks, long, .. } => {
                let duration = (long >= LONG).then(|| rounded(long));
                Action::Click { x: at.x, y: at.y, button, clicks, duration, modifiers: names(held) }
            }
            What::Scroll { at, dx, dy } => Action::Scroll { x: at.x, y: at.y, dx, dy },
            What::Text(text) if text.is_empty() => return None,
            What::Text(text) => Action::Text { text },
            What::Key { name, presses } => Action::Key { key: name, presses },
        };
        Some(Done { begun, ended: last, action, scene })
    }

    fn press(&mut self, button: Button, heard: &Heard, look: &mut dyn FnMut(Target) -> S, done: &mut Vec<Done<S>>) {
        self.alone = None;
        if let Some(open) = &mut self.open
            && let What::Click { button: known, at, held, clicks, pressed, .. } = &open.what
            && *known == button
            && near(*at, heard.point)
            && *held == heard.held
            && since(heard.at, *pressed) <= AGAIN
        {
            open.what = What::Press { button, from: *at, held: *held, before: *clicks };
            open.last = heard.at;
            return;
        }
        done.extend(self.finish());
        let what = What::Press { button, from: heard.point, held: heard.held, before: 0 };
        self.begin(heard, Target::At(heard.point), what, look);
    }

    fn release(&mut self, button: Button, heard: &Heard) -> Option<Done<S>> {
        let open = self.open.as_mut()?;
        let What::Press { button: pressed, from, held, before } = open.what else { return None };
        if pressed != button {
            return None;
        }
        if near(from, heard.point) {
            let long = since(heard.at, open.last);
            let pressed = open.last;
            open.last = heard.at;
            open.what = What::Click { button, at: from, held, clicks: before + 1, long, pressed };
            return None;
        }
        let Open { begun, scene, .. } = self.open.take()?;
        let (from_x, from_y, to_x, to_y) = (from.x, from.y, heard.point.x, heard.point.y);
        let duration = rounded(since(heard.at, begun)).clamp(0.1, 10.0);
        let action = Action::Drag { from_x, from_y, to_x, to_y, button, duration };
        Some(Done { begun, ended: heard.at, action, scene })
    }

    fn roll(&mut self, (right, down): (i32, i32), heard: &Heard, look: &mut dyn FnMut(Target) -> S, done: &mut Vec<Done<S>>) {
        self.alone = None;
        // Both ways is not the same as none.
        let same = |sum: i32, step: i32| sum.signum() == step.signum();
        if let Some(open) = &mut self.open
            && let What::Scroll { at, dx, dy } = &mut open.what
            && near(*at, heard.point)
            && same(*dx, right)
            && same(*dy, down)
            && since(heard.at, open.last) <= ROLLING
            && dx.abs().max(dy.abs()) < 1_000
        {
            *dx += right;
            *dy += down;
            open.last = heard.at;
            return;
        }
        done.extend(self.finish());
        self.begin(heard, Target::At(heard.point), What::Scroll { at: heard.point, dx: right, dy: down }, look);
    }

    fn strike(&mut self, stroke: &Stroke, heard: &Heard, look: &mut dyn FnMut(Target) -> S, done: &mut Vec<Done<S>>) {
        self.alone = None;
        if stroke.is_modifier {
            if let Some(name) = stroke.name.as_deref().filter(|name| ALONE.contains(name) && heard.held == Modifiers::default()) {
                self.alone = Some(name.to_owned());
            }
            return;
        }
        match stroke.types.filter(|_| !heard.held.command()) {
            Some(mark) if is_mark(mark) && self.dead.is_none() => self.dead = Some(mark),
            Some(typed) => {
                let typed = self.dead.take().map_or(typed, |mark| composed(mark, typed));
                self.write(typed, heard, look, done);
            }
            None => {
                self.dead = None;
                let Some(name) = &stroke.name else { return };
                self.command(name, heard, look, done);
            }
        }
    }

    fn write(&mut self, typed: char, heard: &Heard, look: &mut dyn FnMut(Target) -> S, done: &mut Vec<Done<S>>) {
        if let Some(open) = &mut self.open
            && let What::Text(text) = &mut open.what
            && since(heard.at, open.last) <= IDLE
            && text.len() < LONGEST
        {
            text.push(typed);
            open.last = heard.at;
            return;
        }
        done.extend(self.finish());
        self.begin(heard, Target::Focus, What::Text(typed.to_string()), look);
    }

    fn command(&mut self, name: &str, heard: &Heard, look: &mut dyn FnMut(Target) -> S, done: &mut Vec<Done<S>>) {
        let plain = heard.held == Modifiers::default();
        match self.open.as_mut().map(|open| (&mut open.last, &mut open.what)) {
            // What was typed by mistake is not typed again.
            Some((last, What::Text(text))) if name == "backspace" && !heard.held.command() && !text.is_empty() => {
                text.pop();
                *last = heard.at;
                return;
            }
            Some((last, What::Key { name: known, presses }))
                if plain && known == name && since(heard.at, *last) <= IDLE && *presses < 1_000 =>
            {
                *presses += 1;
                *last = heard.at;
                return;
            }
            _ => {}
        }
        done.extend(self.finish());
        if plain {
            self.begin(heard, Target::Focus, What::Key { name: name.to_owned(), presses: 1 }, look);
            return;
        }
        let keys = heard.held.names().into_iter().chain([name]).map(str::to_owned).collect();
        done.push(Done { begun: heard.at, ended: heard.at, action: Action::Hotkey { keys }, scene: look(Target::Focus) });
    }

    fn lift(&mut self, stroke: &Stroke, heard: &Heard, look: &mut dyn FnMut(Target) -> S, done: &mut Vec<Done<S>>) {
        let Some(name) = self.alone.take().filter(|name| stroke.name.as_ref() == Some(name)) else { return };
        done.extend(self.finish());
        self.begin(heard, Target::Focus, What::Key { name, presses: 1 }, look);
    }

    fn begin(&mut self, heard: &Heard, target: Target, what: What, look: &mut dyn FnMut(Target) -> S) {
        self.open = Some(Open { begun: heard.at, last: heard.at, scene: look(target), what });
    }
}

/// Seconds to a tenth.
fn rounded(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}

fn is_mark(typed: char) -> bool {
    ('\u{300}'..='\u{328}').contains(&typed)
}

/// Marks that stand by themselves: what a dead key types before a space.
const BARE: [(char, char); 13] = [
    ('\u{300}', '`'),
    ('\u{301}', '´'),
    ('\u{302}', '^'),
    ('\u{303}', '~'),
    ('\u{304}', '¯'),
    ('\u{306}', '˘'),
    ('\u{307}', '˙'),
    ('\u{308}', '¨'),
    ('\u{30a}', '°'),
    ('\u{30b}', '˝'),
    ('\u{30c}', 'ˇ'),
    ('\u{327}', '¸'),
    ('\u{328}', '˛'),
];

/// What a dead key makes of the key after it; a letter that it does nothing to stays.
fn composed(mark: char, letter: char) -> char {
    if letter == ' ' || letter == mark {
        return BARE.iter().find(|(known, _)| *known == mark).map_or(letter, |(_, bare)| *bare);
    }
    CanonicalCompositionBorrowed::new().compose(letter, mark).unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says in short what is made of it. Each line is a moment in milliseconds and what is heard then.
    fn told(story: &[(u64, Deed, (i32, i32), Modifiers)]) -> Vec<String> {
        let mut gestures = Gestures::new();
        let start = SystemTime::UNIX_EPOCH;
        let mut done = Vec::new();
        for (at, deed, (x, y), held) in story {
            let at = start + Duration::from_millis(*at);
            done.extend(gestures.idle(at));
            let heard = Heard { at, point: Point { x: *x, y: *y }, held: *held, deed: deed.clone() };
            done.extend(gestures.hear(&heard, &mut |_| ()));
        }
        done.extend(gestures.finish());
        let tell = |done: Done<()>| match done.action {
            Action::Click { x, y, button, clicks, duration, modifiers } => {
                format!("{clicks}×{button:?} {x},{y} {} {modifiers:?}", duration.unwrap_or_default())
            }
            Action::Drag { from_x, from_y, to_x, to_y, duration, .. } => format!("drag {from_x},{from_y} {to_x},{to_y} {duration}"),
            Action::Scroll { x, y, dx, dy } => format!("scroll {x},{y} {dx},{dy}"),
            Action::Text { text } => format!("text {text:?}"),
            Action::Key { key, presses } => format!("{presses}×{key}"),
            Action::Hotkey { keys } => keys.join("+"),
            Action::Parameter { name } => format!("parameter {name}"),
        };
        done.into_iter().map(tell).collect()
    }

    const NONE: Modifiers = Modifiers { ctrl: false, alt: false, shift: false, win: false };
    const CTRL: Modifiers = Modifiers { ctrl: true, ..NONE };
    const SHIFT: Modifiers = Modifiers { shift: true, ..NONE };

    fn button(at: u64, down: bool, place: (i32, i32)) -> (u64, Deed, (i32, i32), Modifiers) {
        (at, Deed::Button(Button::Left, down), place, NONE)
    }

    fn click(at: u64, place: (i32, i32)) -> [(u64, Deed, (i32, i32), Modifiers); 2] {
        [button(at, true, place), button(at + 50, false, place)]
    }

    fn key(at: u64, name: &str, held: Modifiers) -> (u64, Deed, (i32, i32), Modifiers) {
        let types = Some(name).filter(|name| name.chars().count() == 1).and_then(|name| name.chars().next());
        (at, Deed::Key(Stroke { types, name: Some(name.to_owned()), is_modifier: false }, true), (0, 0), held)
    }

    #[test]
    fn clicks_close_together_in_time_and_place_are_one() {
        let story = [click(0, (5, 5)), click(200, (7, 4)), click(1000, (7, 4)), click(1100, (90, 4))].concat();
        assert_eq!(told(&story), ["2×Left 5,5 0 []", "1×Left 7,4 0 []", "1×Left 90,4 0 []"]);
        assert_eq!(told(&[button(0, true, (1, 1)), button(900, false, (1, 1))]), ["1×Left 1,1 0.9 []"]);
        // Whose release is never heard.
        assert_eq!(told(&[button(0, true, (1, 1))]), Vec::<String>::new());
    }

    #[test]
    fn a_release_elsewhere_is_a_drag() {
        assert_eq!(told(&[button(0, true, (10, 10)), button(1240, false, (200, 40))]), ["drag 10,10 200,40 1.2"]);
    }

    #[test]
    fn the_wheel_is_added_up_in_one_direction() {
        let wheel = |at: u64, dy: i32| (at, Deed::Wheel { dx: 0, dy }, (3, 3), NONE);
        let story = [wheel(0, 1), wheel(50, 1), wheel(90, 1), wheel(200, -1), wheel(1500, -1)];
        assert_eq!(told(&story), ["scroll 3,3 0,3", "scroll 3,3 0,-1", "scroll 3,3 0,-1"]);
    }

    #[test]
    fn keys_become_texts_shortcuts_and_keys() {
        let story = [
            key(0, "H", SHIFT),
            key(90, "o", NONE),
            key(200, "x", NONE),
            key(250, "backspace", NONE),
            key(300, "!", SHIFT),
            key(400, "tab", NONE),
            key(450, "tab", NONE),
            key(500, "tab", SHIFT),
            key(600, "s", CTRL),
            key(700, "backspace", NONE),
            key(800, "a", NONE),
            key(5000, "b", NONE),
        ];
        assert_eq!(told(&story), ["text \"Ho!\"", "2×tab", "shift+tab", "ctrl+s", "1×backspace", "text \"a\"", "text \"b\""]);
    }

    #[test]
    fn dead_keys_make_letters() {
        let story = [
            key(0, "\u{301}", NONE),
            key(10, "e", NONE),
            key(20, "\u{302}", NONE),
            key(30, " ", NONE),
            key(40, "\u{308}", NONE),
            key(50, "U", SHIFT),
            key(60, "\u{301}", NONE),
            key(70, "x", NONE),
        ];
        assert_eq!(told(&story), ["text \"é^Üx\""]);
    }

    #[test]
    fn a_modifier_alone_counts_where_it_does_something() {
        let lone = |at: u64, name: &str, down: bool| {
            (at, Deed::Key(Stroke { types: None, name: Some(name.to_owned()), is_modifier: true }, down), (0, 0), NONE)
        };
        assert_eq!(told(&[lone(0, "win", true), lone(50, "win", false)]), ["1×win"]);
        assert_eq!(told(&[lone(0, "shift", true), lone(50, "shift", false)]), Vec::<String>::new());
        assert_eq!(told(&[lone(0, "alt", true), key(20, "f4", Modifiers { alt: true, ..NONE }), lone(50, "alt", false)]), ["alt+f4"]);
        let ctrl_click = [(0, Deed::Button(Button::Left, true), (4, 4), CTRL), (40, Deed::Button(Button::Left, false), (4, 4), CTRL)];
        assert_eq!(told(&ctrl_click), ["1×Left 4,4 0 [\"ctrl\"]"]);
    }
}
