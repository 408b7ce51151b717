//! Tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256 (`HS256`, RFC 7515), and nothing else of either.
//!
//! The algorithm is not the token's to choose: one whose header names another than `HS256` is refused before anything of it is read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::scope::Scopes;

/// Longer than any token that was made here.
const LONGEST: usize = 4096;
/// Who makes and takes them.
const ISSUER: &str = "trae";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Who made it.
    pub(super) iss: String,
    /// The id of the key that was exchanged for it.
    pub(super) sub: String,
    /// What it opens.
    pub(super) scopes: Scopes,
    /// When it was made, in Unix seconds.
    pub(super) iat: i64,
    /// Until when it is good, in Unix seconds.
    pub(super) exp: i64,
}

/// Why a token is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was made here, and is too old.
    Expired,
    /// Anything else.
    Wrong,
}

/// Whether a credential looks like a token rather than a key.
pub(super) fn is_one(credential: &str) -> bool {
    credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Signs tokens and checks their signatures.
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    /// A signer with that secret. None where the secret cannot be one, which an HMAC says of no length.
    pub(super) fn new(secret: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    /// A token for `key`.
    pub(super) fn make(&self, key: &str, scopes: Scopes, now: i64, seconds: i64) -> String {
        let claims = Claims { iss: ISSUER.to_owned(), sub: key.to_owned(), scopes, iat: now, exp: now + seconds };
        let payload = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#), URL_SAFE_NO_PAD.encode(payload));
        let seal = URL_SAFE_NO_PAD.encode(self.seal(signed.as_bytes()).finalize().into_bytes());
        format!("{signed}.{seal}")
    }

    /// What a token says, if it was made here and is still good.
    pub(super) fn read(&self, token: &str, now: i64) -> Result<Claims, Refused> {
        let payload = self.open(token).ok_or(Refused::Wrong)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Refused::Wrong)?;
        if claims.iss != ISSUER {
            return Err(Refused::Wrong);
        }
        if now >= claims.exp { Err(Refused::Expired) } else { Ok(claims) }
    }

    /// The payload, if the header and the signature are right.
    fn open(&self, token: &str) -> Option<Vec<u8>> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            crit: Option<serde_json::Value>,
        }
        if token.len() > LONGEST {
            return None;
        }
        let (signed, given) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != "HS256" || header.crit.is_some() {
            return None;
        }
        let given = URL_SAFE_NO_PAD.decode(given).ok()?;
        // Compares all bytes, so that the time taken does not tell how many of them are right.
        self.seal(signed.as_bytes()).verify_slice(&given).ok()?;
        URL_SAFE_NO_PAD.decode(payload).ok()
    }

    fn seal(&self, signed: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;

    fn signer() -> Signer {
        Signer::new(b"a secret of thirty-two bytes or more").unwrap()
    }

    fn sealed(signed: &str) -> String {
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer().seal(signed.as_bytes()).finalize().into_bytes()))
    }

    fn scopes() -> Scopes {
        [Scope::Read, Scope::Shell].into_iter().collect()
    }

    #[test]
    fn agrees_with_rfc_7515_appendix_a_1() {
        let key = URL_SAFE_NO_PAD.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow").unwrap();
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let payload = Signer::new(&key).unwrap().open(token).unwrap();
        assert_eq!(
            String::from_utf8(payload).unwrap(),
            "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
        );
    }

    #[test]
    fn what_was_made_is_read_until_it_expires() {
        let token = signer().make("key", scopes(), 1000, 60);
        let claims = signer().read(&token, 1059).unwrap();
        assert_eq!((claims.sub.as_str(), claims.scopes, claims.exp), ("key", scopes(), 1060));
        assert_eq!(signer().read(&token, 1060), Err(Refused::Expired));
        assert_eq!(Signer::new(b"another secret of more than 32 bytes").unwrap().read(&token, 1000), Err(Refused::Wrong));
    }

    #[test]
    fn another_algorithm_or_a_changed_letter_is_refused() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"iss":"trae","sub":"key","scopes":["admin"],"iat":0,"exp":99999999999}"#);
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"None"}"#, r#"{"alg":"HS512"}"#, r#"{"alg":"RS256"}"#, r#"{}"#, "nonsense"] {
            let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header));
            for token in [format!("{signed}."), sealed(&signed)] {
                assert_eq!(signer().read(&token, 1), Err(Refused::Wrong), "{header}");
            }
        }
        let critical = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","crit":["exp"]}"#));
        assert_eq!(signer().read(&sealed(&critical), 1), Err(Refused::Wrong));
        let token = signer().make("key", scopes(), 1000, 60);
        for at in 0..token.len() {
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert!(signer().read(&changed, 1001).is_err(), "the letter at {at}");
        }
        assert_eq!(signer().read(&"a.b.c".repeat(2000), 1), Err(Refused::Wrong));
    }
}
