//! When a run is given back because nothing of it can go on before a long wait is over (PROTOCOL rule 7), so that a worker is not
//! held.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::control::{Control, StopCause};

/// Between two steps of a stage nothing is under way for a moment: only what lasts as long as this is a standstill.
const SURE_AFTER: Duration = Duration::from_millis(500);

/// What is under way of one run, and what of it waits for long.
#[derive(Debug)]
pub(super) struct Waits {
    /// How many tasks the run works on at once: a task that waits keeps its place.
    places: usize,
    /// How long the run is given back for where nobody knows when it could go on.
    away: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Steps of the stages that have begun and are not through.
    begun: usize,
    /// By number, when each long wait of a task with a place ends.
    long: BTreeMap<u64, Instant>,
    /// Of what has begun, what waits long for room for a text, without a place.
    for_room: usize,
    /// The same, where that keeps its turn for as long as anything else of the run could go on by itself.
    patient: usize,
    /// How often this has changed.
    changes: u64,
}

impl Waits {
    pub(super) fn new(places: usize, away: Duration) -> Self {
        Self { places, away, state: Mutex::default(), changed: Notify::new() }
    }

    /// A step begins, and is through when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Begun {
        self.change(|state| state.begun += 1);
        Begun(Arc::clone(self))
    }

    /// A task waits until `end`, or until the guard is dropped.
    pub(super) fn wait_long(&self, end: Instant) -> LongWait<'_> {
        let number = self.change(|state| {
            state.long.insert(state.changes, end);
            state.changes
        });
        LongWait(self, number)
    }

    /// A step that has begun waits for room, until the guard is dropped. `is_patient`: it alone is no reason to give the run back.
    pub(super) fn wait_for_room(&self, is_patient: bool) -> RoomWait<'_> {
        self.change(|state| *state.waits_for_room(is_patient) += 1);
        RoomWait(self, is_patient)
    }

    /// Gives the run back once nothing of it goes on.
    pub(super) async fn watch(&self, control: &Control) -> Infallible {
        loop {
            let Some((changes, _)) = self.standstill() else {
                self.changed.notified().await;
                continue;
            };
            sleep(SURE_AFTER).await;
            if let Some((_, end)) = self.standstill().filter(|(now, _)| *now == changes) {
                let wait = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                control.stop(StopCause::Waiting(wait));
                return std::future::pending().await;
            }
        }
    }

    /// Where nothing goes on: how often things had changed by then, and when the first wait is over.
    fn standstill(&self) -> Option<(u64, Instant)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // What only waits for room in all its steps keeps its turn, if one of them has it.
        let room_end = (state.for_room > 0 && state.patient == 0).then(|| Instant::now() + self.away);
        let first_end = state.long.values().copied().chain(room_end).min()?;
        let (in_places, all) = (state.long.len(), state.long.len() + state.for_room + state.patient);
        (in_places >= self.places || all >= state.begun).then_some((state.changes, first_end))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.changes += 1;
        let changed = change(&mut state);
        drop(state);
        self.changed.notify_one();
        changed
    }
}

#[derive(Debug)]
pub(super) struct Begun(Arc<Waits>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.change(|state| state.begun = state.begun.saturating_sub(1));
    }
}

#[derive(Debug)]
pub(super) struct LongWait<'a>(&'a Waits, u64);

impl Drop for LongWait<'_> {
    fn drop(&mut self) {
        let number = self.1;
        self.0.change(|state| state.long.remove(&number));
    }
}

impl State {
    fn waits_for_room(&mut self, is_patient: bool) -> &mut usize {
        if is_patient { &mut self.patient } else { &mut self.for_room }
    }
}

#[derive(Debug)]
pub(super) struct RoomWait<'a>(&'a Waits, bool);

impl Drop for RoomWait<'_> {
    fn drop(&mut self) {
        self.0.change(|state| {
            let waits = state.waits_for_room(self.1);
            *waits = waits.saturating_sub(1);
        });
    }
}

#[cfg(test)]
mod tests {
    use acm2_domain::ids::RunId;
    use acm2_store::runs::Fence;

    use super::*;

    const LONG: Duration = Duration::from_secs(100);

    /// Why the run is stopped, if it is within ten seconds.
    async fn cause(waits: &Waits) -> Option<StopCause> {
        let control = Control::new(Fence { run: RunId::generate(), claim: 1 });
        tokio::select! {
            never = waits.watch(&control) => match never {},
            () = sleep(Duration::from_secs(10)) => control.cause(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_goes_on_while_anything_else_of_it_does() {
        let waits = Arc::new(Waits::new(2, LONG));
        let (_waits_long, other) = (waits.begin(), waits.begin());
        let _first = waits.wait_long(Instant::now() + LONG);
        assert_eq!(cause(&waits).await, None);
        drop(other);
        assert!(matches!(cause(&waits).await, Some(StopCause::Waiting(_))), "only the task that waits is left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_whose_places_all_wait_is_given_back_until_the_first_wait_is_over() {
        let waits = Arc::new(Waits::new(2, LONG));
        let _begun: Vec<Begun> = (0..50).map(|_| waits.begin()).collect();
        let _first = waits.wait_long(Instant::now() + LONG);
        let _second = waits.wait_long(Instant::now() + 3 * LONG);
        let cause = cause(&waits).await;
        assert!(matches!(cause, Some(StopCause::Waiting(wait)) if wait <= LONG), "{cause:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_only_waits_for_room_is_given_back_and_one_with_a_call_under_way_is_not() {
        let waits = Arc::new(Waits::new(2, LONG));
        // A lane with two calls, of which one waits long, and a lane that waits for room.
        let (waits_long, call, _waits_for_room) = (waits.begin(), waits.begin(), waits.begin());
        let (first, _room) = (waits.wait_long(Instant::now() + 3 * LONG), waits.wait_for_room(false));
        assert_eq!(cause(&waits).await, None);
        drop(call);
        let both = cause(&waits).await;
        assert!(matches!(both, Some(StopCause::Waiting(wait)) if wait <= LONG), "{both:?}");
        drop((first, waits_long));
        let alone = cause(&waits).await;
        assert!(matches!(alone, Some(StopCause::Waiting(wait)) if wait <= LONG), "{alone:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_has_the_turn_to_wait_for_room_keeps_it_unless_the_rest_waits_for_something_else() {
        let waits = Arc::new(Waits::new(2, LONG));
        let _begun = [(); 2].map(|()| waits.begin());
        let (_room, turn) = (waits.wait_for_room(false), waits.wait_for_room(true));
        assert_eq!(cause(&waits).await, None);
        let waits_long = waits.begin();
        // The call that holds the room, perhaps.
        let long = waits.wait_long(Instant::now() + 3 * LONG);
        assert!(matches!(cause(&waits).await, Some(StopCause::Waiting(wait)) if wait > LONG));
        drop((long, waits_long, turn));
        assert_eq!(cause(&waits).await, None, "the other one has begun something");
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_between_two_steps_is_no_standstill() {
        let waits = Arc::new(Waits::new(2, LONG));
        let _waits_long = waits.begin();
        let _first = waits.wait_long(Instant::now() + LONG);
        let steps = async {
            for _ in 0..100 {
                sleep(SURE_AFTER / 2).await;
                let step = waits.begin();
                sleep(SURE_AFTER / 2).await;
                drop(step);
            }
        };
        let control = Control::new(Fence { run: RunId::generate(), claim: 1 });
        tokio::select! {
            never = waits.watch(&control) => match never {},
            () = steps => assert_eq!(control.cause(), None),
        }
    }
}
