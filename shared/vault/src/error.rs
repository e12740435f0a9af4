//! Why a ciphertext or a wrapped data key did not open.
//!
//! Returned by `master_keys`, `seal` and `keyring`. It tells which master key is wanted and never what was inside.

/// A wrapped data key or a sealed secret that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The data key was wrapped by a master key that this process was not given.
    #[error("the data key is sealed by master key `{id}`, which this process does not hold")]
    UnknownMasterKey {
        /// The id that is written beside the wrapped data key.
        id: String,
    },
    /// The bytes are not of the format that this version writes: cut off, of another length or another version.
    #[error("the stored bytes are not a sealed value of a known format")]
    Malformed,
    /// The key or what the value is bound to is another one, or the bytes were changed. Which of these cannot be told.
    #[error("the sealed value does not open: it was sealed by another key, for another place, or was changed")]
    DoesNotOpen,
}
