//! How far a panel of judges agrees: alpha, W and the kappas of [`super::krippendorff`], [`super::kendall`] and
//! [`super::cohen`], applied to the tables of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cohen::{self, Kappa};
use super::kendall::{self, Concordance};
use super::krippendorff::{self, Alpha, Metric};
use super::scores::ScoreTable;
use super::summary::even;
use super::votes::{Outcome, VoteTable};
use super::weights::Weights;
use super::{Judge, means};

/// Two judges, compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct JudgePair {
    /// The one that comes first in the run's list.
    pub one: Judge,
    /// The other.
    pub other: Judge,
    /// Their agreement; none where they judged nothing in common.
    pub agreement: Option<Kappa>,
}

/// The agreement of a panel on scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreAgreement {
    /// Krippendorff's alpha for ordinal values: the figure to show.
    pub ordinal: Option<Alpha>,
    /// Alpha for interval values, which the seed system shows.
    pub interval: Option<Alpha>,
    /// Kendall's W of the orders that follow from each judge's mean scores, over the answers that all judges scored. A judge that
    /// gave no score at all has no order and is left out.
    pub order: Option<Concordance>,
    /// Every two judges.
    pub pairs: Vec<JudgePair>,
}

/// The agreement of the judges on scores. What is compared is the score of one answer for one criterion in one iteration: a
/// judge's first answer with the others' first answers, and so on, so that no judge is compared with itself.
pub fn of_scores(table: &ScoreTable, weights: &Weights) -> ScoreAgreement {
    let judges = table.judges();
    let rows = table
        .given()
        .map(|(row, score)| ((row.candidate, row.criterion, row.iteration), row.judge, i32::from(score.get())));
    let units = units(&judges, rows);
    let means = means::by_judge(table, weights);
    let candidates = table.candidates();
    let orders: Vec<Vec<Option<f64>>> = judges
        .iter()
        .map(|judge| {
            candidates.iter().map(|candidate| means.get(&(*judge, *candidate)).map(|mean| even(*mean))).collect()
        })
        .filter(|order: &Vec<Option<f64>>| order.iter().any(Option::is_some))
        .collect();
    ScoreAgreement {
        ordinal: krippendorff::alpha(&units, Metric::Ordinal),
        interval: krippendorff::alpha(&units, Metric::Interval),
        order: kendall::concordance(&orders),
        pairs: pairs(&judges, &units),
    }
}

/// The agreement of a panel on votes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VoteAgreement {
    /// Krippendorff's alpha for nominal values: left, right, tie.
    pub nominal: Option<Alpha>,
    /// Every two judges. The quadratic kappa takes a tie as half-way between left and right.
    pub pairs: Vec<JudgePair>,
}

/// The agreement of the judges on which answer of a pair is better. What is compared is the verdict on one pair in one iteration.
pub fn of_votes(table: &VoteTable) -> VoteAgreement {
    let judges = table.judges();
    let number = |outcome| match outcome {
        Outcome::Left => -1,
        Outcome::Tie => 0,
        Outcome::Right => 1,
    };
    let rows =
        table.given().map(|(verdict, outcome)| ((verdict.pair, verdict.iteration), verdict.judge, number(outcome)));
    let units = units(&judges, rows);
    VoteAgreement { nominal: krippendorff::alpha(&units, Metric::Nominal), pairs: pairs(&judges, &units) }
}

/// One row per thing judged, one column per judge.
fn units<K: Ord>(judges: &[Judge], rows: impl Iterator<Item = (K, Judge, i32)>) -> Vec<Vec<Option<i32>>> {
    let mut units: BTreeMap<K, BTreeMap<Judge, i32>> = BTreeMap::new();
    for (unit, judge, value) in rows {
        units.entry(unit).or_default().insert(judge, value);
    }
    units.into_values().map(|unit| judges.iter().map(|judge| unit.get(judge).copied()).collect()).collect()
}

fn pairs(judges: &[Judge], units: &[Vec<Option<i32>>]) -> Vec<JudgePair> {
    let mut pairs = Vec::new();
    for (column, one) in judges.iter().enumerate() {
        for (second, other) in judges.iter().enumerate().skip(column + 1) {
            let value = |unit: &Vec<Option<i32>>, at: usize| unit.get(at).copied().flatten();
            let common: Vec<(i32, i32)> =
                units.iter().filter_map(|unit| value(unit, column).zip(value(unit, second))).collect();
            pairs.push(JudgePair { one: *one, other: *other, agreement: cohen::kappa(&common) });
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::scores::{Score, ScoreRow};
    use crate::ranking::{Candidate, Criterion};

    fn table(rows: &[(u32, u32, u32, Option<u8>)]) -> ScoreTable {
        let row = |&(judge, candidate, iteration, score): &(u32, u32, u32, Option<u8>)| ScoreRow {
            candidate: Candidate(candidate),
            criterion: Criterion(0),
            judge: Judge(judge),
            iteration,
            score: score.map(|value| Score::try_from(value).unwrap()),
        };
        ScoreTable::new(rows.iter().map(row).collect()).unwrap()
    }

    #[test]
    fn judges_are_compared_with_each_other_and_not_with_themselves() {
        // Each judge contradicts itself over its iterations, but both say the same each time.
        let same = table(&[(0, 0, 1, Some(1)), (1, 0, 1, Some(1)), (0, 0, 2, Some(5)), (1, 0, 2, Some(5))]);
        let agreement = of_scores(&same, &Weights::equal());
        assert_eq!(agreement.ordinal.map(|alpha| (alpha.units, alpha.values)), Some((2, 4)));
        assert!((agreement.ordinal.unwrap().alpha - 1.0).abs() < 1e-12);
        assert_eq!(agreement.pairs[0].agreement.unwrap().kappa, Some(1.0));
    }

    #[test]
    fn a_judge_that_never_answered_is_listed_and_does_not_spoil_the_others() {
        let rows = [(0, 0, 1, Some(1)), (1, 0, 1, Some(2)), (0, 1, 1, Some(4)), (1, 1, 1, Some(5)), (2, 0, 1, None)];
        let agreement = of_scores(&table(&rows), &Weights::equal());
        assert_eq!(agreement.pairs.len(), 3);
        assert_eq!(agreement.pairs[1].agreement, None);
        assert_eq!(agreement.order, Some(Concordance { w: 1.0, raters: 2, items: 2 }));
    }
}
