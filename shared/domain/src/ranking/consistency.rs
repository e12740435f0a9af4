//! How far each judge agrees with itself: when it is asked the same again, and when it is shown a pair the other way round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Judge;
use super::scores::{Score, ScoreTable};
use super::votes::{Choice, Order, VoteTable};

/// How far a judge gives the same answer when it is asked again. High consistency is no sign of good judgement: a judge that
/// always picks the longer answer is consistent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SelfConsistency {
    /// The judge.
    pub judge: Judge,
    /// 0 to 1, 1 for always the same; none where nothing was judged twice.
    pub consistency: Option<f64>,
    /// How many pairs of answers were compared.
    pub compared: usize,
}

/// Self-consistency of scores: 1 − mean |x − y| / 4 over every two iterations of the same answer and criterion, 4 being the
/// width of the scale (as the seed system's later version has it).
pub fn of_scores(table: &ScoreTable) -> Vec<SelfConsistency> {
    let rows = table.given().map(|(row, score)| ((row.judge, row.candidate, row.criterion), score.value()));
    let width = Score::MAX.value() - Score::MIN.value();
    self_consistency(table.judges(), rows, |(judge, ..)| judge, |one, other| 1.0 - (one - other).abs() / width)
}

/// Self-consistency of verdicts: the share of every two iterations of the same pair that have the same outcome. One minus it
/// is the flip rate over repeats.
pub fn of_votes(table: &VoteTable) -> Vec<SelfConsistency> {
    let rows = table.given().map(|(verdict, outcome)| ((verdict.judge, verdict.pair), outcome));
    self_consistency(table.judges(), rows, |(judge, _)| judge, |one, other| f64::from(u8::from(one == other)))
}

fn self_consistency<K: Ord + Copy, V: Copy>(
    judges: Vec<Judge>,
    rows: impl Iterator<Item = (K, V)>,
    judge_of: impl Fn(K) -> Judge,
    sameness: impl Fn(V, V) -> f64,
) -> Vec<SelfConsistency> {
    let mut repeats: BTreeMap<K, Vec<V>> = BTreeMap::new();
    for (key, value) in rows {
        repeats.entry(key).or_default().push(value);
    }
    let mut sums: BTreeMap<Judge, (f64, usize)> = BTreeMap::new();
    for (key, values) in repeats {
        let (sum, compared) = sums.entry(judge_of(key)).or_default();
        for (at, one) in values.iter().enumerate() {
            for other in values.iter().skip(at + 1) {
                *sum += sameness(*one, *other);
                *compared += 1;
            }
        }
    }
    let of_judge = |judge| {
        let (sum, compared) = sums.get(&judge).copied().unwrap_or_default();
        SelfConsistency { judge, consistency: (compared > 0).then(|| sum / compared as f64), compared }
    };
    judges.into_iter().map(of_judge).collect()
}

/// What the order in which a pair is shown does to a judge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OrderEffect {
    /// The judge.
    pub judge: Judge,
    /// Pairs that the judge saw in both orders, with a vote in each.
    pub compared: usize,
    /// Those of them on which the two votes disagree; each is a tie as a verdict.
    pub flips: usize,
    /// `flips` of `compared`, 0 to 1; none where nothing was seen in both orders. A judge that throws dice for one side flips
    /// half of the time.
    pub flip_rate: Option<f64>,
    /// The share of its votes in those pairs, ties aside, that went to the answer shown first, 0 to 1: 0.5 is no preference for a
    /// position. None without such votes.
    pub first_share: Option<f64>,
}

#[derive(Default, Clone, Copy)]
struct Seen {
    compared: usize,
    flips: usize,
    first: usize,
    decided: usize,
}

/// The effect of the order on every judge.
pub fn of_orders(table: &VoteTable) -> Vec<OrderEffect> {
    let mut shown: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for vote in table.votes() {
        if let (Some(choice), Some(outcome)) = (vote.choice, vote.outcome()) {
            shown.entry((vote.judge, vote.pair, vote.iteration)).or_default().push((vote.order, choice, outcome));
        }
    }
    let mut seen: BTreeMap<Judge, Seen> = BTreeMap::new();
    for ((judge, ..), votes) in shown {
        let [(Order::Forward, forward, one), (Order::Swapped, swapped, other)] = votes.as_slice() else { continue };
        let of_judge = seen.entry(judge).or_default();
        of_judge.compared += 1;
        of_judge.flips += usize::from(one != other);
        for choice in [forward, swapped] {
            of_judge.first += usize::from(*choice == Choice::A);
            of_judge.decided += usize::from(*choice != Choice::Tie);
        }
    }
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let effect = |judge| {
        let Seen { compared, flips, first, decided } = seen.get(&judge).copied().unwrap_or_default();
        OrderEffect { judge, compared, flips, flip_rate: share(flips, compared), first_share: share(first, decided) }
    };
    table.judges().into_iter().map(effect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::scores::ScoreRow;
    use crate::ranking::votes::{Orders, Pair, Vote};
    use crate::ranking::{Candidate, Criterion};

    #[test]
    fn scores_that_move_by_one_of_four_points_are_three_quarters_consistent() {
        let row = |judge, iteration, score| ScoreRow {
            candidate: Candidate(0),
            criterion: Criterion(0),
            judge: Judge(judge),
            iteration,
            score: Some(Score::try_from(score).unwrap()),
        };
        let table = ScoreTable::new(vec![row(0, 1, 3), row(0, 2, 4), row(1, 1, 5)]).unwrap();
        let consistency = of_scores(&table);
        assert_eq!((consistency[0].consistency, consistency[0].compared), (Some(0.75), 1));
        assert_eq!((consistency[1].consistency, consistency[1].compared), (None, 0));
    }

    #[test]
    fn a_judge_that_always_picks_the_first_flips_always() {
        let vote = |judge, right, order, choice| Vote {
            iteration: 1,
            judge: Judge(judge),
            pair: Pair::new(Candidate(0), Candidate(right)).unwrap(),
            order,
            choice,
        };
        let votes = vec![
            vote(0, 1, Order::Forward, Some(Choice::A)),
            vote(0, 1, Order::Swapped, Some(Choice::A)),
            vote(0, 2, Order::Forward, Some(Choice::A)),
            vote(0, 2, Order::Swapped, None),
            vote(1, 1, Order::Forward, Some(Choice::A)),
            vote(1, 1, Order::Swapped, Some(Choice::B)),
        ];
        let effects = of_orders(&VoteTable::new(votes, Orders::Both).unwrap());
        assert_eq!((effects[0].compared, effects[0].flip_rate, effects[0].first_share), (1, Some(1.0), Some(1.0)));
        assert_eq!((effects[1].compared, effects[1].flip_rate, effects[1].first_share), (1, Some(0.0), Some(0.5)));
    }

    #[test]
    fn verdicts_over_iterations_are_compared_two_by_two() {
        let vote = |iteration, choice| Vote {
            iteration,
            judge: Judge(0),
            pair: Pair::new(Candidate(0), Candidate(1)).unwrap(),
            order: Order::Forward,
            choice: Some(choice),
        };
        let votes = vec![vote(1, Choice::A), vote(2, Choice::A), vote(3, Choice::B)];
        let consistency = of_votes(&VoteTable::new(votes, Orders::Single).unwrap())[0];
        assert_eq!(consistency.compared, 3);
        assert!((consistency.consistency.unwrap() - 1.0 / 3.0).abs() < 1e-12);
    }
}
