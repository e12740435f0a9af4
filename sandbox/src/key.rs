//! The API key of a call: where each brand puts it, what the sandbox thinks of it, and its fingerprint.
//! Called by `generate` and `brand`. The key itself never leaves this type except by `expose_secret`.

use poem::http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A key as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Key(SecretString);

/// What the sandbox thinks of a key, by what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Bad,
    Revoked,
    NoCredit,
}

impl Key {
    /// The key after `Authorization: Bearer`.
    pub(crate) fn bearer(headers: &HeaderMap) -> Option<Self> {
        let (scheme, key) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Self::of(key))?
    }

    /// The key in a header of its own.
    pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<Self> {
        Self::of(headers.get(name)?.to_str().ok()?)
    }

    /// The key in any of the places where some brand expects it.
    pub(crate) fn anywhere(headers: &HeaderMap) -> Option<Self> {
        Self::bearer(headers)
            .or_else(|| Self::header(headers, "x-api-key"))
            .or_else(|| Self::header(headers, "x-goog-api-key"))
    }

    fn of(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(SecretString::from(key)))
    }

    pub(crate) fn standing(&self) -> Standing {
        let key = self.0.expose_secret();
        if key.contains("bad") {
            Standing::Bad
        } else if key.contains("revoked") {
            Standing::Revoked
        } else if key.contains("quota") {
            Standing::NoCredit
        } else {
            Standing::Good
        }
    }

    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(self.0.expose_secret())
    }

    /// The key as OpenAI shows a wrong one: stars but for its two ends.
    pub(crate) fn masked(&self) -> String {
        let key: Vec<char> = self.0.expose_secret().chars().collect();
        let shown = if key.len() >= 16 { 4 } else { 0 };
        let stars = key.len() - 2 * shown;
        key[..shown].iter().chain(&vec!['*'; stars]).chain(&key[key.len() - shown..]).collect()
    }

    /// The key itself: only for `echo-key-in-error`, whose purpose is to repeat it.
    pub(crate) fn exposed(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of `text`.
pub(crate) fn fingerprint(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..8])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_start_of_the_sha_256() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
    }

    #[test]
    fn a_masked_key_shows_only_the_ends_of_a_long_key() {
        assert_eq!(Key::of("sk-0123456789abcdef").unwrap().masked(), "sk-0***********cdef");
        assert_eq!(Key::of("short").unwrap().masked(), "*****");
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert!(!format!("{:?}", Key::of("sk-secret").unwrap()).contains("sk-secret"));
    }
}
