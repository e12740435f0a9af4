//! How much each criterion counts in an answer's mean score.

use std::collections::BTreeMap;

use super::{Criterion, Invalid};

/// Weights of criteria, without a unit: only their proportions matter. A criterion that is not named weighs 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights(BTreeMap<Criterion, f64>);

impl Weights {
    /// All criteria count alike.
    pub fn equal() -> Self {
        Self::default()
    }

    /// These weights; of several for one criterion the last holds.
    ///
    /// # Errors
    /// [`Invalid::BadWeight`] for a weight below 0 or not finite.
    pub fn new(weights: impl IntoIterator<Item = (Criterion, f64)>) -> Result<Self, Invalid> {
        let weights: BTreeMap<Criterion, f64> = weights.into_iter().collect();
        if weights.values().any(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(Invalid::BadWeight);
        }
        Ok(Self(weights))
    }

    /// What `criterion` weighs.
    pub fn of(&self, criterion: Criterion) -> f64 {
        self.0.get(&criterion).copied().unwrap_or(1.0)
    }

    /// Σ w·x / Σ w; none where no weight is above 0.
    ///
    /// Weights are divided by the largest first, so that huge ones do not overflow.
    pub(super) fn mean(&self, values: impl Iterator<Item = (Criterion, f64)>) -> Option<f64> {
        let weighted: Vec<(f64, f64)> = values.map(|(criterion, value)| (self.of(criterion), value)).collect();
        let largest = weighted.iter().map(|(weight, _)| *weight).fold(0.0, f64::max);
        if largest <= 0.0 {
            return None;
        }
        let total: f64 = weighted.iter().map(|(weight, _)| weight / largest).sum();
        Some(weighted.iter().map(|(weight, value)| weight / largest * value).sum::<f64>() / total)
    }
}
