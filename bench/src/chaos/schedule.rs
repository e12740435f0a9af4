//! Which fault is the n-th of a seed: the same for ever, so that a run can be repeated and resumed. Knows nothing of processes.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $weight:literal, $words:literal;)+) => {
        /// What is done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Kind { $($(#[doc = $doc])+ $kind,)+ }

        impl Kind {
            /// Every kind with its share in percent.
            pub(crate) const ALL: &[(Self, u32)] = &[$((Self::$kind, $weight)),+];

            /// For the table.
            pub(crate) const fn words(self) -> &'static str {
                match self { $(Self::$kind => $words),+ }
            }
        }
    };
}

// Kills 30, Redis 25, the database 20, the provider 20, the queue 5.
kinds! {
    /// kill -9.
    WorkerKilled = 12, "worker killed";
    /// kill -9.
    ApiKilled = 6, "api killed";
    /// kill -9 of all at once.
    AllWorkersKilled = 3, "all workers killed";
    /// SIGTERM, and another in its place.
    WorkerTerminated = 6, "worker terminated";
    /// SIGTERM, and another in its place.
    ApiTerminated = 3, "api terminated";
    /// FLUSHALL.
    RedisEmptied = 7, "Redis emptied";
    /// kill -9 and start at once.
    RedisRestarted = 5, "Redis restarted";
    /// Away for a while.
    RedisStopped = 5, "Redis stopped";
    /// One process is cut off.
    RedisCut = 5, "Redis cut off";
    /// One process hears nothing.
    RedisSilent = 2, "Redis silent";
    /// For one process everything takes its time.
    RedisSlow = 1, "Redis slow";
    /// A crash and start at once.
    DatabaseRestarted = 6, "database restarted";
    /// Away for a while.
    DatabaseStopped = 4, "database stopped";
    /// One process is cut off.
    DatabaseCut = 6, "database cut off";
    /// One process hears nothing.
    DatabaseSilent = 3, "database silent";
    /// For one process everything takes its time.
    DatabaseSlow = 1, "database slow";
    /// A call is never answered.
    ProviderHangs = 5, "provider hangs";
    /// Refused for its rate.
    ProviderLimits = 5, "provider answers 429";
    /// Its own failures.
    ProviderFails = 5, "provider answers 5xx";
    /// The answer ends in the middle, or never begins.
    ProviderCuts = 4, "provider cuts";
    /// The provider's process dies with all its calls.
    ProviderKilled = 1, "provider killed";
    /// An entry of the queue stands there twice.
    EntryDoubled = 5, "queue entry doubled";
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// Its place in the schedule, from 0.
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    /// Which of several; whoever does it takes the remainder.
    pub(crate) who: usize,
    /// How long what was taken away stays away.
    pub(crate) lasts: Duration,
}

/// The n-th fault of a seed.
pub(crate) fn fault(seed: u64, number: u64) -> Fault {
    let mut random = random(seed, number);
    let mut left = random.random_range(0..100);
    let kind = Kind::ALL.iter().find(|(_, weight)| {
        let hit = left < *weight;
        left = left.saturating_sub(*weight);
        hit
    });
    Fault {
        number,
        kind: kind.map_or(Kind::WorkerKilled, |(kind, _)| *kind),
        who: random.random_range(0..1_000),
        lasts: Duration::from_millis(random.random_range(200..4_000)),
    }
}

/// Chance that depends on the seed and a place alone.
pub(crate) fn random(seed: u64, place: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_for_ever() {
        let of = |seed| (0..50).map(|number| fault(seed, number)).collect::<Vec<_>>();
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn every_kind_comes_as_often_as_the_mix_says() {
        assert_eq!(Kind::ALL.iter().map(|(_, weight)| weight).sum::<u32>(), 100);
        let faults: Vec<Fault> = (0..20_000).map(|number| fault(1, number)).collect();
        for (kind, weight) in Kind::ALL {
            let share = faults.iter().filter(|fault| fault.kind == *kind).count() as f64 / 200.0;
            assert!((share - f64::from(*weight)).abs() < 1.0, "{kind:?}: {share} instead of {weight} percent");
        }
    }
}
