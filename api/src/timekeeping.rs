//! Keeps this process's clock on the database's time, by which all processes agree on deadlines. `open` sets it once, before
//! anything is done; a process that stays sets it again with every heartbeat. Called by `open` and `cli::serve`.

use std::sync::Arc;
use std::time::Instant;

use acm2_domain::clock::SyncedClock;
use acm2_domain::timing::Timing;
use acm2_store::{Store, StoreError};

/// A clock so far from the database's is worth a word, in microseconds.
const FAR: i64 = 5_000_000;

/// Sets the clock.
pub(crate) async fn set(clock: &SyncedClock, store: &Store) -> Result<(), StoreError> {
    let asked = Instant::now();
    let moved = clock.set(asked, store.time().await?);
    if moved.abs() > FAR {
        let seconds = moved / 1_000_000;
        tracing::warn!(seconds, "this machine's clock is not the database's; the database's is used");
    }
    Ok(())
}

/// Sets the clock again and again until it is dropped. While the database is away, the clock goes on by itself.
pub(crate) async fn keep(clock: Arc<SyncedClock>, store: Store, timing: Timing) {
    loop {
        tokio::time::sleep(timing.heartbeat).await;
        match tokio::time::timeout(timing.heartbeat_timeout, set(&clock, &store)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the clock could not be set"),
            Err(_) => tracing::debug!("the clock could not be set in time"),
        }
    }
}
