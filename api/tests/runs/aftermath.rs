//! How tests of what dies begin and end: many runs, all of them completed, and a ledger that agrees with the provider's log.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::harness::{Client, Process, Tenant};
use crate::house::{House, ended, submit};
use crate::ledger::{Figures, Ledger};
use crate::own_redis::keys;

/// Submits a run many times, some at once.
pub(crate) async fn submit_many(client: &Client, count: usize, body: &Value) -> Vec<String> {
    stream::iter(0..count).map(|_| submit(client, body)).buffer_unordered(16).collect().await
}

/// Waits for the end of each run, which must be a good one.
pub(crate) async fn all_completed(client: &Client, runs: &[String]) {
    for run in runs {
        let run = ended(client, run, Duration::from_mins(2)).await;
        assert_eq!(run["status"], "completed", "{run}");
    }
}

/// Waits until the tails are done and the broker has forgotten the runs, ends the processes the hard way, and compares the
/// ledger with the provider's log.
pub(crate) async fn check(house: &House, tenant: &Tenant, processes: impl IntoIterator<Item = Process>) -> Figures {
    let patience = Instant::now() + Duration::from_secs(30);
    while Ledger::read(&house.world, tenant).await.unfinished() > 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if house.world.is_shared() {
        // What is kept of each worker and each lane, however many runs there were.
        let bounded = |key: &String| {
            // Lanes go by themselves a while after their last call.
            key.contains(":lane:") || ["mark", "state", "workers", "wake"].iter().any(|name| key.ends_with(name))
        };
        loop {
            let left: Vec<String> =
                keys(&house.world.settings["ACM2_BROKER__URL"]).into_iter().filter(|key| !bounded(key)).collect();
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < patience, "Redis still holds {left:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    processes.into_iter().for_each(Process::kill);
    Ledger::read(&house.world, tenant).await.check(&house.log())
}

/// A minute at the speed of the tests: several times what makes a heartbeat stale.
pub(crate) const A_MINUTE: Duration = Duration::from_secs(12);
/// Half a minute of real time, and as much for a slow machine; the rest of the work itself comes on top.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// Waits until all runs have completed; prints how long it took.
pub(crate) async fn recovered(client: &Client, runs: &[String], since: &str) {
    let began = Instant::now();
    all_completed(client, runs).await;
    let took = began.elapsed();
    eprintln!("{} runs completed within {took:.1?} of {since}", runs.len());
    assert!(took < SOON, "{took:?}");
}
