//! Medians, tails and Jain's index.

/// Values in ascending order.
#[derive(Debug, Clone, Default)]
pub(super) struct Quantiles(Vec<f64>);

impl Quantiles {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which this share lies; 0 where there are none.
    pub(super) fn at(&self, share: f64) -> f64 {
        let place = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(place.saturating_sub(1)).or(self.0.last()).copied().unwrap_or_default()
    }

    pub(super) fn p50(&self) -> f64 {
        self.at(0.5)
    }

    pub(super) fn p99(&self) -> f64 {
        self.at(0.99)
    }

    pub(super) fn max(&self) -> f64 {
        self.at(1.0)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Jain's index: 1 where all have the same, 1/n where one has all.
pub(super) fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares == 0.0 { 0.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values = Quantiles::of((1..=100).rev().map(f64::from).collect());
        assert!((values.p50() - 50.0).abs() < f64::EPSILON && (values.p99() - 99.0).abs() < f64::EPSILON);
        assert!((Quantiles::default().p50()).abs() < f64::EPSILON);
    }

    #[test]
    fn jain_is_1_for_equals_and_1_nth_for_one_who_has_all() {
        assert!((jain(&[3.0, 3.0, 3.0]) - 1.0).abs() < 1e-9);
        assert!((jain(&[9.0, 0.0, 0.0]) - 1.0 / 3.0).abs() < 1e-9);
    }
}
