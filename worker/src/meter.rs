//! How much time the calls of one job have taken, summed over those that go side by side. Calls run it while they are under
//! way; the job's seat reads it when the job is settled, however it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The meter of one job.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

/// Runs until it is dropped, also by a call that is aborted.
#[derive(Debug)]
pub(crate) struct Running {
    meter: Meter,
    since: Instant,
}

impl Meter {
    /// Counts from now until the answer is dropped.
    pub(crate) fn run(&self) -> Running {
        Running { meter: self.clone(), since: Instant::now() }
    }

    /// What has been counted so far; calls that are still under way come in when they end.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.meter.0.fetch_add(micros, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_that_go_side_by_side_count_each() {
        const CALL: Duration = Duration::from_millis(20);
        let meter = Meter::default();
        let (one, other) = (meter.run(), meter.run());
        tokio::time::sleep(CALL).await;
        drop(one);
        assert!(meter.total() >= CALL);
        tokio::time::sleep(CALL).await;
        drop(other);
        assert!(meter.total() >= 3 * CALL, "{:?}", meter.total());
    }
}
