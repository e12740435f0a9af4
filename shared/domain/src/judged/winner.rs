//! The winner of a subject, by the most telling stage that found anything.

use serde::{Deserialize, Serialize};

use super::judgements::{CandidateName, Judgements};
use super::names::Names;
use super::tables::Tables;
use crate::ranking::bradley_terry::{self, Options};
use crate::ranking::cascade::{self, Basis, Evidence, Winner};
use crate::ranking::leaderboard::{Call, Leaderboard};
use crate::ranking::{means, positions};

/// The best answer by what judges said, without how sure that is: [`super::Judging`] says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct WinnerName {
    /// The key of the task whose answer it is.
    pub task_key: String,
    /// `provider/model` of the model that wrote it.
    pub model: String,
    /// Counted from 1.
    pub iteration: u32,
    /// What decided.
    pub basis: Basis,
}

/// The best answer by what judges said, and how sure that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct JudgedWinner {
    /// The key of the task whose answer it is.
    pub task_key: String,
    /// `provider/model` of the model that wrote it.
    pub model: String,
    /// Counted from 1.
    pub iteration: u32,
    /// What decided.
    pub basis: Basis,
    /// How sure that is.
    pub call: Call,
    /// The answers that may be better for all one can say.
    pub contenders: Vec<String>,
    /// Where several shared the first place: what told them apart. Null where one was first, and where nothing did and the
    /// first in the run's list was taken.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub tie_broken_by: Option<Basis>,
}

/// The winner of a subject. None where no stage has found anything yet, or where judgements contradict each other.
///
/// It costs little beside [`super::Judging::of`], because no votes are drawn anew for intervals; it names the same answer.
pub fn winner(judgements: &Judgements) -> Option<WinnerName> {
    let tables = Tables::of(judgements).ok()?;
    let options = Options { samples: 0, ..Options::default() };
    let by_votes = |table| Leaderboard::by_votes(&bradley_terry::rate(table, &options));
    let found = cascade::winner(&Evidence {
        final_pairwise: tables.final_pairwise.as_ref().map(by_votes).unwrap_or_default(),
        pairwise: tables.pairwise.as_ref().map(by_votes).unwrap_or_default(),
        review: tables.review.as_ref().map(|table| Leaderboard::by_review(&positions::of(table))).unwrap_or_default(),
        mean_score: tables
            .evaluate
            .as_ref()
            .map(|(table, weights)| Leaderboard::by_mean(&means::by_candidate(table, weights)))
            .unwrap_or_default(),
    })?;
    let name = name_of(&found, &judgements.candidates)?;
    Some(WinnerName {
        task_key: name.task_key.clone(),
        model: name.model.clone(),
        iteration: name.iteration,
        basis: found.basis,
    })
}

/// The winner by the boards of the view.
pub(super) fn judged(evidence: &Evidence, candidates: &[CandidateName]) -> Option<JudgedWinner> {
    let found = cascade::winner(evidence)?;
    let name = name_of(&found, candidates)?;
    Some(JudgedWinner {
        task_key: name.task_key.clone(),
        model: name.model.clone(),
        iteration: name.iteration,
        basis: found.basis,
        call: found.call,
        contenders: Names { candidates, judges: &[] }.candidates(&found.contenders),
        tie_broken_by: found.tie_broken_by,
    })
}

fn name_of<'a>(winner: &Winner, candidates: &'a [CandidateName]) -> Option<&'a CandidateName> {
    candidates.get(winner.candidate.0 as usize)
}
