//! Elo ratings, beside the ranking by [`super::bradley_terry`] and never instead of it: Elo was made for players who change, and
//! depends on the order of the games. Here that order is fixed, so the figure is reproducible, and still no better founded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Candidate;
use super::votes::{Outcome, VoteTable};

/// What every answer starts with, in Elo points.
pub const START: f64 = 1000.0;

/// The most that one verdict moves a rating by, in Elo points.
pub const K: f64 = 32.0;

/// An answer's rating.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Elo {
    /// The answer.
    pub candidate: Candidate,
    /// In Elo points: 400 more is an expected share of wins of 10 : 1. [`START`] without a verdict.
    pub rating: f64,
    /// How many verdicts went into it.
    pub verdicts: usize,
}

/// The rating of every answer in the table, by candidate, after all verdicts in canonical order (iteration, judge, pair).
///
/// E = 1 / (1 + 10^((R_b − R_a)/400)), R_a' = R_a + K·(S − E), S being 1 for a win, 0 for a loss and 1/2 for a tie (Elo 1978,
/// "The Rating of Chessplayers, Past and Present"). Start and K are those of the seed system. The sum of all ratings stays what
/// it was.
pub fn ratings(table: &VoteTable) -> Vec<Elo> {
    let start = |candidate| (candidate, Elo { candidate, rating: START, verdicts: 0 });
    let mut ratings: BTreeMap<Candidate, Elo> = table.candidates().into_iter().map(start).collect();
    for (verdict, outcome) in table.given() {
        let (left, right) = (verdict.pair.left(), verdict.pair.right());
        let rating = |candidate| ratings.get(&candidate).map_or(START, |elo| elo.rating);
        let expected = 1.0 / (1.0 + 10_f64.powf((rating(right) - rating(left)) / 400.0));
        let scored = match outcome {
            Outcome::Left => 1.0,
            Outcome::Right => 0.0,
            Outcome::Tie => 0.5,
        };
        for (candidate, gain) in [(left, K * (scored - expected)), (right, K * (expected - scored))] {
            if let Some(elo) = ratings.get_mut(&candidate) {
                elo.rating += gain;
                elo.verdicts += 1;
            }
        }
    }
    ratings.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::Judge;
    use crate::ranking::votes::{Choice, Order, Orders, Pair, Vote};

    #[test]
    fn two_verdicts_give_the_ratings_that_the_formula_gives_by_hand() {
        let vote = |iteration, choice| Vote {
            iteration,
            judge: Judge(0),
            pair: Pair::new(Candidate(0), Candidate(1)).unwrap(),
            order: Order::Forward,
            choice: Some(choice),
        };
        let table = VoteTable::new(vec![vote(2, Choice::B), vote(1, Choice::A)], Orders::Single).unwrap();
        let ratings = ratings(&table);
        // 1016 : 984 after the first; then E = 1/(1+10^(−32/400)) = 0.545921…, so 1016 − 32·0.545921.
        let expected = 1016.0 - 32.0 / (1.0 + 10_f64.powf(-32.0 / 400.0));
        assert!((ratings[0].rating - expected).abs() < 1e-9, "{ratings:?}");
        assert!((ratings[0].rating + ratings[1].rating - 2.0 * START).abs() < 1e-9);
        assert_eq!(ratings[1].verdicts, 2);
    }
}
