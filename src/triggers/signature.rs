//! HMAC-SHA256 (RFC 2104) over a webhook's body.

use sha2::{Digest, Sha256};

/// SHA-256 works on blocks of so many bytes.
const BLOCK: usize = 64;

/// Whether `header` (`sha256=` and hex digits) is the signature of `body` under `secret`.
pub(super) fn matches(secret: &str, body: &[u8], header: Option<&str>) -> bool {
    let Some(given) = header.and_then(|header| header.trim().strip_prefix("sha256=")).and_then(unhex) else { return false };
    // All bytes are compared, so that the time taken does not tell how many of them are right.
    given.iter().zip(hmac(secret.as_bytes(), body)).fold(0, |differs, (given, right)| differs | (given ^ right)) == 0
}

fn hmac(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let mut key = [0; BLOCK];
    if secret.len() > BLOCK {
        key[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret);
    }
    let inner = Sha256::new().chain_update(key.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(key.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
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

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn agrees_with_rfc_4231() {
        let short = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn refuses_what_is_missing_cut_or_changed() {
        let right = format!("sha256={}", hex(&hmac(b"s", b"body")));
        assert!(matches("s", b"body", Some(&right)));
        assert!(!matches("s", b"other", Some(&right)));
        assert!(!matches("t", b"body", Some(&right)));
        assert!(!matches("s", b"body", Some(&right[..right.len() - 2])));
        assert!(!matches("s", b"body", Some("sha256=")));
        assert!(!matches("s", b"body", Some("sha256=é")));
        assert!(!matches("s", b"body", None));
    }
}
