//! This process's heartbeat, and how far it may trust its view of the others (PROTOCOL rule 4).

use std::sync::{Arc, Mutex, PoisonError};

use acm2_domain::timing::Timing;
use acm2_store::control::NewWorker;
use acm2_store::{Store, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// What this process knows of its own heartbeats.
#[derive(Debug)]
pub(crate) struct Liveness {
    state: Mutex<State>,
    timing: Timing,
    alone: bool,
}

#[derive(Debug)]
struct State {
    last_beat: Instant,
    steals_from: Instant,
}

impl Liveness {
    /// `alone`: no other process can serve from this store, so that nothing need be waited for.
    pub(crate) fn new(timing: Timing, alone: bool) -> Arc<Self> {
        let now = Instant::now();
        let steals_from = if alone { now } else { now + timing.steal_hold };
        Arc::new(Self { state: Mutex::new(State { last_beat: now, steals_from }), timing, alone })
    }

    /// Whether a stale heartbeat of another process may be believed: not after a gap in the own ones, which would mean that the
    /// database was away for everyone.
    pub(crate) fn may_steal(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        now >= state.steals_from && now.duration_since(state.last_beat) <= self.timing.heartbeat_gap
    }

    /// Whether no other process can serve from this store.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }

    fn beaten(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(state.last_beat) > self.timing.heartbeat_gap {
            state.steals_from = now + self.timing.steal_hold;
        }
        state.last_beat = now;
    }
}

/// Writes heartbeats until `ended`, then takes the row away: what this process held may be taken at once.
pub(crate) async fn beat(
    store: Store,
    me: NewWorker,
    liveness: Arc<Liveness>,
    timing: Timing,
    ended: CancellationToken,
) {
    let mut ticks = interval(timing.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = ended.cancelled() => break,
        }
        match timeout(timing.heartbeat_timeout, beat_once(&store, &me)).await {
            Ok(Ok(())) => liveness.beaten(),
            Ok(Err(error)) => tracing::warn!(%error, "no heartbeat could be written"),
            Err(_) => tracing::warn!("writing the heartbeat took too long"),
        }
    }
    if let Err(error) = store.workers().remove(me.id).await {
        tracing::debug!(%error, "the process's row stays until it is stale");
    }
}

async fn beat_once(store: &Store, me: &NewWorker) -> Result<(), StoreError> {
    if !store.workers().beat(me.id).await? {
        store.workers().register(me).await?;
    }
    Ok(())
}
