//! The secrets that are known, and every form in which they are looked for.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::view::{View, without_breaks};
use super::{MASK, SHORTEST};

/// So many ways of writing may be laid over one another: JSON in JSON, a percent-encoded text broken over lines.
const DEEPEST: usize = 2;

/// Some secrets.
pub(super) struct Known {
    secrets: BTreeSet<String>,
    finder: Option<AhoCorasick>,
    /// Of each form that is looked for, whether it is base64.
    is_base64: Vec<bool>,
}

impl Known {
    /// What `before` knows, and these as well.
    pub(super) fn with<'a>(before: Option<&Self>, new: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets = before.map(|known| known.secrets.clone()).unwrap_or_default();
        secrets.extend(new.into_iter().map(str::to_owned));
        let forms: BTreeSet<(Vec<u8>, bool)> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        let (forms, is_base64): (Vec<_>, Vec<_>) = forms.into_iter().unzip();
        // Only more patterns than a 32-bit number counts could fail.
        Self { secrets, finder: AhoCorasick::new(forms).ok(), is_base64 }
    }

    pub(super) fn has(&self, secret: &str) -> bool {
        self.secrets.contains(secret)
    }

    pub(super) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.masked(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// The text masked. None where there is no secret in it.
    pub(super) fn masked(&self, text: &str) -> Option<String> {
        let mut places = Vec::new();
        self.look(&View::of(text.as_bytes()), DEEPEST, &mut places);
        if places.is_empty() {
            return None;
        }
        places.sort_unstable_by_key(|place| place.start);
        let mut masked = String::with_capacity(text.len());
        let mut done = 0;
        for place in places {
            // Those that touch are one: how many there were is nobody's business.
            if done > 0 && place.start <= done {
                done = done.max(place.end);
                continue;
            }
            masked.push_str(text.get(done..place.start).unwrap_or_default());
            masked.push_str(MASK);
            done = place.end;
        }
        masked.push_str(text.get(done..).unwrap_or_default());
        Some(masked)
    }

    /// Finds the secrets in a text as it is written, and as it reads once that is undone.
    fn look(&self, view: &View<'_>, deeper: usize, places: &mut Vec<Range<usize>>) {
        let Some(finder) = &self.finder else { return };
        for found in finder.find_overlapping_iter(view.bytes()) {
            let mut range = found.range();
            if self.is_base64.get(found.pattern().as_usize()) == Some(&true) {
                range = widened(view.bytes(), range);
            }
            places.push(view.place(range));
        }
        if deeper > 0 {
            for read in view.readings() {
                self.look(&read, deeper - 1, places);
            }
        }
    }

    /// Masks what is in `value`; whether there was anything.
    pub(super) fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::String(text) => self.masked(text).map(|masked| *text = masked).is_some(),
            Value::Number(number) => {
                let is_secret = self.masked(&number.to_string()).is_some();
                if is_secret {
                    *value = Value::String(MASK.to_owned());
                }
                is_secret
            }
            Value::Array(items) => items.iter_mut().fold(false, |any, item| self.value(item) | any),
            Value::Object(fields) => {
                let mut any = fields.values_mut().fold(false, |any, field| self.value(field) | any);
                if fields.keys().any(|name| self.masked(name).is_some()) {
                    let renamed: Map<_, _> =
                        std::mem::take(fields).into_iter().map(|(name, field)| (self.text(&name).into_owned(), field)).collect();
                    *fields = renamed;
                    any = true;
                }
                any
            }
        }
    }

    /// JSON text masked. None where there is no secret in it.
    pub(super) fn json(&self, text: &str) -> Option<Box<RawValue>> {
        // Without escapes a text in it reads as it is written, so that nothing found in the whole is nothing found in its parts.
        if !text.contains('\\') && self.masked(text).is_none() {
            return None;
        }
        let mut value: Value = serde_json::from_str(text).ok()?;
        if !self.value(&mut value) {
            return None;
        }
        serde_json::value::to_raw_value(&value).ok()
    }
}

/// How one secret is looked for, and whether that is base64. Escapes are undone in the text instead ([`View::readings`]).
fn forms(secret: &str) -> Vec<(Vec<u8>, bool)> {
    let mut forms = vec![(secret.as_bytes().to_vec(), false)];
    let whole = without_breaks(secret.as_bytes());
    if whole.len() >= SHORTEST {
        forms.push((whole, false));
    }
    // A secret of several lines is often shown line by line.
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= 2 * SHORTEST && line.len() < secret.len());
    forms.extend(lines.map(|line| (line.as_bytes().to_vec(), false)));
    for bytes in [secret.as_bytes(), secret.trim_end().as_bytes()] {
        for before in 0..3 {
            let inner = inner_base64(bytes, before);
            let for_urls = inner.replace('+', "-").replace('/', "_");
            forms.extend([(inner.into_bytes(), true), (for_urls.into_bytes(), true)]);
        }
    }
    forms
}

/// The letters that `bytes` come to in base64 with so many other bytes before them, without those that their neighbours have a part in.
fn inner_base64(bytes: &[u8], before: usize) -> String {
    let whole = STANDARD_NO_PAD.encode([&[0; 2][..before], bytes].concat());
    let first = (before * 8).div_ceil(6);
    let last = (before + bytes.len()) * 8 / 6;
    whole.get(first..last).unwrap_or_default().to_owned()
}

/// The range with the letter on each side in which a part of it is, and with the padding at its end.
fn widened(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let is_base64 = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte));
    let start = range.start.checked_sub(1).filter(|at| is_base64(*at)).unwrap_or(range.start);
    let mut end = range.end + usize::from(is_base64(range.end));
    while bytes.get(end) == Some(&b'=') {
        end += 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "pä$$ \"wörd\"/\\+&=";

    fn known() -> Known {
        Known::with(None, [SECRET, "123456789", "first line of it\nsecond line of it"])
    }

    fn masked(text: &str) -> String {
        known().text(text).into_owned()
    }

    fn percent(text: &str, keep: impl Fn(u8) -> bool) -> String {
        text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
    }

    #[test]
    fn as_it_is_and_in_each_way_of_writing() {
        assert_eq!(masked(&format!("a {SECRET} b {SECRET}")), "a *** b ***");
        assert_eq!(masked("nothing of it"), "nothing of it");
        let json = serde_json::to_string(SECRET).unwrap();
        assert_eq!(masked(&format!("x={json}")), "x=\"***\"");
        assert_eq!(masked(&serde_json::to_string(&json).unwrap()), r#""\"***\"""#, "JSON in JSON");
        let escaped: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        assert_eq!(masked(&escaped), "***");
        assert_eq!(masked(&format!("?q={}&r", percent(SECRET, |byte| byte.is_ascii_alphanumeric()))), "?q=***&r");
        assert_eq!(masked(&percent(SECRET, |_| false).to_uppercase()), "***");
        let form = percent(SECRET, |byte| byte.is_ascii_alphanumeric() || byte == b' ').replace(' ', "+");
        assert_eq!(masked(&format!("q={form}")), "q=***");
    }

    #[test]
    fn in_base64_wherever_it_stands() {
        for before in ["", "u", "us", "user:", "longer user:"] {
            for after in ["", "\n", "@host", "&x=y"] {
                for encoded in
                    [STANDARD.encode(format!("{before}{SECRET}{after}")), URL_SAFE_NO_PAD.encode(format!("{before}{SECRET}{after}"))]
                {
                    let text = masked(&format!("Basic {encoded}"));
                    assert!(text.starts_with("Basic ") && text.contains(MASK), "{before:?} {after:?}: {text}");
                    let left = text.replace(MASK, "").len();
                    assert!(left <= "Basic ".len() + (before.len() + after.len()) * 4 / 3 + 4, "{before:?} {after:?}: {text}");
                }
            }
        }
        let wrapped: String = STANDARD
            .encode(SECRET.repeat(3))
            .as_bytes()
            .chunks(8)
            .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
            .collect();
        assert_eq!(masked(&wrapped).trim_end(), MASK);
    }

    #[test]
    fn broken_over_lines() {
        assert_eq!(masked("1234\n5678\r\n9"), MASK);
        assert_eq!(masked("key: 12345\n     6789 x"), "key: *** x");
        assert_eq!(masked("> first line of it"), "> ***");
        assert_eq!(masked("first line of it\nsecond line of it"), MASK);
    }

    #[test]
    fn json_stays_json() {
        let mask = |text: &str| known().json(text).map(|raw| raw.get().to_owned());
        assert_eq!(mask(r#"{"n":123456789,"m":1}"#).unwrap(), r#"{"n":"***","m":1}"#);
        assert_eq!(mask(&json!({ "a": [SECRET], SECRET: true }).to_string()).unwrap(), r#"{"a":["***"],"***":true}"#);
        assert_eq!(mask(&json!({ "lines": "12345\n6789" }).to_string()).unwrap(), r#"{"lines":"***"}"#);
        assert_eq!(mask(r#"{"a":"b\n\"c"}"#), None);
        assert_eq!(mask("12"), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_no_secret_survives(before in "\\PC{0,12}", after in "[\\PC\\\\%\n]{0,12}", secret in "[!-~]{8,24}") {
            let known = Known::with(None, [secret.as_str()]);
            let text = format!("{before}{secret}{after}");
            let done = known.text(&text);
            prop_assert!(secret.contains('*') || !done.contains(&secret));
            let mut wrapped = json!({ "x": [text] });
            prop_assert!(known.value(&mut wrapped));
        }
    }
}
