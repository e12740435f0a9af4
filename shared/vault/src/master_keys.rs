//! The operator's master keys: `"2026b:<base64 of 32 bytes>,2026a:…"`, newest first. They wrap the tenants' data keys.
//!
//! `runtime` hands over the text, `keyring` holds the result, `acm2 keys rotate` re-wraps. No file or environment here.
//! Errors name a key by its place in the list and never repeat any of the text: what stands there may be a key.

use std::fmt;

use acm2_domain::ids::TenantId;
use aes_gcm_siv::{Aes256GcmSiv, Key, KeyInit};
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use zeroize::Zeroizing;

use crate::data_key::{DataKey, KEY_BYTES, WrappedDataKey};
use crate::envelope::{self, FORMAT_VERSION};
use crate::error::OpenError;
use crate::random;

/// The longest id; a base64 key is longer, so a key put in an id's place is refused.
const MAX_ID_BYTES: usize = 32;
/// Of 32 random bytes about 30 are distinct; 16 or fewer has a chance below one in 10^13.
const MIN_DISTINCT_BYTES: usize = 17;

/// Standard alphabet; tools differ about the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A list of master keys that is refused at start. Positions count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeysError {
    /// Nothing was given.
    #[error("no master key is given; expected `id:<base64 of 32 random bytes>`, several separated by commas")]
    Absent,
    /// An entry has no colon.
    #[error("master key number {position} is not of the form `id:<base64 of 32 random bytes>`")]
    NoId {
        /// Which entry.
        position: usize,
    },
    /// An id is empty, too long, or has characters other than letters, digits, `-`, `_` and `.`.
    #[error("the id of master key number {position} must be 1 to 32 letters, digits, `-`, `_` or `.`")]
    BadId {
        /// Which entry.
        position: usize,
    },
    /// Two entries have the same id.
    #[error("master keys number {first} and {second} have the same id")]
    DuplicateId {
        /// The earlier entry.
        first: usize,
        /// The later entry.
        second: usize,
    },
    /// A key is not base64.
    #[error("master key number {position} is not valid base64")]
    NotBase64 {
        /// Which entry.
        position: usize,
    },
    /// A key is not of 32 bytes.
    #[error("master key number {position} is {length} bytes long, it must be 32")]
    WrongLength {
        /// Which entry.
        position: usize,
        /// Its length in bytes.
        length: usize,
    },
    /// A key is a default, a pattern or a text rather than random bytes.
    #[error("master key number {position} is not random; make one with `openssl rand -base64 32`")]
    Weak {
        /// Which entry.
        position: usize,
    },
}

struct MasterKey {
    id: String,
    cipher: Aes256GcmSiv,
}

/// The master keys of this process, newest first, at least one. Wiped when dropped; `Debug` shows the ids only.
pub struct MasterKeys(Vec<MasterKey>);

impl MasterKeys {
    /// Parses `"2026b:<base64 of 32 bytes>,2026a:…"`. Space around entries, ids and keys is ignored.
    pub fn parse(text: &SecretString) -> Result<Self, MasterKeysError> {
        let text = text.expose_secret().trim();
        if text.is_empty() {
            return Err(MasterKeysError::Absent);
        }
        let mut keys: Vec<MasterKey> = Vec::new();
        for (index, entry) in text.split(',').enumerate() {
            let key = parse_entry(entry, index + 1)?;
            if let Some(first) = keys.iter().position(|other| other.id == key.id) {
                return Err(MasterKeysError::DuplicateId { first: first + 1, second: index + 1 });
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// A new random master key, and the text from which [`MasterKeys::parse`] reads it again: for the embedded default,
    /// which keeps it in a file of its own. Fails only on a bad id.
    pub fn generate(id: &str) -> Result<(Self, SecretString), MasterKeysError> {
        let mut raw = Zeroizing::new([0_u8; KEY_BYTES]);
        random::fill(raw.as_mut());
        let encoded = Zeroizing::new(BASE64.encode(raw.as_ref()));
        let text = SecretString::from([id, ":", encoded.as_str()].concat());
        Ok((Self::parse(&text)?, text))
    }

    /// The id of the key that wraps from now on.
    pub fn newest_id(&self) -> &str {
        &self.newest().id
    }

    /// All ids, newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Whether this process can unwrap what that master key wrapped.
    pub fn holds(&self, id: &str) -> bool {
        self.ids().any(|held| held == id)
    }

    /// Seals a data key by the newest master key, for this tenant only.
    pub fn wrap(&self, data_key: &DataKey, tenant: TenantId) -> WrappedDataKey {
        let newest = self.newest();
        WrappedDataKey {
            master_key_id: newest.id.clone(),
            bytes: envelope::seal(&newest.cipher, &associated_data(tenant), data_key.raw()),
        }
    }

    /// Both constructors make at least one entry.
    fn newest(&self) -> &MasterKey {
        &self.0[0]
    }

    /// Opens a tenant's data key.
    pub fn unwrap(&self, wrapped: &WrappedDataKey, tenant: TenantId) -> Result<DataKey, OpenError> {
        let master_key = self
            .0
            .iter()
            .find(|key| key.id == wrapped.master_key_id)
            .ok_or_else(|| OpenError::UnknownMasterKey { id: wrapped.master_key_id.clone() })?;
        if wrapped.bytes.len() != KEY_BYTES + envelope::OVERHEAD_BYTES {
            return Err(OpenError::Malformed);
        }
        let plaintext = envelope::open(&master_key.cipher, &associated_data(tenant), &wrapped.bytes)?;
        let mut raw = SecretBox::<[u8; KEY_BYTES]>::default();
        secrecy::ExposeSecretMut::expose_secret_mut(&mut raw).copy_from_slice(&plaintext);
        Ok(DataKey::from_raw(raw))
    }

    /// The same data key, sealed anew by the newest master key: what rotation does, so that no secret is re-sealed.
    pub fn rewrap(&self, wrapped: &WrappedDataKey, tenant: TenantId) -> Result<WrappedDataKey, OpenError> {
        self.unwrap(wrapped, tenant).map(|data_key| self.wrap(&data_key, tenant))
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKeys")?;
        f.debug_list().entries(self.ids()).finish()
    }
}

fn associated_data(tenant: TenantId) -> [u8; 17] {
    let mut out = [FORMAT_VERSION; 17];
    out[1..].copy_from_slice(tenant.uuid().as_bytes());
    out
}

fn parse_entry(entry: &str, position: usize) -> Result<MasterKey, MasterKeysError> {
    let (id, encoded) = entry.split_once(':').ok_or(MasterKeysError::NoId { position })?;
    let id = id.trim();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.bytes().all(allowed) {
        return Err(MasterKeysError::BadId { position });
    }
    let decoded = Zeroizing::new(BASE64.decode(encoded.trim()).map_err(|_| MasterKeysError::NotBase64 { position })?);
    let raw: &[u8; KEY_BYTES] =
        decoded.as_slice().try_into().map_err(|_| MasterKeysError::WrongLength { position, length: decoded.len() })?;
    if is_weak(raw) {
        return Err(MasterKeysError::Weak { position });
    }
    Ok(MasterKey { id: id.to_owned(), cipher: Aes256GcmSiv::new(<&Key<Aes256GcmSiv>>::from(raw)) })
}

/// Few distinct bytes (zeros, repeated words, hex digits), counting up or down, or printable text: each of these has a
/// chance below one in 10^13 of being random. It catches defaults and slips; it does not measure entropy.
fn is_weak(raw: &[u8; KEY_BYTES]) -> bool {
    let mut seen = [false; 256];
    for byte in raw {
        seen[usize::from(*byte)] = true;
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    let step = raw[1].wrapping_sub(raw[0]);
    let counts = raw.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    let text = raw.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    distinct < MIN_DISTINCT_BYTES || counts || text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn error_of(text: &str) -> MasterKeysError {
        MasterKeys::parse(&secret(text)).unwrap_err()
    }

    fn entry(id: &str, raw: &[u8]) -> String {
        format!("{id}:{}", BASE64.encode(raw))
    }

    fn random_entry(id: &str) -> String {
        MasterKeys::generate(id).unwrap().1.expose_secret().to_owned()
    }

    #[test]
    fn the_first_key_is_the_newest() {
        let text = format!(" {} , {}\n", random_entry("2026b"), random_entry("2026a"));
        let keys = MasterKeys::parse(&secret(&text)).unwrap();
        assert_eq!(keys.newest_id(), "2026b");
        assert_eq!(keys.ids().collect::<Vec<_>>(), ["2026b", "2026a"]);
        assert!(keys.holds("2026a"));
        assert!(!keys.holds("2025"));
    }

    #[test]
    fn a_generated_text_is_the_generated_key() {
        let (keys, text) = MasterKeys::generate("local").unwrap();
        let tenant = TenantId::generate();
        let data_key = DataKey::generate();
        let wrapped = keys.wrap(&data_key, tenant);
        let again = MasterKeys::parse(&text).unwrap();
        assert_eq!(again.unwrap(&wrapped, tenant).unwrap().raw(), data_key.raw());
        assert_eq!(MasterKeys::generate("a b").unwrap_err(), MasterKeysError::BadId { position: 1 });
    }

    #[test]
    fn padding_is_optional() {
        let text = random_entry("a");
        assert!(text.ends_with('='));
        assert!(MasterKeys::parse(&secret(text.trim_end_matches('='))).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        use MasterKeysError as E;
        let good = random_entry("a");
        assert_eq!(error_of(""), E::Absent);
        assert_eq!(error_of(" \n"), E::Absent);
        assert_eq!(error_of(&format!("{good},")), E::NoId { position: 2 });
        assert_eq!(error_of("hunter2"), E::NoId { position: 1 });
        assert_eq!(error_of(&good[1..]), E::BadId { position: 1 });
        assert_eq!(error_of(&format!("{}:a", &good[2..])), E::BadId { position: 1 });
        assert_eq!(error_of(&format!("é{good}")), E::BadId { position: 1 });
        assert_eq!(error_of(&format!("{good},{}", random_entry("a"))), E::DuplicateId { first: 1, second: 2 });
        assert_eq!(error_of("a:***"), E::NotBase64 { position: 1 });
        assert_eq!(error_of("a:"), E::WrongLength { position: 1, length: 0 });
        assert_eq!(error_of(&entry("a", &[7; 31])), E::WrongLength { position: 1, length: 31 });
        assert_eq!(error_of(&entry("a", &[7; 33])), E::WrongLength { position: 1, length: 33 });
    }

    #[test]
    fn keys_that_are_not_random_are_refused() {
        let counting: Vec<u8> = (0..32).collect();
        let down: Vec<u8> = (0..32).map(|i: u8| 255 - 3 * i).collect();
        for raw in [
            &[0_u8; 32][..],
            &[255; 32],
            &counting,
            &down,
            b"changemechangemechangemechangeme",
            b"0123456789abcdef0123456789abcdef",
            b"The quick brown fox jumps over 1",
        ] {
            assert_eq!(error_of(&entry("a", raw)), MasterKeysError::Weak { position: 1 });
        }
    }
}
