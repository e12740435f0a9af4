//! API keys, which authenticate a caller to ACM2: `acm2_<12: public id><32: secret><6: CRC-32>`, all base62.
//!
//! `api` mints them and checks them on each request: [`ApiKeyToken::parse`] refuses typing errors and noise without a
//! database, the row is then found by [`ApiKeyToken::public_id`], and [`ApiKeyToken::verify`] checks the stored hash.
//! It knows nothing of rows, scopes or revocation.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{base62, random};

/// What every API key begins with; it tells an API key from other bearer tokens.
pub const PREFIX: &str = "acm2_";

const PUBLIC_ID: std::ops::Range<usize> = PREFIX.len()..PREFIX.len() + 12;
const CHECKSUM: std::ops::Range<usize> = PUBLIC_ID.end + 32..PUBLIC_ID.end + 32 + 6;
const LENGTH: usize = CHECKSUM.end;
/// How much of a token is shown in lists: the prefix and the first 8 letters of the public id.
const SHOWN: usize = PREFIX.len() + 8;

/// Light, as the secret has 190 random bits and nobody can guess it: about 0.2 ms. Memory in KiB.
const MEMORY_KIB: u32 = 256;
const PASSES: u32 = 1;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// A stored hash that asks for more is refused: one altered row must not be able to take the memory of the process.
const MAX_MEMORY_KIB: u32 = 4_096;
const MAX_PASSES: u32 = 4;

/// A text that cannot be an API key. It tells nothing about the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Another prefix, length or alphabet.
    #[error("not an API key of the form acm2_ and 50 letters and digits")]
    Shape,
    /// The last six characters do not fit the rest: mistyped or cut and pasted wrongly.
    #[error("the API key was mistyped or is incomplete: its checksum is wrong")]
    Checksum,
}

/// A well-formed API key with a right checksum. Whether it exists is not known yet. `Debug` shows the public id only.
pub struct ApiKeyToken(SecretString);

/// A new API key. `token` is shown to its owner once; the rest is stored.
pub struct MintedApiKey {
    /// The whole key.
    pub token: SecretString,
    /// 12 letters, by which the row is found; unique by chance (71 bits) and by the table's index.
    pub public_id: String,
    /// argon2id of the whole key, as a PHC string.
    pub hash: String,
    /// For display: `acm2_` and the first 8 letters of the public id; nothing secret.
    pub prefix: String,
    /// For display: the last 4 letters; a part of the checksum, of which at most 24 bits concern the secret.
    pub last4: String,
}

impl ApiKeyToken {
    /// A new random API key.
    #[expect(
        clippy::expect_used,
        reason = "letters are ASCII, and the parameters are constants that a test hashes with"
    )]
    pub fn mint() -> MintedApiKey {
        let mut letters = Zeroizing::new([0_u8; LENGTH]);
        letters[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
        base62::fill(&mut letters[PREFIX.len()..CHECKSUM.start]);
        let checksum = base62::checksum(&letters[..CHECKSUM.start]);
        letters[CHECKSUM].copy_from_slice(&checksum);
        let text = std::str::from_utf8(letters.as_ref()).expect("ASCII");
        MintedApiKey {
            token: SecretString::from(text),
            public_id: text[PUBLIC_ID].to_owned(),
            hash: hash(text).expect("argon2 takes these parameters"),
            prefix: text[..SHOWN].to_owned(),
            last4: text[LENGTH - 4..].to_owned(),
        }
    }

    /// Reads a key that a caller sent, exactly as sent: no trimming.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let bytes = text.as_bytes();
        if bytes.len() != LENGTH || !text.starts_with(PREFIX) {
            return Err(ApiKeyError::Shape);
        }
        if !bytes[PREFIX.len()..].iter().copied().all(base62::is_letter) {
            return Err(ApiKeyError::Shape);
        }
        if bytes[CHECKSUM] != base62::checksum(&bytes[..CHECKSUM.start]) {
            return Err(ApiKeyError::Checksum);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// By which the row is found. Not secret.
    pub fn public_id(&self) -> &str {
        &self.0.expose_secret()[PUBLIC_ID]
    }

    /// Whether the stored PHC string is of this key. Takes a fraction of a millisecond; `verify_cache` spares it.
    ///
    /// False also for a stored string of another algorithm, or with parameters above the cap: it is never computed.
    pub fn verify(&self, hash: &str) -> bool {
        let Ok(stored) = PasswordHash::new(hash) else { return false };
        let Ok(params) = Params::try_from(&stored) else { return false };
        let ours = stored.algorithm == Algorithm::Argon2id.ident()
            && stored.version == Some(Version::V0x13.into())
            && params.m_cost() <= MAX_MEMORY_KIB
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() == LANES
            && params.output_len() == Some(HASH_BYTES);
        ours && Argon2::default().verify_password(self.expose().as_bytes(), &stored).is_ok()
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

fn hash(text: &str) -> argon2::password_hash::Result<String> {
    let mut salt = [0_u8; SALT_BYTES];
    random::fill(&mut salt);
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password_with_salt(text.as_bytes(), &salt)?.to_string())
}

impl fmt::Debug for ApiKeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyToken").field("public_id", &self.public_id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for MintedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintedApiKey").field("public_id", &self.public_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_params(text: &str, memory: u32, passes: u32, lanes: u32, algorithm: Algorithm) -> String {
        let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).unwrap();
        let argon2 = Argon2::new(algorithm, Version::V0x13, params);
        argon2.hash_password_with_salt(text.as_bytes(), &[7; 16]).unwrap().to_string()
    }

    #[test]
    fn a_stored_hash_of_other_moderate_parameters_still_counts() {
        let minted = ApiKeyToken::mint();
        let text = minted.token.expose_secret();
        let token = ApiKeyToken::parse(text).unwrap();
        assert!(token.verify(&with_params(text, 64, 2, 1, Algorithm::Argon2id)));
    }

    #[test]
    fn a_stored_hash_beyond_the_cap_or_of_another_kind_is_refused() {
        let minted = ApiKeyToken::mint();
        let text = minted.token.expose_secret();
        let token = ApiKeyToken::parse(text).unwrap();
        // Each of these is the right hash of the key: only the rule refuses it.
        assert!(!token.verify(&with_params(text, MAX_MEMORY_KIB + 1, 1, 1, Algorithm::Argon2id)));
        assert!(!token.verify(&with_params(text, 64, MAX_PASSES + 1, 1, Algorithm::Argon2id)));
        assert!(!token.verify(&with_params(text, 64, 1, 2, Algorithm::Argon2id)));
        assert!(!token.verify(&with_params(text, 64, 1, 1, Algorithm::Argon2d)));
        // Would take 4 TiB if it were computed.
        let huge = minted.hash.replace("m=256", "m=4294967295");
        assert_ne!(huge, minted.hash);
        assert!(!token.verify(&huge));
        // The right one, but short and thus easier to meet by chance.
        let short = Argon2::from(Params::new(64, 1, 1, Some(10)).unwrap());
        let short = short.hash_password_with_salt(text.as_bytes(), &[7; 16]).unwrap().to_string();
        assert!(!token.verify(&short));
        // None at all, or cut off.
        let (without, _) = minted.hash.rsplit_once('$').unwrap();
        assert!(!token.verify(without));
        assert!(!token.verify(&minted.hash[..minted.hash.len() - 20]));
        assert!(!token.verify(""));
    }
}
