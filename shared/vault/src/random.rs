//! The one source of randomness for keys, nonces, salts and tokens.
//!
//! Called by everything here that mints. It asks the operating system each time: key material comes from no generator
//! whose state lives in this process.

use rand::rngs::OsRng;
use rand::{RngCore, TryRngCore};

/// Fills `bytes` with randomness from the operating system, in place.
///
/// Stops the process's current task if the operating system has none to give: there is no safe way to go on.
pub(crate) fn fill(bytes: &mut [u8]) {
    OsRng.unwrap_err().fill_bytes(bytes);
}
