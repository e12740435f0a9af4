//! Rate limits that really count: so many calls in so many seconds for each key and model, and what is left of them.
//! `generate` asks on arrival; `brand` words the answer. It must not know HTTP.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So many calls in any time of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) calls: u32,
    pub(crate) seconds: u32,
}

/// How the limit stands after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Until all is there again.
    pub(crate) reset: Duration,
    /// Of a call that was one too many: until one more is allowed.
    pub(crate) retry_after: Option<Duration>,
}

/// The calls of the last seconds, by key fingerprint and model.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<(String, String), VecDeque<Instant>>>);

impl Rates {
    /// Counts a call that is allowed; one that is not costs nothing.
    pub(crate) fn count(&self, key: String, model: String, rate: Rate) -> Counted {
        self.count_at(key, model, rate, Instant::now())
    }

    fn count_at(&self, key: String, model: String, rate: Rate, now: Instant) -> Counted {
        let window = Duration::from_secs(rate.seconds.into());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = all.entry((key, model)).or_default();
        while calls.front().is_some_and(|first| now.duration_since(*first) >= window) {
            calls.pop_front();
        }
        let left = |call: Option<&Instant>| {
            call.map_or(Duration::ZERO, |call| window.saturating_sub(now.duration_since(*call)))
        };
        let allowed = calls.len() < rate.calls as usize;
        let retry_after = (!allowed).then(|| left(calls.front()));
        if allowed {
            calls.push_back(now);
        }
        let remaining = rate.calls.saturating_sub(u32::try_from(calls.len()).unwrap_or(u32::MAX));
        Counted { limit: rate.calls, remaining, reset: left(calls.back()), retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_of_any_begin_has_more_than_the_limit() {
        let (rates, start) = (Rates::default(), Instant::now());
        let rate = Rate { calls: 2, seconds: 1 };
        let at = |ms| rates.count_at("k".to_owned(), "m".to_owned(), rate, start + Duration::from_millis(ms));
        assert_eq!((at(0).remaining, at(600).remaining), (1, 0));
        let refused = at(700);
        assert_eq!(
            (refused.retry_after, refused.reset),
            (Some(Duration::from_millis(300)), Duration::from_millis(900))
        );
        assert_eq!((at(1_000).retry_after, at(1_001).retry_after), (None, Some(Duration::from_millis(599))));
        assert_eq!(rates.count_at("other".to_owned(), "m".to_owned(), rate, start).remaining, 1);
    }
}
