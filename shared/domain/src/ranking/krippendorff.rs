//! Krippendorff's alpha: how much better than chance several judges agree, for any number of judges and with gaps.

use serde::{Deserialize, Serialize};

use super::index::distinct;

/// How far apart two values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The same or not: for labels without an order, such as who won.
    Nominal,
    /// By how many of the given values lie between: for scores, whose steps need not be equally wide. The one to show for 1 to 5.
    Ordinal,
    /// By their difference: for measurements. This is what the seed system shows for scores.
    Interval,
}

/// The agreement of judges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Alpha {
    /// 1 is full agreement, 0 what chance would give, below 0 systematic disagreement. Never above 1. Krippendorff asks for 0.8,
    /// and for 0.667 at least where only tentative conclusions are drawn ("Content Analysis", chapter on reliability).
    pub alpha: f64,
    /// Units with two values or more; the others say nothing of agreement and are left out.
    pub units: usize,
    /// Values in those units.
    pub values: usize,
}

/// Alpha of `units`: for each thing that was judged, what each judge gave it, with none where it gave nothing. Which judge gave
/// which value plays no part.
///
/// α = 1 − D_o/D_e = 1 − (n−1)·Σ o(c,k)·δ²(c,k) / Σ n(c)·n(k)·δ²(c,k) over value pairs c < k, where each unit with m values adds
/// 1/(m−1) to o(c,k) for every ordered pair of its values, n(c) = Σ o(c,k) and n = Σ n(c) (Krippendorff 2011, "Computing
/// Krippendorff's Alpha-Reliability"). δ² is 1 (nominal), (Σ n(g) for c ≤ g ≤ k − (n(c)+n(k))/2)² (ordinal) or (c − k)² (interval).
///
/// None where no unit has two values, or where all values are the same: then nothing distinguishes agreement from a lack of
/// variation.
pub fn alpha(units: &[Vec<Option<i32>>], metric: Metric) -> Option<Alpha> {
    let pairable: Vec<Vec<i32>> = units
        .iter()
        .map(|unit| unit.iter().flatten().copied().collect::<Vec<i32>>())
        .filter(|values| values.len() > 1)
        .collect();
    let values = distinct(pairable.iter().flatten().copied());
    let counts: Vec<f64> = values.iter().map(|value| count(pairable.iter().flatten(), *value)).collect();
    let total: f64 = counts.iter().sum();

    let (mut observed, mut expected) = (0.0, 0.0);
    for (low, (c, count_c)) in values.iter().zip(&counts).enumerate() {
        for (high, (k, count_k)) in values.iter().zip(&counts).enumerate().skip(low + 1) {
            let distance = match metric {
                Metric::Nominal => 1.0,
                Metric::Ordinal => {
                    let between: f64 = counts.iter().take(high + 1).skip(low).sum();
                    (between - f64::midpoint(*count_c, *count_k)).powi(2)
                }
                Metric::Interval => (f64::from(*k) - f64::from(*c)).powi(2),
            };
            let together =
                |unit: &Vec<i32>| count(unit.iter(), *c) * count(unit.iter(), *k) / (unit.len() as f64 - 1.0);
            observed += pairable.iter().map(together).sum::<f64>() * distance;
            expected += count_c * count_k * distance;
        }
    }
    if expected <= 0.0 {
        return None;
    }
    let alpha = 1.0 - (total - 1.0) * observed / expected;
    let counted = pairable.iter().map(Vec::len).sum();
    alpha.is_finite().then_some(Alpha { alpha, units: pairable.len(), values: counted })
}

fn count<'a>(values: impl Iterator<Item = &'a i32>, wanted: i32) -> f64 {
    values.filter(|value| **value == wanted).count() as f64
}
