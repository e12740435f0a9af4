//! Keyed fingerprints (HMAC-SHA256, RFC 2104): they tell whether two bodies are the same without keeping either.
//!
//! `store` keeps one beside an `Idempotency-Key`. As it is keyed by the tenant's data key, a reader of the database can
//! neither guess a body nor compare two tenants' bodies.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sha2::digest::common::Block as HmacBlock;
use zeroize::Zeroizing;

use crate::data_key::DataKey;

/// Separates this use of a data key from any later one.
const LABEL: &[u8] = b"acm2 fingerprint v1\0";

impl DataKey {
    /// The fingerprint of `bytes` for one purpose (such as `idempotency`): 64 hexadecimal digits.
    ///
    /// The same tenant, purpose and bytes give the same text; any other purpose or tenant an unrelated one.
    pub fn fingerprint(&self, purpose: &str, bytes: &[u8]) -> String {
        let subkey = Zeroizing::new(mac(self.raw(), &[LABEL, purpose.as_bytes()]));
        let digest = mac(&subkey, &[bytes]);
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// HMAC-SHA256 under a 256-bit key.
fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC fills a shorter key with zeros up to the block of its hash (RFC 2104 §2): done here, this form cannot fail.
    let mut block = Zeroizing::new([0_u8; 64]);
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(<&HmacBlock<Sha256>>::from(&*block));
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_any_other_implementation() {
        let key = [0x0b; 32];
        let mut other = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        other.update(b"Hi There");
        let expected: [u8; 32] = other.finalize().into_bytes().into();
        assert_eq!(mac(&key, &[b"Hi ", b"There"]), expected);
    }

    #[test]
    fn a_fingerprint_depends_on_key_purpose_and_bytes_only() {
        let key = DataKey::generate();
        let print = key.fingerprint("idempotency", b"{}");
        assert_eq!(print.len(), 64);
        assert!(print.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        assert_eq!(print, key.fingerprint("idempotency", b"{}"));
        assert_ne!(print, key.fingerprint("idempotency", b"{ }"));
        assert_ne!(print, key.fingerprint("idempotency2", b"{}"));
        assert_ne!(print, key.fingerprint("", b"{}"));
        assert_ne!(print, DataKey::generate().fingerprint("idempotency", b"{}"));
    }
}
