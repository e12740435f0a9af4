//! Remembers which API keys fitted which stored hash, so that argon2 runs once and not on each request.
//!
//! One lives in each `api` process. Only a right answer is remembered, so noise cannot fill it with refusals, and the
//! entry is keyed by token and stored hash together: when the row's hash changes, the entry is missed. It decides nothing
//! about revocation, scopes or suspension; the caller reads those from the row each time.

use std::fmt;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::api_key::ApiKeyToken;

/// A bounded set of right answers. Holds digests, no tokens.
pub struct VerifyCache(Cache<[u8; 32], ()>);

impl VerifyCache {
    /// A cache of at most about `capacity` API keys, some 200 bytes each.
    pub fn new(capacity: u64) -> Self {
        Self(Cache::new(capacity))
    }

    /// As [`ApiKeyToken::verify`], from memory when this token fitted this hash before.
    pub fn verify(&self, token: &ApiKeyToken, hash: &str) -> bool {
        let entry = entry_of(token, hash);
        if self.0.get(&entry).is_some() {
            return true;
        }
        let fits = token.verify(hash);
        if fits {
            self.0.insert(entry, ());
        }
        fits
    }
}

impl fmt::Debug for VerifyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyCache({} entries)", self.0.entry_count())
    }
}

/// A token has a fixed length, so the two parts cannot run into each other.
fn entry_of(token: &ApiKeyToken, hash: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(token.expose());
    digest.update(hash);
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::api_key::MintedApiKey;

    fn minted() -> (ApiKeyToken, MintedApiKey) {
        let minted = ApiKeyToken::mint();
        (ApiKeyToken::parse(minted.token.expose_secret()).unwrap(), minted)
    }

    #[test]
    fn only_right_answers_are_remembered() {
        let cache = VerifyCache::new(100);
        let (token, mine) = minted();
        let (_, other) = minted();
        assert!(!cache.verify(&token, &other.hash));
        assert!(!cache.verify(&token, "not a hash"));
        cache.0.run_pending_tasks();
        assert_eq!(cache.0.entry_count(), 0);
        assert!(cache.verify(&token, &mine.hash));
        assert!(cache.0.contains_key(&entry_of(&token, &mine.hash)));
        assert!(cache.verify(&token, &mine.hash));
    }

    #[test]
    fn a_changed_hash_misses() {
        let cache = VerifyCache::new(100);
        let (token, mine) = minted();
        let (_, other) = minted();
        assert!(cache.verify(&token, &mine.hash));
        assert!(!cache.verify(&token, &other.hash));
        assert!(!cache.verify(&token, &mine.hash[..mine.hash.len() - 1]));
    }

    #[test]
    fn another_token_never_profits() {
        let cache = VerifyCache::new(100);
        let (token, mine) = minted();
        let (other_token, _) = minted();
        assert!(cache.verify(&token, &mine.hash));
        assert!(!cache.verify(&other_token, &mine.hash));
    }

    #[test]
    fn the_cache_is_bounded_and_still_right() {
        let cache = VerifyCache::new(4);
        let all: Vec<_> = (0..40).map(|_| minted()).collect();
        assert!(all.iter().all(|(token, minted)| cache.verify(token, &minted.hash)));
        cache.0.run_pending_tasks();
        assert!(cache.0.entry_count() <= 4);
        assert!(all.iter().all(|(token, minted)| cache.verify(token, &minted.hash)));
    }
}
