//! Cohen's kappa: how much better than chance two judges agree.

use serde::{Deserialize, Serialize};

use super::index::distinct;

/// The agreement of two judges on what both judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Kappa {
    /// How many things both judged.
    pub n: usize,
    /// The share on which they said the same, 0 to 1. It overstates agreement where one answer is common.
    pub observed: f64,
    /// The share above chance, κ = (p_o − p_e) / (1 − p_e), where p_e = Σ p₁(c)·p₂(c) (Cohen 1960, "A Coefficient of Agreement
    /// for Nominal Scales"): 1 full agreement, 0 chance, below 0 less than chance. None where both always say one and the same.
    pub kappa: Option<f64>,
    /// The same with each disagreement counted by the square of its distance, κ_w = 1 − Σ (a−b)²·p(a,b) / Σ (a−b)²·p₁(a)·p₂(b)
    /// (Cohen 1968, "Weighted Kappa"): for scores, where 4 against 5 is nearly agreement. For labels without an order it means
    /// nothing.
    pub quadratic: Option<f64>,
}

/// Kappa of pairs of values, the first judge's and the second's. None for no pairs.
pub fn kappa(pairs: &[(i32, i32)]) -> Option<Kappa> {
    if pairs.is_empty() {
        return None;
    }
    let total = pairs.len() as f64;
    let values = distinct(pairs.iter().flat_map(|(one, other)| [*one, *other]));
    let share = |count: usize| count as f64 / total;
    let observed = share(pairs.iter().filter(|(one, other)| one == other).count());

    let squared = |one: i32, other: i32| (f64::from(one) - f64::from(other)).powi(2);
    let (mut chance, mut apart) = (0.0, 0.0);
    for first in &values {
        let of_first = share(pairs.iter().filter(|(one, _)| one == first).count());
        for second in &values {
            let expected = of_first * share(pairs.iter().filter(|(_, other)| other == second).count());
            apart += squared(*first, *second) * expected;
            if first == second {
                chance += expected;
            }
        }
    }
    let found_apart = pairs.iter().map(|(one, other)| squared(*one, *other)).sum::<f64>() / total;
    // With a single value on both sides chance explains everything, and there is nothing to divide by.
    let varies = values.len() > 1;
    let kappa = (varies && chance < 1.0).then(|| (observed - chance) / (1.0 - chance));
    let quadratic = (varies && apart > 0.0).then(|| 1.0 - found_apart / apart);
    Some(Kappa { n: pairs.len(), observed, kappa, quadratic })
}
