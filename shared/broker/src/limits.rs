//! Lanes: when a call of a tenant with one provider key may start. All processes share a lane. Only what may be lost lives here:
//! a lane that is not there starts empty, and is told again what its callers remember. `redis/` and `memory/` implement the same
//! state machine and pass the same tests.
//!
//! Nothing is reserved for one who has to wait: a caller that was told to wait asks again, so that one that goes away costs
//! nobody a place, and what a lane learns meanwhile holds for all who wait.

use std::time::Duration;

use acm2_domain::call::{ErrorClass, RateHints};
use acm2_domain::ids::{ProviderKeyId, TenantId};
use acm2_domain::timing::Timing;
use async_trait::async_trait;

use crate::dispatch::BrokerError;

/// What is throttled together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Whose calls.
    pub tenant: TenantId,
    /// The provider's slug.
    pub provider: &'static str,
    /// With which key.
    pub key: ProviderKeyId,
    /// Differs after each change of the key, which so starts with an empty lane.
    pub version: i64,
}

/// By what a lane goes. All processes that share a broker must agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneRules {
    /// The most calls under way in a lane, over all processes.
    pub calls: u64,
    /// How long a lane stays closed.
    pub closed: Duration,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u64,
    /// After which an open breaker lets a probe through: first step and cap.
    pub breaker: (Duration, Duration),
    /// The space between calls after a 429: first step and cap.
    pub slow: (Duration, Duration),
    /// How many calls start at once in a lane of which nothing is known.
    pub cold_calls: u64,
    /// The space between those that follow, until the provider has answered.
    pub cold: Duration,
    /// After which one who waits for what has no time, a free place or the end of a probe, asks again.
    pub poll: Duration,
    /// After which a lane without calls is forgotten.
    pub forget: Duration,
    /// How much later than planned a call may reach the provider.
    pub jitter: Duration,
}

impl LaneRules {
    /// The rules of a protocol's durations, with this many calls under way in a lane.
    pub fn new(timing: &Timing, calls: usize) -> Self {
        Self {
            calls: calls.max(1) as u64,
            closed: timing.lane_closed,
            breaker_failures: 5,
            breaker: timing.lane_breaker,
            slow: timing.lane_slow,
            cold_calls: 5,
            cold: timing.lane_cold,
            poll: timing.lane_poll,
            forget: timing.lane_forget,
            jitter: timing.lane_jitter,
        }
    }
}

/// A call that may start. It counts as under way until it is reported, or its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Differs at each call.
    pub nonce: u64,
    /// The number of the call in its lane.
    pub number: u64,
    /// When it started, in microseconds of the broker's clock.
    pub at: u64,
}

/// Why a lane is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The provider refuses the key.
    Auth,
    /// The account behind the key has no credit.
    Quota,
}

impl Refused {
    /// The class of the calls that met it.
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::Auth => ErrorClass::ProviderAuth,
            Self::Quota => ErrorClass::ProviderQuota,
        }
    }
}

/// The answer to who wants to start a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may start now.
    Go(Ticket),
    /// Not now: ask again after this time, or when a call of the lane has ended.
    Wait(Duration),
    /// The key was refused moments ago; the lane stays closed for this time.
    Closed(Refused, Duration),
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The provider answered.
    Answered,
    /// The provider works, but refused this one.
    Rejected,
    /// Too many requests; the provider asks for this delay.
    RateLimited(Option<Duration>),
    /// The provider refuses the key.
    Refused(Refused),
    /// The provider is overloaded, or was not reached.
    Failed,
    /// It says nothing about the provider: nothing was sent, or nobody waited for the end.
    Unknown,
}

/// What a lane is told when a call has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// What came of it.
    pub outcome: Outcome,
    /// What the provider told of its limits.
    pub rates: RateHints,
    /// The tokens that it took, where they are known.
    pub tokens: Option<u64>,
}

impl Report {
    /// A report that tells no limits.
    pub const fn of(outcome: Outcome) -> Self {
        Self { outcome, rates: RateHints { requests: None, tokens: None }, tokens: None }
    }
}

/// A rate that a lane goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// This many requests, or tokens,
    pub limit: u64,
    /// in this time.
    pub window: Duration,
}

/// How the breaker of a lane stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Breaker {
    /// Calls pass.
    #[default]
    Closed,
    /// None passes for a while.
    Open,
    /// One may pass, or is under way, to find out.
    HalfOpen,
}

/// What is known of a lane. Its callers remember it, and tell it to a lane that was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// No call starts for this time.
    pub parked: Duration,
    /// The lane is closed for this time.
    pub closed: Option<(Refused, Duration)>,
    /// The rate of requests.
    pub requests: Option<Learned>,
    /// The rate of tokens.
    pub tokens: Option<Learned>,
    /// The space between calls after a 429.
    pub slow: Duration,
    /// Calls under way. Not told again: who has them reports them.
    pub under_way: u64,
    /// How the breaker stands. Not told again.
    pub breaker: Breaker,
}

/// The lanes.
#[async_trait]
pub trait Limits: Send + Sync + std::fmt::Debug {
    /// Asks to start a call, which counts as under way for `lease` at most. `known` is what the caller remembers; a lane that
    /// is not there begins with it.
    async fn ask(
        &self,
        lane: &Lane,
        rules: &LaneRules,
        lease: Duration,
        known: Known,
    ) -> Result<(Permission, Known), BrokerError>;

    /// Tells a lane what came of a call. A ticket of which the lane does not know any more is no error, and a second report of
    /// a call changes no count. `known` is as in `ask`.
    async fn done(
        &self,
        lane: &Lane,
        rules: &LaneRules,
        ticket: Ticket,
        report: Report,
        known: Known,
    ) -> Result<Known, BrokerError>;
}
