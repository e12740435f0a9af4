//! Time as a parameter, so that tests can set it. Processes pass a `SyncedClock`, which they keep on the database's time, so that
//! deadlines mean the same on machines whose clocks differ; heartbeats and leases use the database's clock itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Where the time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now, in whole microseconds: what both databases keep, so that a stored time equals the one in memory.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that can be handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// A clock that another one sets. In between it goes by the time since the process began, so that a machine's clock that is set
/// or jumps moves nothing.
#[derive(Debug)]
pub struct SyncedClock {
    began: Instant,
    /// The time at `began`.
    origin: Mutex<DateTime<Utc>>,
}

impl SyncedClock {
    /// A clock that shows `now`.
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        Self { began: Instant::now(), origin: Mutex::new(now) }
    }

    /// The time now, in whole microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        (*self.origin.lock().unwrap_or_else(PoisonError::into_inner) + self.began.elapsed()).trunc_subsecs(6)
    }

    /// Sets it by another clock, which was asked at `asked` and showed `told` at some time since. Moves it only as far as is sure,
    /// so that slow answers do not make it swing; how far, in microseconds.
    pub fn set(&self, asked: Instant, told: DateTime<Utc>) -> i64 {
        let answered = self.began.elapsed();
        let latest = told + asked.elapsed() + RESOLUTION;
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = *origin + answered;
        let moved = shown.clamp(told, latest) - shown;
        *origin += moved;
        moved.num_microseconds().unwrap_or(i64::MAX)
    }
}

/// What a database may cut off of the time that it tells.
const RESOLUTION: Duration = Duration::from_millis(1);

impl Clock for SyncedClock {
    fn now(&self) -> DateTime<Utc> {
        Self::now(self)
    }
}

/// A clock that stands still until it is moved; for tests of schedules.
#[derive(Debug)]
pub struct FixedClock(Mutex<DateTime<Utc>>);

impl FixedClock {
    /// A clock that shows `at`.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(Mutex::new(at))
    }

    /// Moves the clock.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_an_hour_off_is_right_once_it_was_set() {
        for hours in [-1, 1] {
            let clock = SyncedClock::starting_at(SystemClock.now() + TimeDelta::hours(hours));
            let asked = Instant::now();
            let told = SystemClock.now();
            clock.set(asked, told);
            assert!((clock.now() - SystemClock.now()).abs() < TimeDelta::seconds(1), "{hours}");
        }
    }

    #[test]
    fn an_answer_that_took_long_moves_a_clock_no_further_than_is_sure() {
        let now = SystemClock.now();
        let clock = SyncedClock::starting_at(now);
        let asked = Instant::now().checked_sub(Duration::from_secs(4)).unwrap();
        // Told within the four seconds: at any time of these the other clock showed what this one does.
        assert_eq!(clock.set(asked, now - TimeDelta::seconds(3)), 0);
        let moved = clock.set(asked, now - TimeDelta::seconds(10));
        assert!((-6_100_000..=-5_900_000).contains(&moved), "{moved}");
    }
}
