//! The delay that a provider or a webhook receiver asks for. Pure: a date is measured against the answer's own `Date`, so
//! neither our clock nor its skew matters.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use http::HeaderMap;

use crate::providers::headers;

/// Nobody waits longer: after a day it is asked again, and told again if need be. Also keeps sums of delays from overflowing.
const LONGEST: Duration = Duration::from_hours(24);

/// `retry-after-ms` (OpenAI, Azure), else `retry-after` in seconds, whole or not, or as a date (RFC 9110 §10.2.3).
pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers::text(headers, "retry-after-ms").and_then(|text| seconds(text.parse::<f64>().ok()? / 1000.0));
    millis.or_else(|| {
        let text = headers::text(headers, "retry-after")?;
        text.parse().ok().map_or_else(|| until(text, headers), seconds)
    })
}

fn until(text: &str, headers: &HeaderMap) -> Option<Duration> {
    let date = |text: &str| -> Option<DateTime<FixedOffset>> { DateTime::parse_from_rfc2822(text).ok() };
    let wait = date(text)? - date(headers::text(headers, "date")?)?;
    Some(wait.to_std().unwrap_or_default().min(LONGEST))
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number)
        .ok()
        .or_else(|| (number > 0.0).then_some(LONGEST))
        .map(|delay| delay.min(LONGEST))
}

/// A text such as `1.5s`, `45.837906927s`, `20ms`, `6m0s` or `1h2m3.5s`; `None` where it is anything else.
pub(in crate::providers) fn parse(text: &str) -> Option<Duration> {
    let (delay, rest) = leading(text.trim());
    delay.filter(|_| rest.is_empty())
}

/// "Please try again in 1.5s." (OpenAI, Groq).
pub(super) fn from_message(message: &str) -> Option<Duration> {
    const BEFORE: &str = "try again in ";
    let start = message.to_ascii_lowercase().find(BEFORE)? + BEFORE.len();
    leading(&message[start..]).0
}

/// The duration that a text begins with, and what follows it.
fn leading(text: &str) -> (Option<Duration>, &str) {
    let (mut total, mut rest) = (None, text);
    loop {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..end].parse::<f64>() else { break };
        let unit = &rest[end..];
        let (factor, length) = match unit.as_bytes() {
            [b'm', b's', ..] => (0.001, 2),
            [b'h', ..] => (3600.0, 1),
            [b'm', ..] => (60.0, 1),
            [b's', ..] => (1.0, 1),
            _ => break,
        };
        let Some(part) = seconds(number * factor) else { break };
        total = Some((total.unwrap_or(Duration::ZERO) + part).min(LONGEST));
        rest = &unit[length..];
    }
    (total, rest)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn told(pairs: &[(&'static str, &str)]) -> Option<Duration> {
        let pairs =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        from_headers(&pairs.collect())
    }

    #[test]
    fn milliseconds_come_before_seconds() {
        assert_eq!(told(&[("retry-after-ms", "1500"), ("retry-after", "9")]), Some(Duration::from_millis(1500)));
        assert_eq!(told(&[("retry-after-ms", "soon"), ("retry-after", "9")]), Some(Duration::from_secs(9)));
    }

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(told(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(told(&[("retry-after", "0.25")]), Some(Duration::from_millis(250)));
        assert_eq!(told(&[("retry-after", "-1")]), None);
        assert_eq!(told(&[("retry-after", "NaN")]), None);
        assert_eq!(told(&[("retry-after", "1e99")]), Some(LONGEST));
    }

    #[test]
    fn a_date_is_measured_against_the_answers_own_date() {
        let date = ("date", "Fri, 20 Nov 2026 10:00:00 GMT");
        assert_eq!(told(&[date, ("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT")]), Some(Duration::from_secs(90)));
        assert_eq!(told(&[date, ("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(told(&[("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT")]), None);
    }

    #[test]
    fn durations_of_bodies_and_messages_are_read() {
        assert_eq!(parse("45.837906927s"), Some(Duration::from_nanos(45_837_906_927)));
        assert_eq!(parse("6m0s"), Some(Duration::from_mins(6)));
        assert_eq!(parse("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        for wrong in ["", "s", "5", "5 apples", "1.2.3s", "5s later"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        for (message, millis) in [
            ("Rate limit reached. Please try again in 1.5s. Visit …", 1_500),
            ("Please try again in 20ms.", 20),
            ("please Try Again In 7m12.5s", 432_500),
        ] {
            assert_eq!(from_message(message), Some(Duration::from_millis(millis)), "{message}");
        }
        assert_eq!(from_message("try again in a moment"), None);
        assert_eq!(from_message("try again later"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_wait_for_ever(text in "(try again in )?[0-9.hmsµ é-]{0,12}.{0,5}") {
            prop_assert!(parse(&text).is_none_or(|delay| delay <= LONGEST));
            prop_assert!(from_message(&text).is_none_or(|delay| delay <= LONGEST));
            if let Ok(value) = HeaderValue::from_str(&text) {
                let told = from_headers(&HeaderMap::from_iter([(HeaderName::from_static("retry-after"), value)]));
                prop_assert!(told.is_none_or(|delay| delay <= LONGEST));
            }
        }
    }
}
