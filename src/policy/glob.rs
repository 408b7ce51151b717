//! Whether a name fits a pattern of a manifest. Every call of a script asks, most of them the same again, so that a pattern is compiled once
//! on each thread.

use std::cell::RefCell;
use std::collections::HashMap;

use globset::{GlobBuilder, GlobMatcher};

/// Patterns that are kept compiled on a thread. With more, all are forgotten: they are a manifest's, which has few.
const KEPT: usize = 256;
/// What makes a pattern more than the name that it fits.
const SPECIAL: &[char] = &['*', '?', '[', ']', '{', '}', '\\'];

/// None where it is no pattern: it fits nothing.
type Compiled = HashMap<(Box<str>, bool), Option<GlobMatcher>>;

thread_local! {
    static COMPILED: RefCell<Compiled> = RefCell::default();
}

/// `*` matches anything, also slashes: for hosts, programs, variables, script names.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    fits(pattern, name, false)
}

/// `*` stays within one folder, `**` does not: for paths.
pub(super) fn path_matches(pattern: &str, path: &str) -> bool {
    fits(pattern, path, true)
}

fn fits(pattern: &str, text: &str, separators: bool) -> bool {
    if !pattern.contains(SPECIAL) {
        return pattern == text;
    }
    COMPILED.with_borrow_mut(|compiled| {
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        let matcher = compiled.entry((pattern.into(), separators)).or_insert_with(|| {
            let glob = GlobBuilder::new(pattern).literal_separator(separators).build();
            glob.ok().map(|glob| glob.compile_matcher())
        });
        matcher.as_ref().is_some_and(|matcher| matcher.is_match(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_itself_and_a_pattern_what_it_says() {
        for (pattern, text, name, path) in [
            ("LANG", "LANG", true, true),
            ("LANG", "LANGUAGE", false, false),
            ("", "", true, true),
            ("*", "a/b", true, false),
            ("**", "a/b", true, true),
            ("a/*.txt", "a/b.txt", true, true),
            ("{a,b}", "b", true, true),
            ("[ab]", "b", true, true),
            (r"\*", "*", true, true),
            (r"\*", "a", false, false),
            ("[", "[", false, false),
            ("{a", "{a", false, false),
        ] {
            // The second time it is compiled already.
            for _ in 0..2 {
                assert_eq!((matches(pattern, text), path_matches(pattern, text)), (name, path), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn many_patterns_are_not_kept_for_ever() {
        for n in 0..3 * KEPT {
            assert!(matches(&format!("{n}*"), &format!("{n}x")));
        }
        assert!(COMPILED.with_borrow(HashMap::len) <= KEPT);
    }
}
