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

    /// Whether the last heartbeat is so old that the others take this process for dead.
    pub(crate) fn is_stale(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_beat.elapsed() > self.timing.heartbeat_stale
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
    // A database that says nothing does not keep the process.
    let removed = timeout(timing.heartbeat_timeout, store.workers().remove(me.id)).await;
    if let Err(error) = removed.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".to_owned()))) {
        tracing::debug!(%error, "the process's row stays until it is stale");
    }
}

async fn beat_once(store: &Store, me: &NewWorker) -> Result<(), StoreError> {
    if !store.workers().beat(me.id).await? {
        store.workers().register(me).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    async fn beats(liveness: &Liveness, number: u32, timing: &Timing) {
        for _ in 0..number {
            advance(timing.heartbeat).await;
            liveness.beaten();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_has_just_started_steals_nothing_for_a_while_unless_it_is_alone() {
        let timing = Timing::default();
        let liveness = Liveness::new(timing.clone(), false);
        assert!(Liveness::new(timing.clone(), true).may_steal());
        beats(&liveness, 2, &timing).await;
        assert!(!liveness.may_steal());
        beats(&liveness, 1, &timing).await;
        assert!(liveness.may_steal());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_whose_own_heartbeats_stopped_for_a_while_steals_nothing_until_the_others_had_time_to_beat() {
        let timing = Timing::default();
        let liveness = Liveness::new(timing.clone(), false);
        beats(&liveness, 3, &timing).await;
        assert!(liveness.may_steal());
        advance(timing.heartbeat_gap + MOMENT).await;
        assert!(!liveness.may_steal(), "the database may have been away for everyone");
        liveness.beaten();
        beats(&liveness, 2, &timing).await;
        assert!(!liveness.may_steal());
        beats(&liveness, 1, &timing).await;
        assert!(liveness.may_steal());
    }
}
