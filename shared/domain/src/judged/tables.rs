//! From what the stages hand in to the tables that figures are computed from.

use super::judgements::{GivenScores, Judgements, RankingJudgements, ScoreJudgements, VoteJudgements};
use crate::ranking::rankings::RankingTable;
use crate::ranking::scores::{Score, ScoreRow, ScoreTable};
use crate::ranking::votes::VoteTable;
use crate::ranking::weights::Weights;
use crate::ranking::{Criterion, Invalid};

/// The tables of one subject, in canonical order.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) evaluate: Option<(ScoreTable, Weights)>,
    pub(super) pairwise: Option<VoteTable>,
    pub(super) review: Option<RankingTable>,
    pub(super) final_pairwise: Option<VoteTable>,
}

impl Tables {
    /// Of everything that was said.
    ///
    /// # Errors
    /// Where two judgements contradict each other: a mistake of whoever handed them in.
    pub(super) fn of(judgements: &Judgements) -> Result<Self, Invalid> {
        Ok(Self {
            evaluate: judgements.evaluate.as_ref().map(scores).transpose()?,
            pairwise: judgements.pairwise.as_ref().map(votes).transpose()?,
            review: judgements.review.as_ref().map(rankings).transpose()?,
            final_pairwise: judgements.final_pairwise.as_ref().map(votes).transpose()?,
        })
    }
}

/// One row for each criterion of each sheet. What was not asked for plays no part, what is no score is missing.
fn scores(judgements: &ScoreJudgements) -> Result<(ScoreTable, Weights), Invalid> {
    let criteria = || (0_u32..).zip(&judgements.criteria).map(|(at, criterion)| (Criterion(at), criterion));
    let weights = Weights::new(criteria().map(|(at, criterion)| (at, criterion.weight)))?;
    let rows = judgements.given.iter().flat_map(|given| {
        criteria().map(move |(at, criterion)| ScoreRow {
            candidate: given.candidate,
            criterion: at,
            judge: given.judge,
            iteration: given.iteration,
            score: score_of(given, &criterion.name).and_then(|(score, _)| score),
        })
    });
    Ok((ScoreTable::new(rows.collect())?, weights))
}

/// What a sheet says for a criterion: its score, none where it is no score that counts, and the reason.
pub(super) fn score_of<'a>(given: &'a GivenScores, criterion: &str) -> Option<(Option<Score>, &'a str)> {
    let scored = given.scores.as_ref()?.iter().find(|scored| scored.criterion == criterion)?;
    Some((Score::try_from(scored.score).ok(), &scored.reason))
}

fn votes(judgements: &VoteJudgements) -> Result<VoteTable, Invalid> {
    VoteTable::new(judgements.given.iter().map(|given| given.vote).collect(), judgements.orders)
}

fn rankings(judgements: &RankingJudgements) -> Result<RankingTable, Invalid> {
    RankingTable::new(judgements.given.iter().map(|given| given.ranking.clone()).collect())
}
