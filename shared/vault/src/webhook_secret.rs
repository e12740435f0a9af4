//! Signing secrets of webhook endpoints: `whsec_` and base64 of 32 random bytes (Standard Webhooks, standardwebhooks.com).
//!
//! `api` mints one for a new endpoint and at a rotation; it is stored sealed. Signing itself is done where webhooks
//! are sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::random;

/// What every signing secret begins with.
pub const PREFIX: &str = "whsec_";
/// Standard Webhooks asks for 24 to 64 bytes.
const SECRET_BYTES: usize = 32;

/// A new random signing secret.
pub fn mint() -> SecretString {
    let mut raw = Zeroizing::new([0_u8; SECRET_BYTES]);
    random::fill(raw.as_mut());
    let encoded = Zeroizing::new(STANDARD.encode(raw.as_ref()));
    SecretString::from([PREFIX, encoded.as_str()].concat())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_signing_secret_has_the_standard_form() {
        let secret = mint();
        let encoded = secret.expose_secret().strip_prefix("whsec_").unwrap();
        let raw = STANDARD.decode(encoded).unwrap();
        assert_eq!(raw.len(), 32);
        assert_ne!(secret.expose_secret(), mint().expose_secret());
    }
}
