//! Where a job stands in its queue, and an estimate from it of when it starts. The broker tells a [`Standing`]; whoever
//! shows a run asks it for a [`QueuePlace`]. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the queue knows of a job that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Ready jobs of its tenant that go first.
    pub before: u64,
    /// Other tenants that have a turn before its own.
    pub rivals: u64,
    /// How many turns each of them has until then, as far as its jobs take as long as the usual one; at least one.
    pub turns: u64,
    /// Ready jobs of all other tenants.
    pub others: u64,
    /// Jobs that workers hold.
    pub held: u64,
    /// Those of them that are its tenant's.
    pub held_of_tenant: u64,
    /// How many jobs all workers can hold.
    pub permits: u64,
    /// How many of them its tenant may have.
    pub cap: u64,
    /// How long a job is held on average of late; `None` while none has been done.
    pub mean_held: Option<Duration>,
    /// The same of its tenant's jobs; `None` while none has been done since its queue was last empty.
    pub mean_held_of_tenant: Option<Duration>,
}

/// Where a queued run stands. An estimate: others may come, or take longer than those before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct QueuePlace {
    /// Its place among your own queued runs, from 1.
    pub position: u64,
    /// How many queued runs, yours and others', are expected to start before it.
    pub ahead: u64,
    /// When it is expected to start; null while no worker is there, no run has been done yet, or none of your own since your
    /// queue was last empty, if it must wait for some of them.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub eta_seconds: Option<EtaSeconds>,
}

/// Seconds from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct EtaSeconds {
    /// Hardly sooner.
    pub low: u64,
    /// Hardly later.
    pub high: u64,
}

impl Standing {
    /// What it comes to.
    pub fn place(&self) -> QueuePlace {
        let ahead = self.before.saturating_add(self.rivals.saturating_mul(self.turns).min(self.others));
        QueuePlace { position: self.before.saturating_add(1), ahead, eta_seconds: self.eta(ahead) }
    }

    /// A job starts when enough of those before it have ended: over all permits, and within its tenant's share of them. How long
    /// its tenant's own jobs take nobody guesses from those of others.
    fn eta(&self, ahead: u64) -> Option<EtaSeconds> {
        let held = self.mean_held?;
        if self.permits == 0 {
            return None;
        }
        let ends = |before: u64, free: u64| before.saturating_add(1).saturating_sub(free);
        let wait = |ends: u64, held: Duration, permits: u64| ends as f64 * held.as_secs_f64() / permits.max(1) as f64;
        let among_all = wait(ends(ahead, self.permits.saturating_sub(self.held)), held, self.permits);
        let (in_share, one_more) = match ends(self.before, self.cap.saturating_sub(self.held_of_tenant)) {
            0 => (0.0, held),
            ends => (wait(ends, self.mean_held_of_tenant?, self.cap), self.mean_held_of_tenant?.max(held)),
        };
        let mean = among_all.max(in_share);
        // The average hides how different jobs are: half of it to twice, and one more job, which may have just begun.
        let high = if mean > 0.0 { mean * 2.0 + one_more.as_secs_f64() } else { 1.0 };
        Some(EtaSeconds { low: (mean / 2.0).floor() as u64, high: high.ceil() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STANDING: Standing = Standing {
        before: 0,
        rivals: 0,
        turns: 1,
        others: 0,
        held: 0,
        held_of_tenant: 0,
        permits: 40,
        cap: 30,
        mean_held: Some(Duration::from_secs(1)),
        mean_held_of_tenant: Some(Duration::from_secs(5)),
    };

    #[test]
    fn who_finds_a_free_permit_starts_at_once() {
        let place = STANDING.place();
        assert_eq!((place.position, place.ahead), (1, 0));
        assert_eq!(place.eta_seconds, Some(EtaSeconds { low: 0, high: 1 }));
    }

    #[test]
    fn a_long_queue_of_its_own_moves_at_the_pace_of_the_share() {
        let place = Standing { before: 300, held: 30, held_of_tenant: 30, ..STANDING }.place();
        // 301 ends of 5 s each, 30 at a time: 50 s.
        assert_eq!(place.eta_seconds, Some(EtaSeconds { low: 25, high: 106 }));
    }

    #[test]
    fn a_new_tenant_waits_for_one_turn_of_each_rival_whatever_their_backlog() {
        let place = Standing { rivals: 3, others: 10_000, held: 40, ..STANDING }.place();
        assert_eq!((place.position, place.ahead), (1, 3));
        // Four ends of 1 s each, 40 at a time, and one more.
        assert_eq!(place.eta_seconds, Some(EtaSeconds { low: 0, high: 2 }));
    }

    #[test]
    fn nobody_guesses_without_workers_or_experience() {
        assert_eq!(Standing { permits: 0, cap: 1, ..STANDING }.place().eta_seconds, None);
        assert_eq!(Standing { mean_held: None, ..STANDING }.place().eta_seconds, None);
        let unlike_others = Standing { mean_held_of_tenant: None, ..STANDING };
        assert!(unlike_others.place().eta_seconds.is_some(), "it waits for none of its own");
        assert_eq!(Standing { before: 40, ..unlike_others }.place().eta_seconds, None);
    }

    proptest! {
        #[test]
        fn an_interval_is_never_upside_down(before: u64, rivals: u64, turns: u64, others: u64, held: u64, permits: u64, millis: u64) {
            let mean_held = Some(Duration::from_millis(millis));
            let standing = Standing { before, rivals, turns, others, held, permits, mean_held, ..STANDING };
            if let Some(eta) = standing.place().eta_seconds {
                prop_assert!(eta.low <= eta.high);
            }
        }
    }
}
