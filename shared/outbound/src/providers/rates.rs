//! What the headers of an answer or an error tell of rate limits: `x-ratelimit-*` (OpenAI, Groq and their copies) and
//! `anthropic-ratelimit-*`. Read for every wire, because gateways pass on what stands behind them. Pure: a date is measured
//! against the answer's own `Date`. What cannot be read is as if it were not there.

use std::time::Duration;

use acm2_domain::call::{RateHints, RateWindow};
use chrono::DateTime;
use http::HeaderMap;

use super::{failure, headers};

/// Nothing is planned for a longer time.
const LONGEST: Duration = Duration::from_hours(24);

/// Kinds of tokens that are limited, each with its limit, remainder and reset.
const TOKENS: [[&str; 3]; 4] = [
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ["anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"],
    [
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ],
    [
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ],
];

/// The same of requests.
const REQUESTS: [[&str; 3]; 2] = [
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ],
];

/// The largest count that is taken at its word.
const MOST: u64 = 1_000_000_000_000_000;

/// The limits that the headers tell; `None` where they tell none.
pub(super) fn from_headers(headers: &HeaderMap) -> Option<Box<RateHints>> {
    let hints = RateHints { requests: tightest(headers, &REQUESTS), tokens: tightest(headers, &TOKENS) };
    (hints != RateHints::default()).then(|| Box::new(hints))
}

/// Of several limits the one of which the least part is left.
fn tightest(headers: &HeaderMap, names: &[[&str; 3]]) -> Option<RateWindow> {
    let left = |window: &RateWindow| u128::from(window.remaining) * u128::from(u64::MAX) / u128::from(window.limit);
    names.iter().filter_map(|names| window(headers, *names)).min_by_key(left)
}

fn window(headers: &HeaderMap, [limit, remaining, reset]: [&str; 3]) -> Option<RateWindow> {
    let limit = count(headers, limit)?.max(1);
    let remaining = count(headers, remaining)?.min(limit);
    Some(RateWindow { limit, remaining, reset: time_until(headers, reset)?.min(LONGEST) })
}

fn count(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers::text(headers, name)?;
    let count: Option<u64> = text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        // A remainder may be below zero.
        (number.is_finite()).then(|| number.max(0.0) as u64)
    });
    // Some say "no limit" by the largest number there is; what is counted with it must not overflow.
    count.map(|count| count.min(MOST))
}

/// `6m0s`, `120ms`, plain seconds, or a date (RFC 3339).
fn time_until(headers: &HeaderMap, name: &str) -> Option<Duration> {
    let text = headers::text(headers, name)?;
    if let Some(delay) = failure::parse_delay(text) {
        return Some(delay);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).ok();
    }
    let until = DateTime::parse_from_rfc3339(text).ok()?;
    let now = DateTime::parse_from_rfc2822(headers::text(headers, "date")?).ok()?;
    Some((until - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn told(pairs: &[(&'static str, &str)]) -> RateHints {
        let pairs =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        from_headers(&pairs.collect()).map(|hints| *hints).unwrap_or_default()
    }

    fn window(limit: u64, remaining: u64, reset_ms: u64) -> RateWindow {
        RateWindow { limit, remaining, reset: Duration::from_millis(reset_ms) }
    }

    #[test]
    fn openai_and_groq_write_durations() {
        let hints = told(&[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-limit-tokens", "30000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        assert_eq!(
            hints,
            RateHints { requests: Some(window(500, 499, 120)), tokens: Some(window(30_000, 0, 360_000)) }
        );
    }

    #[test]
    fn anthropic_writes_dates_and_the_tightest_kind_of_tokens_counts() {
        let hints = told(&[
            ("date", "Fri, 27 Nov 2026 10:00:00 GMT"),
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-27T10:00:01Z"),
            ("anthropic-ratelimit-input-tokens-limit", "1000"),
            ("anthropic-ratelimit-input-tokens-remaining", "900"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-27T10:00:30Z"),
            ("anthropic-ratelimit-output-tokens-limit", "400"),
            ("anthropic-ratelimit-output-tokens-remaining", "100"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-27T10:00:45Z"),
        ]);
        assert_eq!(hints, RateHints { requests: Some(window(50, 49, 1_000)), tokens: Some(window(400, 100, 45_000)) });
    }

    #[test]
    fn what_is_missing_or_cannot_be_read_tells_nothing() {
        for (limit, remaining, reset) in [("", "1", "1s"), ("5", "x", "1s"), ("5", "1", "soon"), ("5", "NaN", "1s")] {
            let hints = told(&[
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", reset),
            ]);
            assert_eq!(hints, RateHints::default(), "{limit} {remaining} {reset}");
        }
        assert_eq!(told(&[("x-ratelimit-limit-requests", "5")]), RateHints::default());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_plan_beyond_a_day(
            limit in "[0-9.eE+-]{0,22}", remaining in "[0-9.eE+-]{0,22}", reset in "[0-9.hmsTZ:+-]{0,24}",
        ) {
            let hints = told(&[
                ("x-ratelimit-limit-tokens", limit.as_str()),
                ("x-ratelimit-remaining-tokens", remaining.as_str()),
                ("x-ratelimit-reset-tokens", reset.as_str()),
            ]);
            prop_assert!(hints.tokens.is_none_or(|told| told.limit > 0 && told.remaining <= told.limit && told.reset <= LONGEST));
        }
    }
}
