//! The tasks of one run that commands have left out while a worker has it. `control` fills it from the store; the Journal stops
//! what it does for such a task, a call in flight too.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use acm2_domain::journal::TaskKey;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The skipped tasks of one run, as far as this worker has heard.
#[derive(Debug, Default)]
pub(super) struct Skips {
    state: Mutex<State>,
    /// How many the store has, as the last fenced write told.
    told: AtomicU32,
    announced: Notify,
}

#[derive(Debug, Default)]
struct State {
    skipped: HashSet<String>,
    working: HashMap<String, CancellationToken>,
}

impl Skips {
    /// Cancelled once the task is skipped.
    pub(super) fn of(&self, key: &TaskKey) -> CancellationToken {
        let mut state = self.lock();
        let skipped = state.skipped.contains(key.as_str());
        let token = state.working.entry(key.to_string()).or_default().clone();
        drop(state);
        if skipped {
            token.cancel();
        }
        token
    }

    /// These tasks are skipped.
    pub(super) fn skip(&self, keys: Vec<String>) {
        let mut state = self.lock();
        for key in keys {
            if let Some(working) = state.working.get(&key) {
                working.cancel();
            }
            state.skipped.insert(key);
        }
    }

    /// The store has so many: whoever watches over the run reads which, if they are more than are known here.
    pub(super) fn announce(&self, told: u32) {
        self.told.fetch_max(told, Ordering::Relaxed);
        if self.is_behind(told) {
            self.announced.notify_one();
        }
    }

    /// Waits until more are announced than are known.
    pub(super) async fn announced(&self) {
        loop {
            self.announced.notified().await;
            if self.is_behind(self.told.load(Ordering::Relaxed)) {
                return;
            }
        }
    }

    /// Whether fewer are known here than the store has.
    pub(super) fn is_behind(&self, told: u32) -> bool {
        self.count() < told as usize
    }

    /// How many are known here.
    pub(super) fn count(&self) -> usize {
        self.lock().skipped.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_task_hears_of_its_skip_before_and_after_it_has_begun() {
        let skips = Skips::default();
        let [first, second] = [1, 2].map(|number| TaskKey::new("generate", "prompt", 0, number));
        let working = skips.of(&first);
        assert!(!working.is_cancelled());
        skips.skip(vec![first.to_string(), second.to_string()]);
        assert!(working.is_cancelled() && skips.of(&second).is_cancelled());
        assert!(!skips.of(&TaskKey::new("generate", "prompt", 0, 3)).is_cancelled());
    }

    #[test]
    fn the_store_is_asked_only_while_it_knows_more() {
        let skips = Skips::default();
        skips.announce(0);
        assert!(skips.announced().now_or_never().is_none());
        skips.announce(1);
        assert!(skips.announced().now_or_never().is_some());
        skips.announce(1);
        skips.skip(vec!["one".to_owned()]);
        assert!(skips.announced().now_or_never().is_none());
    }
}
