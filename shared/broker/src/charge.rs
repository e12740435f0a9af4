//! What a tenant is charged for a job: microseconds, divided by the tenant's weight. `memory/` calls it; the
//! scripts of `redis/` do the same and are given its constants. Pure.

use std::time::Duration;

use crate::dispatch::Used;

/// What a job costs at least, also one that made no call: else jobs that cost nothing would go round for ever.
pub(crate) const LEAST: u64 = 1_000;
/// What a job is thought to cost while none has been done yet.
pub(crate) const FIRST: u64 = 1_000_000;
/// More than any job can take; keeps virtual times exact in the 53 bits that Lua counts with.
const MOST: Duration = Duration::from_hours(24 * 365);

/// Whole microseconds, at most those of a year.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.min(MOST).as_micros()).unwrap_or(u64::MAX)
}

/// What a job costs a tenant of weight one: the time of its calls, or, where it held a worker's place for longer than these took
/// together, that time. Who waits for a slow limit of its own takes the place from others all the same.
pub(crate) fn cost(used: Used) -> u64 {
    micros(used.calls.max(used.held)).max(LEAST)
}

/// A moving average: each new value counts an eighth.
pub(crate) fn averaged(before: Option<u64>, value: u64) -> u64 {
    before.map_or(value, |before| before.saturating_add_signed((signed(value) - signed(before)).div_euclid(8)))
}

/// As a difference is counted; no virtual time comes near the bound.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_free_and_nothing_outgrows_the_numbers() {
        let used = |calls, held| cost(Used { calls: Duration::from_secs(calls), held: Duration::from_secs(held) });
        assert_eq!(used(0, 0), LEAST);
        assert_eq!([used(2, 1), used(2, 9)], [2_000_000, 9_000_000]);
        assert!(used(u64::MAX, 0) < 1 << 52);
    }

    #[test]
    fn an_average_follows_what_it_is_told() {
        assert_eq!(averaged(None, 7), 7);
        assert_eq!(averaged(Some(80), 0), 70);
        let after = (0..100).fold(1_000_000, |average, _| averaged(Some(average), 2_000_000));
        assert!((1_990_000..=2_000_000).contains(&after), "{after}");
    }
}
