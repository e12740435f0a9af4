//! When looking at a run again makes sense: what `Retry-After` says. Pure; the caller tells what it knows of run and queue.

use std::time::Duration;

/// The shortest and the longest pause, in seconds.
const BOUNDS: (u64, u64) = (1, 60);

/// What is known of a run that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// It waits for a worker.
    Queued {
        /// For how long.
        waited: Duration,
        /// How many of its tenant's runs wait.
        waiting: u64,
        /// How many runs the workers do at once.
        at_once: u64,
    },
    /// A worker has it.
    Running {
        /// For how long.
        took: Duration,
        /// Tasks that have an answer or will not get one.
        settled: u32,
        /// Tasks that it consists of.
        expected: u32,
    },
    /// It waits for its owner.
    Paused,
}

/// After how many seconds looking again makes sense, for a run that ends in `time_left` at the latest.
///
/// Half of the rest that is to be expected: who looks in the middle learns most, and is late by little. A rest of which
/// nothing is known is taken to be as long as what has passed. In the queue, each time that all workers' places must be taken
/// anew counts as a second at least.
pub fn poll_hint(outlook: Outlook, time_left: Duration) -> u64 {
    let pause = match outlook {
        Outlook::Queued { waited, waiting, at_once } => Duration::from_secs(waiting / at_once.max(1)).max(waited / 2),
        Outlook::Running { took, settled: 0, .. } => took / 2,
        Outlook::Running { took, settled, expected } => {
            let left = f64::from(expected.saturating_sub(settled)) / f64::from(settled);
            Duration::try_from_secs_f64(took.as_secs_f64() * left / 2.0).unwrap_or(Duration::MAX)
        }
        Outlook::Paused => Duration::MAX,
    };
    let pause = pause.min(time_left);
    let seconds = pause.as_secs().saturating_add(u64::from(pause.subsec_nanos() > 0));
    seconds.clamp(BOUNDS.0, BOUNDS.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn running(took: u64, settled: u32, expected: u32) -> u64 {
        poll_hint(Outlook::Running { took: Duration::from_secs(took), settled, expected }, HOUR)
    }

    fn queued(waited: u64, waiting: u64, at_once: u64) -> u64 {
        poll_hint(Outlook::Queued { waited: Duration::from_secs(waited), waiting, at_once }, HOUR)
    }

    #[test]
    fn a_run_that_has_just_begun_is_looked_at_soon_and_then_less_and_less_often() {
        assert_eq!([running(0, 0, 10), running(6, 0, 10), running(40, 0, 10), running(900, 0, 10)], [1, 3, 20, 60]);
    }

    #[test]
    fn the_rest_follows_from_what_was_done_in_which_time() {
        // 10 s for each task: 80 s are left, then 10, then none.
        assert_eq!([running(20, 2, 10), running(90, 9, 10), running(100, 10, 10)], [40, 5, 1]);
        assert_eq!(running(100, 1, 100), 60);
    }

    #[test]
    fn in_the_queue_the_runs_before_it_count_and_how_many_are_done_at_once() {
        assert_eq!([queued(0, 0, 0), queued(0, 1, 16), queued(0, 320, 16), queued(0, 320, 0)], [1, 1, 20, 60]);
        assert_eq!([queued(9, 1, 16), queued(500, 1, 16)], [5, 60]);
    }

    #[test]
    fn the_deadline_is_the_end_and_a_paused_run_waits_for_its_owner() {
        assert_eq!(poll_hint(Outlook::Paused, HOUR), 60);
        assert_eq!(poll_hint(Outlook::Paused, Duration::from_secs(7)), 7);
        assert_eq!(poll_hint(Outlook::Running { took: HOUR, settled: 0, expected: 1 }, Duration::ZERO), 1);
    }

    proptest! {
        #[test]
        fn it_is_always_from_1_to_60(took: Duration, settled: u32, expected: u32, waiting: u64, at_once: u64, left: Duration) {
            for outlook in [
                Outlook::Queued { waited: took, waiting, at_once },
                Outlook::Running { took, settled, expected },
                Outlook::Paused,
            ] {
                prop_assert!((1..=60).contains(&poll_hint(outlook, left)));
            }
        }
    }
}
