//! Whether and when a failed attempt is followed by another. The one retry policy; the Journal is the one that follows it.

use std::time::Duration;

use crate::call::CallError;

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt after this delay.
    Retry(Duration),
    /// The task fails.
    GiveUp,
}

/// What bounds the attempts of a task.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many attempts may follow the first.
    pub max_retries: u32,
    /// The backoff's first step and its cap.
    pub backoff: (Duration, Duration),
    /// The time left until the run's deadline.
    pub time_left: Duration,
}

/// Decides after the failed attempt number `attempt`, counted from 1. `jitter` is from 0 to 1: full jitter over the backoff,
/// so that calls that failed together do not come back together. A delay that the provider asks for is obeyed, plus a little
/// jitter; one that ends after the deadline means giving up now.
pub fn after_failure(error: &CallError, attempt: u32, limits: Limits, jitter: f64) -> Verdict {
    let transient = error.should_retry.unwrap_or_else(|| error.class.is_transient());
    if !transient || attempt > limits.max_retries {
        return Verdict::GiveUp;
    }
    let (first, cap) = limits.backoff;
    let ceiling = first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(16))).min(cap);
    let delay = match error.retry_after {
        Some(asked) => asked + ceiling.mul_f64(jitter.clamp(0.0, 1.0) / 4.0),
        None => ceiling.mul_f64(jitter.clamp(0.0, 1.0)),
    };
    if delay >= limits.time_left { Verdict::GiveUp } else { Verdict::Retry(delay) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::call::ErrorClass;

    const LIMITS: Limits = Limits {
        max_retries: 2,
        backoff: (Duration::from_millis(500), Duration::from_secs(8)),
        time_left: Duration::from_secs(100),
    };

    fn error(class: ErrorClass, retry_after: Option<u64>) -> CallError {
        CallError { retry_after: retry_after.map(Duration::from_secs), ..CallError::unsent(class, "") }
    }

    #[test]
    fn billing_and_key_errors_are_never_tried_again() {
        for class in [ErrorClass::ProviderQuota, ErrorClass::ProviderAuth, ErrorClass::ProviderRequest] {
            assert_eq!(after_failure(&error(class, Some(1)), 1, LIMITS, 0.5), Verdict::GiveUp);
        }
    }

    #[test]
    fn the_providers_own_word_wins() {
        let refused = CallError { should_retry: Some(false), ..error(ErrorClass::ProviderOverloaded, None) };
        assert_eq!(after_failure(&refused, 1, LIMITS, 0.5), Verdict::GiveUp);
    }

    #[test]
    fn a_delay_beyond_the_deadline_gives_up_at_once() {
        assert_eq!(after_failure(&error(ErrorClass::ProviderRateLimited, Some(100)), 1, LIMITS, 0.0), Verdict::GiveUp);
    }

    proptest! {
        #[test]
        fn a_retry_never_comes_before_the_asked_delay_nor_after_the_deadline(
            asked in proptest::option::of(0_u64..200), attempt in 1_u32..5, jitter in 0.0..1.0_f64,
        ) {
            match after_failure(&error(ErrorClass::ProviderRateLimited, asked), attempt, LIMITS, jitter) {
                Verdict::Retry(delay) => {
                    prop_assert!(attempt <= LIMITS.max_retries);
                    prop_assert!(delay >= Duration::from_secs(asked.unwrap_or(0)));
                    prop_assert!(delay < LIMITS.time_left);
                }
                Verdict::GiveUp => prop_assert!(attempt > LIMITS.max_retries || asked.unwrap_or(0) >= 99),
            }
        }
    }
}
