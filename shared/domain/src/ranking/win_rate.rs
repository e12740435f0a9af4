//! The share of comparisons that each answer won. Easy to read, and blind to whom it won against: see
//! [`super::bradley_terry`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Candidate;
use super::votes::{Outcome, VoteTable};

/// How often an answer won.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WinRate {
    /// The answer.
    pub candidate: Candidate,
    /// Verdicts for it.
    pub wins: usize,
    /// Verdicts for the other.
    pub losses: usize,
    /// Verdicts for neither, those included where the two orders disagreed.
    pub ties: usize,
    /// (wins + ties/2) / all of them, 0 to 1; none without a verdict.
    pub rate: Option<f64>,
}

/// The win rate of every answer in the table, by candidate.
pub fn of(table: &VoteTable) -> Vec<WinRate> {
    let mut rates: BTreeMap<Candidate, WinRate> = BTreeMap::new();
    for candidate in table.candidates() {
        rates.insert(candidate, WinRate { candidate, wins: 0, losses: 0, ties: 0, rate: None });
    }
    for (verdict, outcome) in table.given() {
        for (candidate, won) in [(verdict.pair.left(), Outcome::Left), (verdict.pair.right(), Outcome::Right)] {
            let Some(rate) = rates.get_mut(&candidate) else { continue };
            match outcome {
                Outcome::Tie => rate.ties += 1,
                outcome if outcome == won => rate.wins += 1,
                _ => rate.losses += 1,
            }
        }
    }
    rates.into_values().map(counted).collect()
}

fn counted(row: WinRate) -> WinRate {
    let all = row.wins + row.losses + row.ties;
    let rate = (all > 0).then(|| (row.wins as f64 + row.ties as f64 / 2.0) / all as f64);
    WinRate { rate, ..row }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::Judge;
    use crate::ranking::votes::{Choice, Order, Orders, Pair, Vote};

    #[test]
    fn a_tie_is_half_a_win_and_a_missing_vote_is_none() {
        let vote = |right, iteration, choice| Vote {
            iteration,
            judge: Judge(0),
            pair: Pair::new(Candidate(0), Candidate(right)).unwrap(),
            order: Order::Forward,
            choice,
        };
        let votes = vec![
            vote(1, 1, Some(Choice::A)),
            vote(1, 2, Some(Choice::Tie)),
            vote(1, 3, Some(Choice::B)),
            vote(1, 4, Some(Choice::A)),
            vote(2, 1, None),
        ];
        let rates = of(&VoteTable::new(votes, Orders::Single).unwrap());
        let expected = |candidate, wins, losses, ties, rate| WinRate { candidate, wins, losses, ties, rate };
        assert_eq!(rates[0], expected(Candidate(0), 2, 1, 1, Some(0.625)));
        assert_eq!(rates[1], expected(Candidate(1), 1, 2, 1, Some(0.375)));
        assert_eq!(rates[2], expected(Candidate(2), 0, 0, 0, None));
    }
}
