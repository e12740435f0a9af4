//! From values to places on a chart. Charts are 1,000 wide and stretched to the page by the browser.

/// The width of a chart in its own unit.
pub(super) const WIDTH: f64 = 1_000.0;

/// What lies at the left end of a chart and what at its right end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From `low` to `high`.
    pub(super) const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// Wide enough for these values, and never without width.
    pub(super) fn around(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Self::new(-1.0, 1.0);
        }
        let room = ((high - low) * 0.05).max(0.1);
        Self::new(low - room, high + room)
    }

    /// The left end, the middle, the right end.
    pub(super) fn ticks(self) -> [f64; 3] {
        [self.low, f64::midpoint(self.low, self.high), self.high]
    }

    /// Where a value lies, from 0 to [`WIDTH`]; beyond the ends, the end.
    pub(super) fn at(self, value: f64) -> f64 {
        let width = self.high - self.low;
        if width > 0.0 { ((value - self.low) / width * WIDTH).clamp(0.0, WIDTH) } else { 0.0 }
    }

    /// The same as it stands in a chart.
    pub(super) fn place(self, value: f64) -> String {
        place(self.at(value))
    }
}

/// A coordinate as it stands in a chart.
pub(super) fn place(at: f64) -> String {
    format!("{at:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_the_ends_is_drawn_at_the_end() {
        let scale = Scale::new(1.0, 5.0);
        assert_eq!([scale.place(1.0), scale.place(3.0), scale.place(7.0)], ["0.0", "500.0", "1000.0"]);
        assert_eq!(Scale::new(2.0, 2.0).place(2.0), "0.0");
        assert_eq!(Scale::around(std::iter::empty()), Scale::new(-1.0, 1.0));
        let same = Scale::around([3.0, 3.0].into_iter());
        assert_eq!(same.place(3.0), "500.0");
    }
}
