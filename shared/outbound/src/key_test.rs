//! What the cheap call says about a provider key. The sender makes the call; the API stores the verdict. Pure.

use std::time::Duration;

use acm2_domain::call::{CallError, ErrorClass};

/// Whether a provider accepts a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTestOutcome {
    /// The provider accepted the key.
    Valid,
    /// The provider refused the key.
    Invalid,
    /// The key is known, but the account has no credit or met a limit.
    Quota,
    /// No verdict: the provider was not reached, is overloaded, or said something else.
    Unreachable,
}

impl KeyTestOutcome {
    /// The word that stands in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Quota => "quota",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The result of testing a provider key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTest {
    /// The verdict.
    pub outcome: KeyTestOutcome,
    /// For the tenant: why, with the provider's message where it gave one; the key scrubbed out.
    pub detail: String,
    /// How long it took.
    pub latency: Duration,
}

pub(crate) fn verdict(tested: Result<(), CallError>, latency: Duration) -> KeyTest {
    let (outcome, detail) = match tested {
        // Google answers such calls for keys that may not generate, so more than this is not known.
        Ok(()) => (KeyTestOutcome::Valid, "key accepted; which models it may use shows in a run".to_owned()),
        Err(error) => (outcome(error.class), error.message),
    };
    KeyTest { outcome, detail, latency }
}

const fn outcome(class: ErrorClass) -> KeyTestOutcome {
    match class {
        ErrorClass::ProviderAuth => KeyTestOutcome::Invalid,
        ErrorClass::ProviderQuota => KeyTestOutcome::Quota,
        _ => KeyTestOutcome::Unreachable,
    }
}
