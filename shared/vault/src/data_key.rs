//! The data key: one random 256-bit key per tenant, under which all its stored secrets are sealed.
//!
//! Made at a tenant's sign-up, stored only wrapped by a master key (`master_keys`), kept unwrapped by `keyring`.
//! Destroying the wrapped form makes everything that the tenant stored unreadable. It knows no storage.

use std::fmt;

use aes_gcm_siv::{Aes256GcmSiv, Key, KeyInit};
use secrecy::{ExposeSecret, SecretBox};

use crate::random;

/// Length of a data key: 256 bits.
pub(crate) const KEY_BYTES: usize = 32;

/// A tenant's key in the clear. Wiped when dropped, key schedule included; `Debug` shows nothing of it.
pub struct DataKey {
    raw: SecretBox<[u8; KEY_BYTES]>,
    cipher: Aes256GcmSiv,
}

impl DataKey {
    /// A new random key.
    pub fn generate() -> Self {
        Self::from_raw(SecretBox::init_with_mut(|raw: &mut [u8; KEY_BYTES]| random::fill(raw)))
    }

    pub(crate) fn from_raw(raw: SecretBox<[u8; KEY_BYTES]>) -> Self {
        let cipher = Aes256GcmSiv::new(<&Key<Aes256GcmSiv>>::from(raw.expose_secret()));
        Self { raw, cipher }
    }

    pub(crate) fn raw(&self) -> &[u8; KEY_BYTES] {
        self.raw.expose_secret()
    }

    pub(crate) fn cipher(&self) -> &Aes256GcmSiv {
        &self.cipher
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey([REDACTED])")
    }
}

/// A data key as it is stored: sealed by a master key and bound to its tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedDataKey {
    /// Which master key opens it.
    pub master_key_id: String,
    /// Format version, nonce, ciphertext with tag: 61 bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for WrappedDataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedDataKey").field("master_key_id", &self.master_key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    fn wiped_when_dropped<T: ZeroizeOnDrop>() {}

    #[test]
    fn key_schedules_are_wiped() {
        // Compiles only with the `zeroize` features that the manifest asks for.
        wiped_when_dropped::<aes::Aes256>();
        // An HMAC holds two of these.
        wiped_when_dropped::<sha2::Sha256>();
    }
}
