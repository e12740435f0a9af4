//! Figures and words as people read them.

use acm2_domain::judged::Spread;
use acm2_domain::ranking::Interval;
use acm2_domain::ranking::cascade::Basis;
use acm2_domain::ranking::leaderboard::Call;
use acm2_domain::run::TaskStatus;
use chrono::{DateTime, TimeDelta, Utc};

/// What stands where a figure has no value.
pub(super) const NONE: &str = "–";

/// With so many digits behind the point, and never `-0.00`.
pub(super) fn figure(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let is_zero = text.chars().all(|letter| matches!(letter, '-' | '0' | '.'));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
}

/// The same, or a dash.
pub(super) fn maybe(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| figure(value, digits))
}

/// With a sign, as a deviation is read.
pub(super) fn signed(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(
        || NONE.to_owned(),
        |value| {
            let text = figure(value, digits);
            if text.starts_with('-') || text.chars().all(|letter| matches!(letter, '0' | '.')) {
                text
            } else {
                format!("+{text}")
            }
        },
    )
}

/// A share as percent.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{}\u{a0}%", figure(share * 100.0, 0)))
}

/// `3.90 to 4.77`.
pub(super) fn interval(interval: Option<Interval>, digits: usize) -> Option<String> {
    interval.map(|interval| format!("{} to {}", figure(interval.low, digits), figure(interval.high, digits)))
}

/// What a mean comes from: its interval, its spread and how many values.
pub(super) fn spread(spread: &Spread, digits: usize) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(interval(spread.interval, digits).map(|text| format!("95 % interval {text}")));
    facts.extend(spread.sd.map(|sd| format!("sd {}", figure(sd, 2))));
    facts.push(format!("n {}", spread.n));
    facts
}

/// What decided.
pub(super) const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::FinalPairwise => "votes in the final",
        Basis::Pairwise => "votes on pairs",
        Basis::Review => "rankings by reviewers",
        Basis::MeanScore => "the mean score",
    }
}

/// How sure that is.
pub(super) const fn call(call: Call) -> &'static str {
    match call {
        Call::Clear => "clear",
        Call::TooClose => "too close to call",
        Call::TooFew => "too few judgements to say",
        Call::Unopposed => "no other answer",
    }
}

/// The word of a task's status.
pub(super) const fn status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "pending",
        TaskStatus::Completed => "completed",
        TaskStatus::Failed => "failed",
        TaskStatus::Cancelled => "cancelled",
        TaskStatus::Skipped => "skipped",
    }
}

/// To the second, in UTC.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `400 ms`, `1.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn duration(delta: TimeDelta) -> String {
    let millis = delta.num_milliseconds().max(0);
    let seconds = millis / 1_000;
    match seconds {
        0 if millis == 0 => "0 s".to_owned(),
        0 => format!("{millis} ms"),
        1..10 => format!("{} s", figure(millis as f64 / 1_000.0, 1)),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// `834 bytes`, `12.0 KiB`, `1.4 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1_024;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..1_048_576 => format!("{} KiB", figure(bytes as f64 / 1_024.0, 1)),
        _ => format!("{} MiB", figure(bytes as f64 / 1_048_576.0, 1)),
    }
}

/// A text, cut, and whether it was.
pub(super) fn cut(text: &str, characters: usize) -> (&str, bool) {
    text.char_indices().nth(characters).map_or((text, false), |(end, _)| (&text[..end], true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_no_negative_zero_and_deviations_a_sign() {
        assert_eq!(figure(-0.001, 2), "0.00");
        assert_eq!(figure(-0.5, 2), "-0.50");
        assert_eq!(
            (signed(Some(0.0), 1), signed(Some(0.25), 2), signed(None, 1)),
            ("0.0".into(), "+0.25".into(), "–".into())
        );
        assert_eq!((signed(Some(-1.0), 1), percent(Some(0.666))), ("-1.0".into(), "67\u{a0}%".into()));
    }

    #[test]
    fn a_size_is_said_in_the_unit_that_fits() {
        assert_eq!([size(0), size(1_023), size(1_024)], ["0 bytes", "1023 bytes", "1.0 KiB"]);
        assert_eq!([size(1_483_920), size(8 << 20)], ["1.4 MiB", "8.0 MiB"]);
    }

    #[test]
    fn a_duration_is_said_as_people_say_it() {
        let said = |millis| duration(TimeDelta::milliseconds(millis));
        assert_eq!([said(-5), said(0), said(1), said(999)], ["0 s", "0 s", "1 ms", "999 ms"]);
        assert_eq!([said(1_000), said(1_400), said(12_300)], ["1.0 s", "1.4 s", "12 s"]);
        assert_eq!([said(200_000), said(7_500_000)], ["3 min 20 s", "2 h 5 min"]);
    }
}
