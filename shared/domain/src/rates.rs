//! What a provider tells of its rate limits with an answer or an error, in neutral terms. `outbound` reads it, the worker hands it
//! to the lane that the call belongs to; nothing here knows a header.

use std::time::Duration;

/// How one kind of limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateWindow {
    /// The most that a window allows.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// The time until all of it is there again.
    pub reset: Duration,
}

/// What an answer or an error told; nothing where the provider is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateHints {
    /// Requests.
    pub requests: Option<RateWindow>,
    /// Tokens; of several kinds the one that is nearest to its end.
    pub tokens: Option<RateWindow>,
}
