//! When a run is given back because nothing of it can go on before a long wait is over (PROTOCOL rule 7), so that a worker is not
//! held.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::control::{Control, StopCause};

/// The unsettled tasks of one run, and those of them that wait for long.
#[derive(Debug)]
pub(super) struct Waits {
    control: Arc<Control>,
    /// How many tasks the run works on at once: a task that waits keeps its place.
    places: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    unsettled: usize,
    /// By number, when each long wait ends.
    long: BTreeMap<u64, Instant>,
    next: u64,
}

impl Waits {
    pub(super) fn new(control: Arc<Control>, places: usize, unsettled: usize) -> Self {
        Self { control, places, state: Mutex::new(State { unsettled, long: BTreeMap::new(), next: 0 }) }
    }

    /// A task is settled: its place is free for another, if one is left.
    pub(super) fn settled(&self) {
        self.change(|state| state.unsettled = state.unsettled.saturating_sub(1));
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
        let nothing_goes_on = state.long.len() >= self.places.min(state.unsettled);
        drop(state);
        if let Some(end) = first_end.filter(|_| nothing_goes_on) {
            let wait = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.control.stop(StopCause::Waiting(wait));
        }
        changed
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

    const LONG: Duration = Duration::from_secs(100);

    fn waits(places: usize, unsettled: usize) -> (Arc<Control>, Waits) {
        let control = Arc::new(Control::new(Fence { run: RunId::generate(), claim: 1 }));
        (Arc::clone(&control), Waits::new(control, places, unsettled))
    }

    #[tokio::test]
    async fn a_run_goes_on_while_a_place_is_left_for_its_other_tasks() {
        let (control, waits) = waits(2, 50);
        let _first = waits.wait_long(Instant::now() + LONG);
        for _ in 0..48 {
            waits.settled();
            assert_eq!(control.cause(), None);
        }
        waits.settled();
        assert!(matches!(control.cause(), Some(StopCause::Waiting(_))), "only the task that waits is left");
    }

    #[tokio::test]
    async fn a_run_whose_places_all_wait_is_given_back_until_the_first_wait_is_over() {
        let (control, waits) = waits(2, 50);
        let _first = waits.wait_long(Instant::now() + LONG);
        let _second = waits.wait_long(Instant::now() + 3 * LONG);
        assert!(matches!(control.cause(), Some(StopCause::Waiting(wait)) if wait <= LONG), "{:?}", control.cause());
    }
}
