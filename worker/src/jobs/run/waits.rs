//! When a run is given back because all that is left of it waits for long (PROTOCOL rule 7), so that a worker is not held.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::control::{Control, StopCause};

/// The tasks of one run that are at work, and those of them that wait for long.
#[derive(Debug)]
pub(super) struct Waits {
    control: Arc<Control>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    at_work: usize,
    /// By number, when each ends.
    long: BTreeMap<u64, Instant>,
    next: u64,
}

impl Waits {
    pub(super) fn new(control: Arc<Control>) -> Self {
        Self { control, state: Mutex::default() }
    }

    /// A task is at work until the guard is dropped.
    pub(super) fn at_work(&self) -> AtWork<'_> {
        self.change(|state| state.at_work += 1);
        AtWork(self)
    }

    /// A task waits until `end`, or until the guard is dropped.
    pub(super) fn wait_long(&self, end: Instant) -> LongWait<'_> {
        let number = self.change(|state| {
            state.next += 1;
            state.long.insert(state.next, end);
            state.next
        });
        LongWait(self, number)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut state);
        let first_end = state.long.values().min().copied();
        let all_wait = state.at_work > 0 && state.long.len() == state.at_work;
        drop(state);
        if let Some(end) = first_end.filter(|_| all_wait) {
            self.control
                .stop(StopCause::Waiting(end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))));
        }
        changed
    }
}

pub(super) struct AtWork<'a>(&'a Waits);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.at_work -= 1);
    }
}

pub(super) struct LongWait<'a>(&'a Waits, u64);

impl Drop for LongWait<'_> {
    fn drop(&mut self) {
        let number = self.1;
        self.0.change(|state| state.long.remove(&number));
    }
}

#[cfg(test)]
mod tests {
    use acm2_domain::ids::RunId;
    use acm2_store::runs::Fence;

    use super::*;

    #[tokio::test]
    async fn a_run_is_given_back_only_when_all_its_tasks_wait() {
        let control = Arc::new(Control::new(Fence { run: RunId::generate(), claim: 1 }));
        let waits = Waits::new(Arc::clone(&control));
        let (first, second) = (waits.at_work(), waits.at_work());
        let _long = waits.wait_long(Instant::now() + Duration::from_secs(100));
        assert_eq!(control.cause(), None);
        drop(second);
        assert!(matches!(control.cause(), Some(StopCause::Waiting(_))), "{:?}", control.cause());
        drop(first);
    }
}
