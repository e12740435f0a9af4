//! Kendall's W: how much several judges agree on the order of the answers.

use serde::{Deserialize, Serialize};

use super::rankings::RankingTable;

/// The agreement of several orders.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Concordance {
    /// 0 (no agreement) to 1 (all the same order). With few orders it is above 0 by chance: its expected value for orders drawn
    /// at random is 1/m for m of them.
    pub w: f64,
    /// How many orders were compared (m).
    pub raters: usize,
    /// How many answers all of them rank (n); the others are left out.
    pub items: usize,
}

/// W of `raters`: for each, the value that it gave each item (all rows in one order of items, higher or lower being better does
/// not matter as long as it is the same for all). Equal values share their mean rank. Items that some rater gave no value, or one
/// that is not finite, are left out for all, and so are those beyond the shortest row.
///
/// W = 12·S / (m²·(n³−n) − m·Σ T), S = Σ (R(i) − R̄)² over the items' sums of ranks, T = Σ (t³−t) over each rater's groups of t
/// ties (Kendall and Babington Smith 1939, "The Problem of m Rankings"; the correction for ties as in Siegel and Castellan 1988,
/// "Nonparametric Statistics for the Behavioral Sciences", and in R's `irr::kendall(correct = TRUE)`).
///
/// None for fewer than two raters or two common items, and where every rater ties all items.
pub fn concordance(raters: &[Vec<Option<f64>>]) -> Option<Concordance> {
    let columns = raters.iter().map(Vec::len).min()?;
    let value =
        |rater: &Vec<Option<f64>>, item: usize| rater.get(item).copied().flatten().filter(|value| value.is_finite());
    let common: Vec<usize> =
        (0..columns).filter(|item| raters.iter().all(|rater| value(rater, *item).is_some())).collect();
    let (m, n) = (raters.len() as f64, common.len() as f64);
    if raters.len() < 2 || common.len() < 2 {
        return None;
    }
    let mut sums = vec![0.0; common.len()];
    let mut ties = 0.0;
    for rater in raters {
        let values: Vec<f64> = common.iter().filter_map(|item| value(rater, *item)).collect();
        for (sum, value) in sums.iter_mut().zip(&values) {
            let below = values.iter().filter(|other| *other < value).count() as f64;
            let same = values.iter().filter(|other| total_eq(**other, *value)).count() as f64;
            *sum += below + f64::midpoint(same, 1.0);
            // Each of t tied items adds t²−1, together t³−t.
            ties += same * same - 1.0;
        }
    }
    let mean = m * (n + 1.0) / 2.0;
    let spread: f64 = sums.iter().map(|sum| (sum - mean) * (sum - mean)).sum();
    let most = m * m * (n * n * n - n) - m * ties;
    (most > 0.0).then(|| Concordance {
        w: (12.0 * spread / most).clamp(0.0, 1.0),
        raters: raters.len(),
        items: common.len(),
    })
}

/// W of the rankings that reviewers gave, over the answers that all of them rank. Where each leaves its own answer out, that may
/// be none: then there is no W.
pub fn of_rankings(table: &RankingTable) -> Option<Concordance> {
    let candidates = table.candidates();
    let place = |order: &[_], candidate| order.iter().position(|ranked| ranked == candidate).map(|place| place as f64);
    let rows: Vec<Vec<Option<f64>>> =
        table.given().map(|order| candidates.iter().map(|candidate| place(order, candidate)).collect()).collect();
    concordance(&rows)
}

/// Equality of finite numbers, 0 and −0 alike.
fn total_eq(one: f64, other: f64) -> bool {
    one.partial_cmp(&other) == Some(std::cmp::Ordering::Equal)
}
