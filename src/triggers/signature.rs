//! HMAC-SHA256 over a webhook's body.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Whether `header` (`sha256=` and hex digits) is the signature of `body` under `secret`.
pub(super) fn matches(secret: &str, body: &[u8], header: Option<&str>) -> bool {
    let Some(given) = header.and_then(|header| header.trim().strip_prefix("sha256=")).and_then(unhex) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(body);
    // All bytes are compared, so that the time taken does not tell how many of them are right.
    mac.verify_slice(&given).is_ok()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(pair[0] * 16 + pair[1]).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's own example of how it signs its webhooks, which is the same way.
    const RIGHT: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";

    #[test]
    fn refuses_what_is_missing_cut_or_changed() {
        assert!(matches(SECRET, BODY, Some(RIGHT)));
        assert!(!matches(SECRET, b"other", Some(RIGHT)));
        assert!(!matches("other", BODY, Some(RIGHT)));
        assert!(!matches(SECRET, BODY, Some(&RIGHT[..RIGHT.len() - 2])));
        assert!(!matches(SECRET, BODY, Some("sha256=")));
        assert!(!matches(SECRET, BODY, Some("sha256=é")));
        assert!(!matches(SECRET, BODY, None));
    }
}
