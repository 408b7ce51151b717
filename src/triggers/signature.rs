//! The signature of a webhook's body: HMAC-SHA256 (RFC 2104).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Whether `header` (`sha256=` and hex digits) is the signature of `body` under `secret`.
pub(super) fn matches(secret: &str, body: &[u8], header: Option<&str>) -> bool {
    let Some(given) = header.and_then(|header| header.trim().strip_prefix("sha256=")).and_then(unhex) else { return false };
    // Compares all bytes, so that the time taken does not tell how many of them are right.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).is_ok_and(|hmac| hmac.chain_update(body).verify_slice(&given).is_ok())
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

    #[test]
    fn agrees_with_rfc_4231() {
        let signed = |secret: &str, body: &[u8], digits: &str| matches(secret, body, Some(&format!("sha256={digits}")));
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert!(signed("Jefe", b"what do ya want for nothing?", known));
        assert!(signed("Jefe", b"what do ya want for nothing?", &known.to_uppercase()));
        assert!(!signed("Jefe", b"what do ya want for nothing!", known));
        assert!(!signed("jefe", b"what do ya want for nothing?", known));
    }

    #[test]
    fn refuses_what_is_missing_or_cut() {
        // Of an empty body under an empty secret.
        let right = "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
        assert!(matches("", b"", Some(right)) && matches("", b"", Some(&format!(" {right} "))));
        for wrong in [&right[..right.len() - 2], "sha256=", "sha256=é", &right[7..]] {
            assert!(!matches("", b"", Some(wrong)), "{wrong}");
        }
        assert!(!matches("", b"", None));
    }
}
