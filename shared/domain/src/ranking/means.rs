//! The mean score of each answer, with its spread: over all criteria, for each criterion, and as each judge sees it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scores::ScoreTable;
use super::weights::Weights;
use super::{Candidate, Criterion, Judge, Summary};

/// The mean score of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CandidateMean {
    /// The answer.
    pub candidate: Candidate,
    /// Mean, standard deviation and interval, on the scale of 1 to 5, over *sheets*: what one judge gave the answer in one
    /// iteration, the weighted mean over the criteria that it scored. `n` counts sheets, because the scores that a judge gives
    /// at once go up and down together and are no independent judgements. None where no score came.
    pub score: Option<Summary>,
    /// How many scores came.
    pub given: usize,
    /// How many were asked for and did not come. A sheet that lacks a criterion counts with those that it has.
    pub missing: usize,
}

/// The mean score of an answer for one criterion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CriterionMean {
    /// The answer.
    pub candidate: Candidate,
    /// The criterion.
    pub criterion: Criterion,
    /// Over all judges and iterations, on the scale of 1 to 5. None where no score came.
    pub score: Option<Summary>,
    /// How many scores were asked for and did not come.
    pub missing: usize,
}

/// The mean of every answer in the table, by candidate.
///
/// x̄ = mean over judges j and iterations t of (Σ w(c)·x(j,t,c) / Σ w(c)), the inner sums over the criteria that came. With
/// nothing missing and equal weights that is the plain mean of all scores, as the seed system shows it.
pub fn by_candidate(table: &ScoreTable, weights: &Weights) -> Vec<CandidateMean> {
    let mut sheets: BTreeMap<(Candidate, u32, Judge), Vec<(Criterion, f64)>> = BTreeMap::new();
    for (row, score) in table.given() {
        sheets.entry((row.candidate, row.iteration, row.judge)).or_default().push((row.criterion, score.value()));
    }
    let mut means: BTreeMap<Candidate, Vec<f64>> = BTreeMap::new();
    for ((candidate, ..), scores) in sheets {
        means.entry(candidate).or_default().extend(weights.mean(scores.into_iter()));
    }
    let mut counts: BTreeMap<Candidate, (usize, usize)> = BTreeMap::new();
    for row in table.rows() {
        let (given, missing) = counts.entry(row.candidate).or_default();
        *(if row.score.is_some() { given } else { missing }) += 1;
    }
    let summary = |(candidate, (given, missing))| {
        let score = means.get(&candidate).and_then(|values| Summary::of(values));
        CandidateMean { candidate, score, given, missing }
    };
    counts.into_iter().map(summary).collect()
}

/// The mean of every answer for every criterion that it was to be scored on, by candidate and criterion.
pub fn by_criterion(table: &ScoreTable) -> Vec<CriterionMean> {
    let mut cells: BTreeMap<(Candidate, Criterion), (Vec<f64>, usize)> = BTreeMap::new();
    for row in table.rows() {
        let (values, missing) = cells.entry((row.candidate, row.criterion)).or_default();
        match row.score {
            Some(score) => values.push(score.value()),
            None => *missing += 1,
        }
    }
    let mean = |((candidate, criterion), (values, missing)): (_, (Vec<f64>, usize))| CriterionMean {
        candidate,
        criterion,
        score: Summary::of(&values),
        missing,
    };
    cells.into_iter().map(mean).collect()
}

/// How each judge alone would score each answer: its mean over criteria (weighted) and iterations. Pairs without any score are
/// absent.
pub fn by_judge(table: &ScoreTable, weights: &Weights) -> BTreeMap<(Judge, Candidate), f64> {
    let mut scores: BTreeMap<(Judge, Candidate), Vec<(Criterion, f64)>> = BTreeMap::new();
    for (row, score) in table.given() {
        scores.entry((row.judge, row.candidate)).or_default().push((row.criterion, score.value()));
    }
    scores.into_iter().filter_map(|(key, values)| Some((key, weights.mean(values.into_iter())?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::scores::{Score, ScoreRow};

    fn row(candidate: u32, criterion: u32, judge: u32, score: Option<u8>) -> ScoreRow {
        ScoreRow {
            candidate: Candidate(candidate),
            criterion: Criterion(criterion),
            judge: Judge(judge),
            iteration: 1,
            score: score.map(|value| Score::try_from(value).unwrap()),
        }
    }

    #[test]
    fn a_mean_counts_sheets_and_weighs_criteria() {
        let rows = vec![row(0, 0, 0, Some(5)), row(0, 1, 0, Some(2)), row(0, 0, 1, Some(3)), row(0, 1, 1, None)];
        let table = ScoreTable::new(rows).unwrap();
        let weights = Weights::new([(Criterion(0), 2.0)]).unwrap();
        let mean = by_candidate(&table, &weights)[0];
        // (2·5 + 1·2) / 3 = 4 from the first judge, 3 from the second, whose other score is missing.
        let score = mean.score.unwrap();
        assert_eq!((score.n, mean.given, mean.missing), (2, 3, 1));
        assert!((score.mean - 3.5).abs() < 1e-12, "{score:?}");
    }

    #[test]
    fn an_answer_without_scores_has_no_mean_and_is_not_hidden() {
        let table = ScoreTable::new(vec![row(0, 0, 0, Some(4)), row(1, 0, 0, None)]).unwrap();
        let means = by_candidate(&table, &Weights::equal());
        assert_eq!(means[1], CandidateMean { candidate: Candidate(1), score: None, given: 0, missing: 1 });
        let cells = by_criterion(&table);
        assert_eq!((cells[1].score, cells[1].missing), (None, 1));
    }

    #[test]
    fn weights_below_zero_are_refused_and_huge_ones_do_not_overflow() {
        assert!(Weights::new([(Criterion(0), -1.0)]).is_err());
        assert!(Weights::new([(Criterion(0), f64::NAN)]).is_err());
        let huge = Weights::new([(Criterion(0), f64::MAX), (Criterion(1), f64::MAX)]).unwrap();
        let table = ScoreTable::new(vec![row(0, 0, 0, Some(5)), row(0, 1, 0, Some(3))]).unwrap();
        assert!((by_candidate(&table, &huge)[0].score.unwrap().mean - 4.0).abs() < 1e-12);
        let none = Weights::new([(Criterion(0), 0.0), (Criterion(1), 0.0)]).unwrap();
        assert_eq!(by_candidate(&table, &none)[0].score, None);
    }
}
