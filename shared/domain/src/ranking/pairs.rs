//! Which answers are compared, by whom, and in which order they are shown: the plan of the stages `pairwise` and
//! `final_pairwise`, always in the same canonical order.

use serde::{Deserialize, Serialize};

use super::index::distinct;
use super::means::CandidateMean;
use super::votes::{Order, Orders, Pair};
use super::{Candidate, Judge};

/// One vote to ask for. The order of the fields is the canonical order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Comparison {
    /// Counted from 1.
    pub iteration: u32,
    /// Who is asked.
    pub judge: Judge,
    /// About what.
    pub pair: Pair,
    /// In which order.
    pub order: Order,
}

/// Every two of the answers, once: n·(n−1)/2 pairs, by left and right. An answer that is named twice counts once.
pub fn all(candidates: &[Candidate]) -> Vec<Pair> {
    let candidates = distinct(candidates.iter().copied());
    let with_later = |(at, one): (usize, &Candidate)| {
        let one = *one;
        candidates.iter().skip(at + 1).filter_map(move |other| Pair::new(one, *other).ok()).collect::<Vec<Pair>>()
    };
    candidates.iter().enumerate().flat_map(with_later).collect()
}

/// The `count` answers with the highest mean score, in the order of the run's list. Of equal means (to nine decimals) the one
/// that comes first in the run's list is taken; answers without a score come after all that have one.
pub fn top(means: &[CandidateMean], count: usize) -> Vec<Candidate> {
    let mut ranked: Vec<(i64, Candidate)> = means
        .iter()
        .map(|row| (row.score.map_or(i64::MIN, |score| (score.mean * 1e9).round() as i64), row.candidate))
        .collect();
    ranked.sort_unstable_by_key(|(mean, candidate)| (std::cmp::Reverse(*mean), *candidate));
    distinct(ranked.into_iter().take(count).map(|(_, candidate)| candidate))
}

/// Every vote to ask for, by iteration, judge, pair, order: pairs × judges × iterations, twice that for [`Orders::Both`].
///
/// With [`Orders::Single`] the order alternates over the pairs, so that each answer is shown first about as often as second.
pub fn comparisons(pairs: &[Pair], judges: &[Judge], iterations: u32, orders: Orders) -> Vec<Comparison> {
    let (pairs, judges) = (distinct(pairs.iter().copied()), distinct(judges.iter().copied()));
    let mut plan = Vec::new();
    for iteration in 1..=iterations {
        for judge in &judges {
            for pair in &pairs {
                let shown = match orders {
                    Orders::Both => vec![Order::Forward, Order::Swapped],
                    Orders::Single if pair.left().0.abs_diff(pair.right().0) % 2 == 1 => vec![Order::Forward],
                    Orders::Single => vec![Order::Swapped],
                };
                let comparison = |order| Comparison { iteration, judge: *judge, pair: *pair, order };
                plan.extend(shown.into_iter().map(comparison));
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::Summary;

    fn candidates(numbers: &[u32]) -> Vec<Candidate> {
        numbers.iter().copied().map(Candidate).collect()
    }

    #[test]
    fn all_pairs_are_each_two_answers_once_whatever_the_order() {
        let pairs = all(&candidates(&[3, 1, 2, 1]));
        let numbers: Vec<(u32, u32)> = pairs.iter().map(|pair| (pair.left().0, pair.right().0)).collect();
        assert_eq!(numbers, [(1, 2), (1, 3), (2, 3)]);
        assert!(all(&candidates(&[1])).is_empty());
    }

    #[test]
    fn the_top_are_those_with_the_highest_mean_and_the_unscored_come_last() {
        let mean = |candidate, score: Option<f64>| CandidateMean {
            candidate: Candidate(candidate),
            score: score.and_then(|score| Summary::of(&[score])),
            given: 1,
            missing: 0,
        };
        let means = [mean(0, None), mean(1, Some(3.0)), mean(2, Some(4.5)), mean(3, Some(3.0))];
        assert_eq!(top(&means, 2), candidates(&[1, 2]));
        assert_eq!(top(&means, 9), candidates(&[0, 1, 2, 3]));
    }

    #[test]
    fn both_orders_double_the_votes_and_one_order_is_balanced() {
        let pairs = all(&candidates(&[0, 1, 2, 3, 4]));
        let judges = [Judge(1), Judge(0)];
        let both = comparisons(&pairs, &judges, 3, Orders::Both);
        assert_eq!(both.len(), 10 * 2 * 3 * 2);
        assert!(both.is_sorted());
        let single = comparisons(&pairs, &judges[..1], 1, Orders::Single);
        for candidate in candidates(&[0, 1, 2, 3, 4]) {
            let first = |row: &&Comparison| match row.order {
                Order::Forward => row.pair.left() == candidate,
                Order::Swapped => row.pair.right() == candidate,
            };
            assert_eq!(
                single.iter().filter(first).count(),
                2,
                "{candidate:?} is shown first in half of its four pairs"
            );
        }
    }
}
