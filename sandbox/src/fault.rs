//! What can be wrong with a call, in one form for all brands.
//! Made by `generate` and `wire`, put into words by `brand`. It must not know HTTP.

use crate::key::Key;

/// Why a call is refused.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No key was sent.
    KeyMissing,
    /// The key contains `bad`.
    KeyWrong(Key),
    /// The key contains `revoked`.
    KeyRevoked,
    /// The key contains `quota`: the account has no money left.
    NoCredit,
    /// `fail-429-quota`: a quota is spent, which waiting does not cure.
    QuotaSpent,
    /// `echo-key-in-error`.
    KeyRepeated(Key),
    /// No behaviour is called so.
    ModelUnknown,
    /// The request itself is wrong: what, and in which field.
    Invalid(String, Option<&'static str>),
    /// The body is over the limit.
    TooLarge,
    /// `fail-<n>`. `passes` when a later call of the same kind will succeed.
    Status { status: u16, passes: bool },
}

impl Fault {
    pub(crate) fn invalid(message: impl Into<String>, param: &'static str) -> Self {
        Self::Invalid(message.into(), Some(param))
    }

    /// A streaming request: the sandbox does not stream.
    pub(crate) fn streaming() -> Self {
        Self::invalid("Streaming is not supported by the sandbox: send the request without it.", "stream")
    }
}
