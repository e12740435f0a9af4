//! Tells those who stream events that timelines have grown: gathered for a moment, so that a run with many calls is told of a
//! few times a second, and one that ends within the moment only by its end. Nobody depends on it: who is not told looks.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acm2_domain::ids::RunId;
use tokio::sync::Notify;

use crate::context::Context;

/// Runs that are told of in one message.
const MOST_AT_ONCE: usize = 500;

/// Runs whose timeline has grown since it was last told.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    runs: Mutex<HashSet<RunId>>,
    some: Notify,
}

impl Progress {
    /// An event of the run was committed.
    pub(crate) fn grew(&self, run: RunId) {
        if self.lock().insert(run) {
            self.some.notify_one();
        }
    }

    /// The run has ended, which is told by itself.
    pub(crate) fn ended(&self, run: RunId) {
        self.lock().remove(&run);
    }

    fn take(&self) -> Vec<RunId> {
        self.lock().drain().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells until it is dropped.
pub(crate) async fn tell(context: Arc<Context>) {
    loop {
        context.progress.some.notified().await;
        tokio::time::sleep(context.timing.progress_pause).await;
        for runs in context.progress.take().chunks(MOST_AT_ONCE) {
            if let Err(error) = context.broker.signals.publish_grown(runs).await {
                tracing::debug!(%error, "nobody was told that runs have come on");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_of_once_however_often_it_grew_and_not_after_its_end() {
        let (progress, run, ended) = (Progress::default(), RunId::generate(), RunId::generate());
        for _ in 0..3 {
            progress.grew(run);
            progress.grew(ended);
        }
        progress.ended(ended);
        assert_eq!(progress.take(), [run]);
        assert!(progress.take().is_empty());
    }
}
