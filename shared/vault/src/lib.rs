//! Secrets: sealing what is stored, keys that authenticate callers, fingerprints and masks.
//!
//! `store` calls this to seal and open columns, `api` to mint and check API keys, `runtime` to parse the master keys.
//! Pure: no files, no database, no environment, no network, no clock. Nothing here prints, logs or returns key material
//! outside a `SecretString`, and no error tells any of it.
//!
//! - [`master_keys`]: the operator's keys; they wrap the data keys
//! - [`data_key`]: one random key per tenant; wrapping and unwrapping it
//! - [`seal`]: what a data key does to one stored secret, and what the ciphertext is bound to
//! - [`places`]: what each stored secret is bound to
//! - [`keyring`]: the master keys of this process with a bounded cache of unwrapped data keys
//! - [`fingerprint`]: keyed fingerprints of request bodies
//! - [`api_key`], [`verify_cache`]: `acm2_…` tokens and the cache of their positive checks
//! - [`webhook_secret`]: `whsec_…` signing secrets
//! - [`mask`]: what may be shown of a provider key
//! - [`error`]: why a ciphertext did not open

pub mod api_key;
pub mod data_key;
pub mod error;
pub mod fingerprint;
pub mod keyring;
pub mod mask;
pub mod master_keys;
pub mod places;
pub mod seal;
pub mod verify_cache;
pub mod webhook_secret;

mod base62;
mod envelope;
mod random;
