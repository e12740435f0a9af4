//! Tables of judgements for tests: made by hand, made by a formula, and made at random.

use acm2_domain::ranking::rankings::{Ranking, RankingTable};
use acm2_domain::ranking::scores::{Score, ScoreRow, ScoreTable};
use acm2_domain::ranking::votes::{Choice, Order, Orders, Pair, Vote, VoteTable};
use acm2_domain::ranking::{Candidate, Criterion, Judge};
use proptest::collection::vec;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Everything that the judges of a run said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Judgements {
    pub(crate) scores: Vec<ScoreRow>,
    pub(crate) votes: Vec<Vote>,
    pub(crate) rankings: Vec<Ranking>,
}

impl Judgements {
    /// The same in another order.
    pub(crate) fn shuffled(&self, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut other = self.clone();
        shuffle(&mut other.scores, &mut rng);
        shuffle(&mut other.votes, &mut rng);
        shuffle(&mut other.rankings, &mut rng);
        other
    }

    pub(crate) fn score_table(&self) -> ScoreTable {
        ScoreTable::new(self.scores.clone()).unwrap()
    }

    pub(crate) fn vote_table(&self) -> VoteTable {
        VoteTable::new(self.votes.clone(), Orders::Both).unwrap()
    }

    pub(crate) fn ranking_table(&self) -> RankingTable {
        RankingTable::new(self.rankings.clone()).unwrap()
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
}

pub(crate) fn pair(one: u32, other: u32) -> Pair {
    Pair::new(Candidate(one), Candidate(other)).unwrap()
}

/// What is counted of a pair: wins of the left one, wins of the right one, ties.
pub(crate) type Tally = (u32, u32, [u32; 3]);

/// A table with so many verdicts of each kind, by one judge in as many iterations.
pub(crate) fn tallied(tallies: &[Tally]) -> VoteTable {
    VoteTable::new(votes_of(tallies), Orders::Single).unwrap()
}

pub(crate) fn votes_of(tallies: &[Tally]) -> Vec<Vote> {
    let mut votes = Vec::new();
    for &(left, right, [left_wins, right_wins, ties]) in tallies {
        let choices = [(Choice::A, left_wins), (Choice::B, right_wins), (Choice::Tie, ties)];
        let choices = choices.into_iter().flat_map(|(choice, times)| std::iter::repeat_n(choice, times as usize));
        votes.extend(choices.zip(1..).map(|(choice, iteration)| Vote {
            iteration,
            judge: Judge(0),
            pair: pair(left, right),
            order: Order::Forward,
            choice: Some(choice),
        }));
    }
    votes
}

fn score() -> impl Strategy<Value = Option<Score>> {
    prop::option::weighted(0.8, (1_u8..=5).prop_map(|value| Score::try_from(value).unwrap()))
}

fn choice() -> impl Strategy<Value = Option<Choice>> {
    prop::option::weighted(0.8, prop::sample::select(vec![Choice::A, Choice::B, Choice::Tie]))
}

/// Judgements on `candidates` answers by a few judges, with gaps of all kinds; some tables are empty.
pub(crate) fn judgements(candidates: std::ops::Range<u32>) -> impl Strategy<Value = Judgements> {
    (candidates, 0_u32..4, 1_u32..4, 1_u32..4).prop_flat_map(|(candidates, judges, criteria, iterations)| {
        let mut rows = Vec::new();
        let mut shown = Vec::new();
        for judge in (0..judges).map(Judge) {
            for iteration in 1..=iterations {
                for candidate in 0..candidates {
                    rows.extend(
                        (0..criteria).map(|criterion| (Candidate(candidate), Criterion(criterion), judge, iteration)),
                    );
                    for right in candidate + 1..candidates {
                        shown.extend(
                            [Order::Forward, Order::Swapped]
                                .map(|order| (iteration, judge, pair(candidate, right), order)),
                        );
                    }
                }
            }
        }
        let orders = Just((0..candidates).map(Candidate).collect::<Vec<_>>()).prop_shuffle();
        let orders =
            (orders, 0..=candidates).prop_map(|(order, length)| order.into_iter().take(length as usize).collect());
        (
            vec(prop::option::weighted(0.9, score()), rows.len()),
            vec(prop::option::weighted(0.9, choice()), shown.len()),
            vec(prop::option::weighted(0.8, orders), judges as usize),
        )
            .prop_map(move |(scores, choices, orders)| Judgements {
                scores: (rows.iter().zip(scores))
                    .filter_map(|(&(candidate, criterion, judge, iteration), score)| {
                        Some(ScoreRow { candidate, criterion, judge, iteration, score: score? })
                    })
                    .collect(),
                votes: (shown.iter().zip(choices))
                    .filter_map(|(&(iteration, judge, pair, order), choice)| {
                        Some(Vote { iteration, judge, pair, order, choice: choice? })
                    })
                    .collect(),
                rankings: (orders.into_iter().zip(0..))
                    .map(|(order, reviewer)| Ranking { iteration: 1, reviewer: Judge(reviewer), order })
                    .collect(),
            })
    })
}
