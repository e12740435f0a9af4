//! How far each judge is from its panel: harsher or milder in scores, of another mind in votes. Both as the seed system defines
//! them, except that nothing is rounded but where it says so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scores::ScoreTable;
use super::summary::even;
use super::votes::{Outcome, Pair, VoteTable};
use super::{Criterion, Judge};

/// The name under which a judge's deviation over all criteria stands beside those for each criterion.
pub const TOTAL: &str = "__TOTAL__";

/// How much higher than the panel a judge scores one criterion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CriterionDeviation {
    /// The criterion.
    pub criterion: Criterion,
    /// In points of the scale of 1 to 5: above 0 is milder than the panel, below 0 harsher. None where the judge gave no score.
    pub deviation: Option<f64>,
    /// How many scores it is the mean of.
    pub n: usize,
}

/// How much higher than the panel a judge scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreDeviation {
    /// The judge.
    pub judge: Judge,
    /// For each criterion of the table.
    pub by_criterion: Vec<CriterionDeviation>,
    /// The plain mean over the criteria that have one, shown as [`TOTAL`]; none where the judge gave no score.
    pub total: Option<f64>,
}

/// The deviation of every judge from the mean of all judges and iterations, itself included.
///
/// d(j,c) = mean over answers a and iterations t of (x(j,t,a,c) − x̄(a,c)), where x̄(a,c) is the mean of all scores of answer a
/// for criterion c. A single judge deviates by 0 from itself: that says nothing of its quality.
pub fn of_scores(table: &ScoreTable) -> Vec<ScoreDeviation> {
    let mut sums: BTreeMap<_, (f64, f64)> = BTreeMap::new();
    for (row, score) in table.given() {
        let (sum, count) = sums.entry((row.candidate, row.criterion)).or_default();
        *sum += score.value();
        *count += 1.0;
    }
    let mut deviations: BTreeMap<(Judge, Criterion), (f64, usize)> = BTreeMap::new();
    for (row, score) in table.given() {
        if let Some((sum, count)) = sums.get(&(row.candidate, row.criterion)) {
            let (total, n) = deviations.entry((row.judge, row.criterion)).or_default();
            *total += score.value() - sum / count;
            *n += 1;
        }
    }
    let criteria = table.criteria();
    let of_judge = |judge| {
        let of_criterion = |&criterion| {
            let (total, n) = deviations.get(&(judge, criterion)).copied().unwrap_or_default();
            CriterionDeviation { criterion, deviation: (n > 0).then(|| total / n as f64), n }
        };
        let by_criterion: Vec<CriterionDeviation> = criteria.iter().map(of_criterion).collect();
        let total = mean(by_criterion.iter().filter_map(|row| row.deviation));
        ScoreDeviation { judge, by_criterion, total }
    };
    table.judges().into_iter().map(of_judge).collect()
}

/// How often a judge decides as its panel does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VoteDeviation {
    /// The judge.
    pub judge: Judge,
    /// Its verdicts on pairs on which the panel has a majority.
    pub counted: usize,
    /// Those of them that say the same as the majority.
    pub agreed: usize,
    /// `agreed` in percent of `counted`, 0 to 100; none where nothing counted.
    pub rate: Option<f64>,
    /// The rate minus the mean rate of all judges that have one, in percentage points: below 0 is more often of another mind.
    pub deviation: Option<f64>,
    /// The deviation as the seed system shows it: whole points with a sign, halves rounded away from 0.
    pub points: Option<i64>,
}

/// The agreement of every judge with the majority, itself included, and how far it is from the mean agreement.
///
/// The majority of a pair is the outcome (left, right or tie) that more verdicts of all judges and iterations name than any
/// other; a pair on which the most named outcomes come out even has none and does not count.
pub fn of_votes(table: &VoteTable) -> Vec<VoteDeviation> {
    let mut counts: BTreeMap<Pair, BTreeMap<Outcome, usize>> = BTreeMap::new();
    for (verdict, outcome) in table.given() {
        *counts.entry(verdict.pair).or_default().entry(outcome).or_default() += 1;
    }
    let majorities: BTreeMap<Pair, Outcome> =
        counts.iter().filter_map(|(pair, outcomes)| Some((*pair, majority(outcomes)?))).collect();
    let mut tallies: BTreeMap<Judge, (usize, usize)> = BTreeMap::new();
    for (verdict, outcome) in table.given() {
        if let Some(majority) = majorities.get(&verdict.pair) {
            let (counted, agreed) = tallies.entry(verdict.judge).or_default();
            *counted += 1;
            *agreed += usize::from(outcome == *majority);
        }
    }
    let rate = |judge: &Judge| tallies.get(judge).map(|(counted, agreed)| 100.0 * *agreed as f64 / *counted as f64);
    let judges = table.judges();
    let mean_rate = mean(judges.iter().filter_map(rate));
    let of_judge = |judge: Judge| {
        let (counted, agreed) = tallies.get(&judge).copied().unwrap_or_default();
        let rate = rate(&judge);
        let deviation = rate.zip(mean_rate).map(|(rate, mean)| rate - mean);
        VoteDeviation { judge, counted, agreed, rate, deviation, points: deviation.map(points) }
    };
    judges.into_iter().map(of_judge).collect()
}

/// Whole points. What is a half by arithmetic is one, also where it lacks a bit of it.
fn points(deviation: f64) -> i64 {
    even(deviation).round() as i64
}

/// The outcome that is named more often than any other.
fn majority(outcomes: &BTreeMap<Outcome, usize>) -> Option<Outcome> {
    let most = outcomes.values().max()?;
    let mut leading = outcomes.iter().filter(|(_, count)| *count == most);
    let (outcome, _) = leading.next()?;
    leading.next().is_none().then_some(*outcome)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0.0);
    for value in values {
        sum += value;
        n += 1.0;
    }
    (n > 0.0).then(|| sum / n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::Candidate;
    use crate::ranking::scores::{Score, ScoreRow};
    use crate::ranking::votes::{Choice, Order, Orders, Vote};

    #[test]
    fn a_mild_judge_is_above_its_panel_and_a_harsh_one_below() {
        let given = |judge, candidate, criterion, score: Option<u8>| ScoreRow {
            candidate: Candidate(candidate),
            criterion: Criterion(criterion),
            judge: Judge(judge),
            iteration: 1,
            score: score.map(|value| Score::try_from(value).unwrap()),
        };
        let rows = vec![
            given(0, 0, 0, Some(5)),
            given(1, 0, 0, Some(3)),
            given(0, 1, 0, Some(4)),
            given(1, 1, 0, Some(3)),
            given(0, 0, 1, Some(2)),
            given(1, 0, 1, Some(2)),
            given(2, 0, 0, None),
        ];
        let deviations = of_scores(&ScoreTable::new(rows).unwrap());
        // Criterion 0: +1 and +0.5 for the first judge; criterion 1: 0. Total: the mean of 0.75 and 0.
        assert_eq!(deviations[0].by_criterion[0].deviation, Some(0.75));
        assert_eq!(deviations[0].by_criterion[1].deviation, Some(0.0));
        assert_eq!(deviations[0].total, Some(0.375));
        assert_eq!(deviations[1].total, Some(-0.375));
        assert_eq!((deviations[2].total, deviations[2].by_criterion[0].n), (None, 0));
    }

    #[test]
    fn agreement_with_the_majority_is_in_points_around_the_mean() {
        let vote = |judge, left, right, choice| Vote {
            iteration: 1,
            judge: Judge(judge),
            pair: Pair::new(Candidate(left), Candidate(right)).unwrap(),
            order: Order::Forward,
            choice: Some(choice),
        };
        let votes = vec![
            vote(0, 0, 1, Choice::A),
            vote(1, 0, 1, Choice::A),
            vote(2, 0, 1, Choice::B),
            vote(0, 0, 2, Choice::B),
            vote(1, 0, 2, Choice::B),
            vote(2, 0, 2, Choice::B),
            // Three opinions, no majority: counts for nobody.
            vote(0, 1, 2, Choice::A),
            vote(1, 1, 2, Choice::B),
            vote(2, 1, 2, Choice::Tie),
        ];
        let deviations = of_votes(&VoteTable::new(votes, Orders::Single).unwrap());
        assert_eq!(deviations.iter().map(|row| row.rate).collect::<Vec<_>>(), [Some(100.0), Some(100.0), Some(50.0)]);
        assert_eq!(deviations.iter().map(|row| row.points).collect::<Vec<_>>(), [Some(17), Some(17), Some(-33)]);
        assert_eq!(deviations[0].counted, 2);
        // Rates of 1/3, 1/3, 1/3 and 5/6: 100/3 minus their mean is -12.5.
        let lacks_a_bit = 100.0 / 3.0 - (100.0 / 3.0 + 100.0 / 3.0 + 100.0 / 3.0 + 500.0 / 6.0) / 4.0;
        assert_eq!((points(lacks_a_bit), points(-12.4), points(0.5)), (-13, -12, 1));
    }
}
