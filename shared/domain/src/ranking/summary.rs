//! Mean, standard deviation and the interval of a mean, for few values.

use serde::{Deserialize, Serialize};

use super::student_t;

/// Values that differ by less than this are equal: differences of that size come from the order of sums.
pub const SAME: f64 = 1e-9;

/// The share of cases that an interval is made to hold.
pub const CONFIDENCE: f64 = 0.95;

/// The fewest independent judgements after which one side may be called better at all: six of six for one side happens by
/// chance in 2·(1/2)⁶ = 3.1 % of cases, five of five still in 6.3 %, more than the 5 % that [`CONFIDENCE`] leaves.
pub const ENOUGH: usize = 6;

/// Values that are the same by arithmetic and not to the last bit become the same.
pub(super) fn even(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// From `low` to `high`, both included, in the unit of the figure that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end, never below the lower.
    pub high: f64,
}

impl Interval {
    /// Whether the two have a point in common, as far as that can be told.
    pub fn overlaps(self, other: Self) -> bool {
        self.low - other.high < SAME && other.low - self.high < SAME
    }
}

/// What a few values say together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many values there are; at least one.
    pub n: usize,
    /// Their arithmetic mean.
    pub mean: f64,
    /// The sample standard deviation, √(Σ(x − mean)² / (n − 1)); none for a single value, 0 where the values are the [`SAME`].
    pub sd: Option<f64>,
    /// The 95 % interval of the mean by Student's t distribution (Student 1908, "The Probable Error of a Mean"):
    /// mean ± t(0.975; n − 1) · sd / √n. None for a single value. It is not cut to the range of the values, so the interval of a
    /// mean score may reach beyond 5. Values that are all the same give an interval of no width, which for small n says less
    /// than it seems to: see [`Self::is_telling`].
    pub interval: Option<Interval>,
}

impl Summary {
    /// Of `values`, in the order given; values that are not finite are left out. None where none is left.
    pub fn of(values: &[f64]) -> Option<Self> {
        let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let n = values.len();
        if n == 0 {
            return None;
        }
        let count = n as f64;
        let mean = values.iter().sum::<f64>() / count;
        if !mean.is_finite() {
            return None;
        }
        let sd =
            (n > 1).then(|| (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt());
        // The mean of values that are all the same may miss them by a bit.
        let sd = sd.filter(|sd| sd.is_finite()).map(|sd| if sd < SAME { 0.0 } else { sd });
        let interval = sd.and_then(|sd| {
            let half = student_t::two_sided(n - 1)? * sd / count.sqrt();
            half.is_finite().then_some(Interval { low: mean - half, high: mean + half })
        });
        Some(Self { n, mean, sd, interval })
    }

    /// Whether the interval may be used to call one answer better: it exists, and either the values differ or there are
    /// [`ENOUGH`] of them. Two judges who both say 4 do not make a mean of 4 certain.
    pub fn is_telling(&self) -> bool {
        self.interval.is_some() && (self.n >= ENOUGH || self.sd.is_some_and(|sd| sd > 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_a_wide_interval_and_one_has_none() {
        let two = Summary::of(&[3.0, 4.0]).unwrap();
        let interval = two.interval.unwrap();
        assert!((interval.low - (3.5 - 12.706_204_736_2 * 0.5)).abs() < 1e-7, "{interval:?}");
        let one = Summary::of(&[3.0]).unwrap();
        assert_eq!((one.n, one.sd, one.interval), (1, None, None));
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[f64::NAN, f64::INFINITY]), None);
    }

    #[test]
    fn values_that_are_all_alike_tell_something_only_if_there_are_enough() {
        assert!(!Summary::of(&[4.0; 5]).unwrap().is_telling());
        assert!(Summary::of(&[4.0; 6]).unwrap().is_telling());
        assert!(Summary::of(&[4.0, 5.0]).unwrap().is_telling());
        // (x + x + x) / 3 is not x for each of these.
        for value in [3.8, 3.2] {
            let summary = Summary::of(&[value; 3]).unwrap();
            assert!(summary.sd == Some(0.0) && !summary.is_telling(), "{summary:?}");
        }
        let apart_by_a_bit = [0.1 + 0.2, 0.3, 0.3];
        assert!(!Summary::of(&apart_by_a_bit).unwrap().is_telling());
    }

    #[test]
    fn intervals_that_touch_overlap() {
        let interval = |low, high| Interval { low, high };
        assert!(interval(0.0, 1.0).overlaps(interval(1.0, 2.0)));
        assert!(interval(1.0, 2.0).overlaps(interval(0.0, 1.0)));
        assert!(!interval(0.0, 1.0).overlaps(interval(1.1, 2.0)));
        // The two ends are one by arithmetic.
        assert!(interval(0.0, 0.3).overlaps(interval(0.1 + 0.2, 2.0)));
        assert!(interval(0.1 + 0.2, 2.0).overlaps(interval(0.0, 0.3)));
    }
}
