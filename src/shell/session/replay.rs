//! What has to be printed on a fresh terminal of the same size to make it what the model is: screen, what went out at its top, cursor and
//! modes. What only rings, titles or fills a clipboard is not in it.

use std::fmt::Write;

use alacritty_terminal::grid::{Cursor, Dimensions, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{CharsetIndex, Color, CursorShape, StandardCharset};

use super::model::Model;

/// Back to how a terminal is when it is switched on.
pub(super) const RESET: &str = "\x1bc";

/// Modes of the terminal, and what turns each on.
const MODES: &[(TermMode, &str)] = &[
    (TermMode::APP_CURSOR, "\x1b[?1h"),
    (TermMode::APP_KEYPAD, "\x1b="),
    (TermMode::MOUSE_REPORT_CLICK, "\x1b[?1000h"),
    (TermMode::MOUSE_DRAG, "\x1b[?1002h"),
    (TermMode::MOUSE_MOTION, "\x1b[?1003h"),
    (TermMode::FOCUS_IN_OUT, "\x1b[?1004h"),
    (TermMode::UTF8_MOUSE, "\x1b[?1005h"),
    (TermMode::SGR_MOUSE, "\x1b[?1006h"),
    (TermMode::BRACKETED_PASTE, "\x1b[?2004h"),
    (TermMode::INSERT, "\x1b[4h"),
    (TermMode::LINE_FEED_NEW_LINE, "\x1b[20h"),
];

/// Writes down what makes a fresh terminal the same.
pub(super) fn of(model: &mut Model) -> String {
    let mut out = String::from(RESET);
    let alternate = model.is_alternate();
    model.with_primary(|grid| {
        let history = i32::try_from(grid.history_size()).unwrap_or_default();
        let mut pen = Pen::default();
        for line in -history..lines(grid) {
            row(&mut out, grid, line, &mut pen);
            let goes_on = grid[Line(line)][Column(grid.columns() - 1)].flags.contains(Flags::WRAPLINE);
            pen.put(&mut out, Pen::default());
            if line + 1 < lines(grid) && !goes_on {
                out.push_str("\r\n");
            }
        }
        if alternate {
            goto(&mut out, &grid.cursor, 0);
            out.push_str("\x1b[?1049h");
        }
    });
    if alternate {
        let grid = model.term.grid();
        let mut pen = Pen::default();
        for line in 0..lines(grid) {
            let _ = write!(out, "\x1b[{};1H", line + 1);
            row(&mut out, grid, line, &mut pen);
        }
        pen.put(&mut out, Pen::default());
    }
    state(&mut out, model);
    out
}

/// Everything but what is written on the screen.
fn state(out: &mut String, model: &mut Model) {
    let (region, tabs) = (model.region(), model.tabs());
    let (term, grid) = (&model.term, model.term.grid());
    if grid.saved_cursor != Cursor::default() {
        goto(out, &grid.saved_cursor, 0);
        Pen::default().put(out, Pen::of(&grid.saved_cursor.template));
        out.push_str("\x1b7\x1b[m");
    }
    if tabs != (8..grid.columns().saturating_sub(1)).step_by(8).collect::<Vec<_>>() {
        out.push_str("\x1b[3g");
        for stop in tabs {
            let _ = write!(out, "\x1b[{}G\x1bH", stop + 1);
        }
    }
    let mut top = 0;
    if region != (0..grid.screen_lines()) {
        let _ = write!(out, "\x1b[{};{}r", region.start + 1, region.end);
        if term.mode().contains(TermMode::ORIGIN) {
            top = i32::try_from(region.start).unwrap_or_default();
        }
    }
    if term.mode().contains(TermMode::ORIGIN) {
        out.push_str("\x1b[?6h");
    }
    goto(out, &grid.cursor, top);
    if grid.cursor.input_needs_wrap {
        // The line is full, and the next character goes to the next one: only printing brings that about.
        let point = grid.cursor.point;
        let mut column = point.column;
        if grid[point.line][column].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column -= 1;
            out.push_str("\x1b[D");
        }
        let cell = &grid[point.line][column];
        let mut pen = Pen::default();
        pen.put(out, Pen::of(cell));
        print(out, cell);
        pen.put(out, Pen::default());
    }
    Pen::default().put(out, Pen::of(&grid.cursor.template));
    for (slot, sign) in [(CharsetIndex::G0, '('), (CharsetIndex::G1, ')')] {
        if grid.cursor.charsets[slot] == StandardCharset::SpecialCharacterAndLineDrawing {
            let _ = write!(out, "\x1b{sign}0");
        }
    }
    MODES.iter().filter(|(mode, _)| term.mode().contains(*mode)).for_each(|(_, on)| out.push_str(on));
    for (mode, off) in
        [(TermMode::LINE_WRAP, "\x1b[?7l"), (TermMode::ALTERNATE_SCROLL, "\x1b[?1007l"), (TermMode::SHOW_CURSOR, "\x1b[?25l")]
    {
        if !term.mode().contains(mode) {
            out.push_str(off);
        }
    }
    let keyboard = (*term.mode() & TermMode::KITTY_KEYBOARD_PROTOCOL).bits() / TermMode::DISAMBIGUATE_ESC_CODES.bits();
    if keyboard > 0 {
        let _ = write!(out, "\x1b[={keyboard};1u");
    }
    let style = term.cursor_style();
    let shape = match style.shape {
        CursorShape::Underline => 4,
        CursorShape::Beam => 6,
        CursorShape::Block | CursorShape::HollowBlock | CursorShape::Hidden => 2,
    };
    if style != Default::default() {
        let _ = write!(out, "\x1b[{} q", shape - i32::from(style.blinking));
    }
}

fn lines(grid: &Grid<Cell>) -> i32 {
    i32::try_from(grid.screen_lines()).unwrap_or_default()
}

/// Moves to where a cursor is; rows count from `top`.
fn goto(out: &mut String, cursor: &Cursor<Cell>, top: i32) {
    let _ = write!(out, "\x1b[{};{}H", cursor.point.line.0 - top + 1, cursor.point.column.0 + 1);
}

/// A line, up to the last cell that is not as it was in the beginning.
fn row(out: &mut String, grid: &Grid<Cell>, line: i32, pen: &mut Pen) {
    let row = &grid[Line(line)];
    let used = (0..grid.columns()).rev().find(|column| !is_blank(&row[Column(*column)])).map_or(0, |last| last + 1);
    for column in (0..used).map(Column) {
        let cell = &row[column];
        if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
            continue;
        }
        pen.put(out, Pen::of(cell));
        print(out, cell);
    }
}

fn is_blank(cell: &Cell) -> bool {
    matches!(cell.c, ' ' | '\t') && !cell.flags.contains(Flags::WRAPLINE) && Pen::of(cell) == Pen::default()
}

fn print(out: &mut String, cell: &Cell) {
    out.push(if cell.c.is_control() { ' ' } else { cell.c });
    out.extend(cell.zerowidth().into_iter().flatten());
}

/// How characters are painted.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pen {
    fore: Color,
    back: Color,
    under: Option<Color>,
    flags: Flags,
}

impl Default for Pen {
    fn default() -> Self {
        Self::of(&Cell::default())
    }
}

impl Pen {
    fn of(cell: &Cell) -> Self {
        let places = Flags::WRAPLINE | Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER;
        Self { fore: cell.fg, back: cell.bg, under: cell.underline_color(), flags: cell.flags - places }
    }

    /// Takes another pen, where it is another one.
    fn put(&mut self, out: &mut String, new: Self) {
        if *self == new {
            return;
        }
        *self = new;
        out.push_str("\x1b[0");
        for (flag, code) in [
            (Flags::BOLD, "1"),
            (Flags::DIM, "2"),
            (Flags::ITALIC, "3"),
            (Flags::UNDERLINE, "4"),
            (Flags::DOUBLE_UNDERLINE, "4:2"),
            (Flags::UNDERCURL, "4:3"),
            (Flags::DOTTED_UNDERLINE, "4:4"),
            (Flags::DASHED_UNDERLINE, "4:5"),
            (Flags::INVERSE, "7"),
            (Flags::HIDDEN, "8"),
            (Flags::STRIKEOUT, "9"),
        ] {
            if new.flags.contains(flag) {
                out.push(';');
                out.push_str(code);
            }
        }
        color(out, new.fore, 30);
        color(out, new.back, 40);
        if let Some(under) = new.under {
            color(out, under, 50);
        }
        out.push('m');
    }
}

/// A colour of the foreground (30), the background (40) or the underline (50).
fn color(out: &mut String, color: Color, base: u16) {
    let _ = match color {
        Color::Named(name) => match name as u16 {
            number @ 0..=7 if base < 50 => write!(out, ";{}", base + number),
            number @ 8..=15 if base < 50 => write!(out, ";{}", base + 60 + number - 8),
            number @ 0..=15 => write!(out, ";58;5;{number}"),
            // Those that a terminal has by itself.
            _ => Ok(()),
        },
        Color::Indexed(number) => write!(out, ";{};5;{number}", base + 8),
        Color::Spec(rgb) => write!(out, ";{};2;{};{};{}", base + 8, rgb.r, rgb.g, rgb.b),
    };
}
