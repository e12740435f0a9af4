//! The scores of a subject: who is ahead by the mean score, how each answer did on each criterion, and every single score.

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::detail::Detail;
use super::judgements::ScoreJudgements;
use super::names::Names;
use super::score_judges::{self, AgreementOnScores, ScoreJudge};
use super::spread::Spread;
use super::tables::score_of;
use crate::ranking::leaderboard::{Call, Leaderboard};
use crate::ranking::means::{self, CandidateMean};
use crate::ranking::scores::ScoreTable;
use crate::ranking::weights::Weights;

/// What the stage `evaluate` found. Scores go from 1 (worst) to 5 (best).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Scores {
    /// How many scores came.
    pub coverage: Coverage,
    /// The answers by mean score, best first; those without a score come last.
    pub leaderboard: Vec<ScorePlace>,
    /// How sure the first place is; null where no score came.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub call: Option<Call>,
    /// The answers that may be better than the first for all one can say.
    pub contenders: Vec<String>,
    /// Each criterion, with the mean of each answer.
    pub criteria: Vec<CriterionMeans>,
    /// Each judge beside its panel.
    pub judges: Vec<ScoreJudge>,
    /// How far the judges agree.
    pub agreement: AgreementOnScores,
    /// Every single score with its reason, by answer, judge and iteration.
    pub sheets: Vec<ScoreSheet>,
    /// How many more sheets there are; the export has all of them.
    pub sheets_left_out: usize,
}

/// An answer's place by mean score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct ScorePlace {
    /// From 1; equal answers share a place. Null without a score.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub rank: Option<usize>,
    /// The answer.
    pub candidate: String,
    /// The mean over sheets: what one judge gave in one iteration, its criteria weighted. Null without a score.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub score: Option<Spread>,
    /// How many of its scores came.
    pub coverage: Coverage,
}

/// A criterion, and how the answers did on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct CriterionMeans {
    /// Its name.
    pub criterion: String,
    /// How much it counts beside the others.
    pub weight: f64,
    /// Each answer, in the order of `candidates`.
    pub answers: Vec<AnswerOnCriterion>,
}

/// How an answer did on a criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct AnswerOnCriterion {
    /// The answer.
    pub candidate: String,
    /// Over all judges and iterations; null where no score came.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub score: Option<Spread>,
    /// How many scores did not come.
    pub missing: usize,
}

/// What one judge gave one answer in one iteration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct ScoreSheet {
    /// The task.
    pub task_key: String,
    /// The answer that was judged.
    pub candidate: String,
    /// Who judged.
    pub judge: String,
    /// Counted from 1.
    pub iteration: u32,
    /// Each criterion.
    pub scores: Vec<GivenScore>,
}

/// A single score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct GivenScore {
    /// The criterion.
    pub criterion: String,
    /// 1 (worst) to 5 (best); null where it did not come.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub score: Option<u8>,
    /// Why, in the judge's words; empty where it gave no reason.
    pub reason: String,
}

impl Scores {
    /// The view, and the board that the winner is found by.
    pub(super) fn of(
        judgements: &ScoreJudgements,
        table: &ScoreTable,
        weights: &Weights,
        names: Names<'_>,
        detail: Detail,
    ) -> (Self, Leaderboard) {
        let means = means::by_candidate(table, weights);
        let board = Leaderboard::by_mean(&means).among(&judgements.competing);
        let (sheets, sheets_left_out) = detail.cut(sheets(judgements, names, detail));
        let scores = Self {
            coverage: Coverage::of(table.given().count(), table.missing(), "scores"),
            leaderboard: leaderboard(&means, &board, names),
            call: board.call(),
            contenders: names.candidates(&board.contenders()),
            criteria: criteria(judgements, table, names),
            judges: score_judges::judges(judgements, table, names),
            agreement: AgreementOnScores::of(table, weights, names),
            sheets,
            sheets_left_out,
        };
        (scores, board)
    }
}

/// Those on the board in its order, then the others in the run's.
fn leaderboard(means: &[CandidateMean], board: &Leaderboard, names: Names<'_>) -> Vec<ScorePlace> {
    let row = |mean: &CandidateMean, rank| ScorePlace {
        rank,
        candidate: names.candidate(mean.candidate),
        score: mean.score.map(Spread::from),
        coverage: Coverage::of(mean.given, mean.missing, "scores"),
    };
    let placed = board.places().iter().filter_map(|place| {
        let mean = means.iter().find(|mean| mean.candidate == place.standing.candidate)?;
        Some(row(mean, Some(place.rank)))
    });
    let unplaced = means.iter().filter(|mean| mean.score.is_none()).map(|mean| row(mean, None));
    placed.chain(unplaced).collect()
}

fn criteria(judgements: &ScoreJudgements, table: &ScoreTable, names: Names<'_>) -> Vec<CriterionMeans> {
    let cells = means::by_criterion(table);
    (0_u32..)
        .zip(&judgements.criteria)
        .map(|(at, criterion)| CriterionMeans {
            criterion: criterion.name.clone(),
            weight: criterion.weight,
            answers: cells
                .iter()
                .filter(|cell| cell.criterion.0 == at)
                .map(|cell| AnswerOnCriterion {
                    candidate: names.candidate(cell.candidate),
                    score: cell.score.map(Spread::from),
                    missing: cell.missing,
                })
                .collect(),
        })
        .collect()
}

fn sheets(judgements: &ScoreJudgements, names: Names<'_>, detail: Detail) -> Vec<ScoreSheet> {
    let mut given: Vec<_> = judgements.given.iter().collect();
    given.sort_by_key(|given| (given.candidate, given.judge, given.iteration));
    given
        .into_iter()
        .map(|given| ScoreSheet {
            task_key: given.task_key.clone(),
            candidate: names.candidate(given.candidate),
            judge: names.judge(given.judge),
            iteration: given.iteration,
            scores: judgements
                .criteria
                .iter()
                .map(|criterion| {
                    let (score, reason) = score_of(given, &criterion.name).unwrap_or_default();
                    GivenScore {
                        criterion: criterion.name.clone(),
                        score: score.map(u8::from),
                        reason: detail.reason(reason),
                    }
                })
                .collect(),
        })
        .collect()
}
