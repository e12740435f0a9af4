//! The lanes of one process: a map behind a lock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::lane::{LaneState, micros};
use crate::dispatch::BrokerError;
use crate::limits::{Known, Lane, LaneRules, Limits, Permission, Report, Ticket};

/// The lanes in memory.
#[derive(Debug)]
pub(crate) struct MemoryLimits {
    began: Instant,
    lanes: Mutex<HashMap<Lane, Kept>>,
}

#[derive(Debug)]
struct Kept {
    state: LaneState,
    forgotten: u64,
}

impl MemoryLimits {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), lanes: Mutex::default() }
    }

    /// Microseconds; never 0, which stands for no time.
    fn now(&self) -> u64 {
        micros(self.began.elapsed()) + 1
    }

    /// Nothing awaits while this is held.
    fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, Kept>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        lane: &Lane,
        rules: &LaneRules,
        begin: Known,
        work: impl FnOnce(&mut LaneState, u64) -> T,
    ) -> (T, Known) {
        let mut lanes = self.lanes();
        let now = self.now();
        if lanes.get(lane).is_none_or(|kept| kept.forgotten <= now) {
            lanes.retain(|_, kept| kept.forgotten > now);
            lanes.insert(lane.clone(), Kept { state: LaneState::begin(begin, now), forgotten: now });
        }
        let Some(kept) = lanes.get_mut(lane) else {
            // It was inserted above; an empty lane stands for the impossible.
            let mut state = LaneState::begin(begin, now);
            return (work(&mut state, now), state.known(now));
        };
        let worked = work(&mut kept.state, now);
        kept.forgotten = kept.state.over().max(now) + micros(rules.forget);
        (worked, kept.state.known(now))
    }
}

#[async_trait]
impl Limits for MemoryLimits {
    async fn ask(
        &self,
        lane: &Lane,
        rules: &LaneRules,
        lease: Duration,
        known: Known,
    ) -> Result<(Permission, Known), BrokerError> {
        Ok(self.with(lane, rules, known, |state, now| state.ask(rules, rand::random(), lease, now)))
    }

    async fn done(
        &self,
        lane: &Lane,
        rules: &LaneRules,
        ticket: Ticket,
        report: Report,
        known: Known,
    ) -> Result<Known, BrokerError> {
        Ok(self.with(lane, rules, known, |state, now| state.done(rules, ticket, report, now)).1)
    }
}
