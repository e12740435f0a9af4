//! The bytes on disk: format version, nonce, ciphertext with its tag (AES-256-GCM-SIV, RFC 8452).
//!
//! Called by `master_keys` (wrapping) and `seal` (secrets). It knows nothing of tenants or tables: they hand it the
//! associated data that a ciphertext is bound to.

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use zeroize::Zeroizing;

use crate::error::OpenError;
use crate::random;

/// The only format so far. It also stands first in all associated data, so a later format cannot be passed off as this.
pub(crate) const FORMAT_VERSION: u8 = 1;
/// RFC 8452: 96 bits.
pub(crate) const NONCE_BYTES: usize = 12;
/// RFC 8452: 128 bits.
pub(crate) const TAG_BYTES: usize = 16;
/// What a ciphertext is longer than its plaintext.
pub(crate) const OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// Seals `plaintext` under a fresh nonce.
#[expect(clippy::expect_used, reason = "the cipher refuses only inputs above 64 GiB (RFC 8452 §6)")]
pub(crate) fn seal(cipher: &Aes256GcmSiv, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut nonce = [0_u8; NONCE_BYTES];
    random::fill(&mut nonce);
    let ciphertext = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad })
        .expect("a secret below the cipher's limit of length");
    let mut out = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
    out.push(FORMAT_VERSION);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&ciphertext);
    out
}

/// Opens what [`seal`] made; the plaintext is wiped when dropped.
pub(crate) fn open(cipher: &Aes256GcmSiv, aad: &[u8], bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (version, rest) = bytes.split_first().ok_or(OpenError::Malformed)?;
    if *version != FORMAT_VERSION || bytes.len() < OVERHEAD_BYTES {
        return Err(OpenError::Malformed);
    }
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Malformed)?;
    cipher
        .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad })
        .map(Zeroizing::new)
        .map_err(|_| OpenError::DoesNotOpen)
}
