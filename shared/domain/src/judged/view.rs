//! Everything that judges said about one subject, as callers see it.

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::detail::Detail;
use super::evaluate::Scores;
use super::judgements::{CandidateName, Judgements, VoteJudgements};
use super::names::Names;
use super::pairwise::Votes;
use super::review::Reviews;
use super::tables::Tables;
use super::winner::{self, JudgedWinner};
use crate::ranking::Invalid;
use crate::ranking::cascade::Evidence;
use crate::ranking::leaderboard::Leaderboard;
use crate::ranking::votes::VoteTable;
use crate::run::{DocumentRef, FinalAnswer};
use crate::stages::GENERATE;

/// How the answers of one subject were judged. A stage that the run does not have is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Judging {
    /// The document that the answers are about; null for a run about its prompt alone.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub document: Option<DocumentRef>,
    /// The answers that compete; everything below names them by `task_key`.
    pub candidates: Vec<CandidateName>,
    /// The answer to use, once the run has ended: by the final comparison where there is one, else the first combined text, such
    /// as a chair's, else the winner.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub final_answer: Option<FinalAnswer>,
    /// The best answer by what judges said; null where no stage has found anything yet. Combined texts are among the answers only
    /// where a final comparison has seen them.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub winner: Option<JudgedWinner>,
    /// What is missing, in words; empty where nothing is.
    pub notes: Vec<String>,
    /// Scores for criteria.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub evaluate: Option<Scores>,
    /// Votes among the answers.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub pairwise: Option<Votes>,
    /// Rankings by reviewers.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub review: Option<Reviews>,
    /// Votes among the inputs of a merge and what was merged.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub final_pairwise: Option<Votes>,
}

impl Judging {
    /// The view of what was said so far, without a final answer. The order in which judgements are handed in plays no part.
    ///
    /// Intervals by votes are drawn: 20 answers take some 0.06 s for each stage with pairs, 50 answers 0.3 s, so keep it away
    /// from where others wait.
    ///
    /// # Errors
    /// Where two judgements contradict each other: a mistake of whoever handed them in, never of a judge.
    pub fn of(judgements: &Judgements, detail: Detail) -> Result<Self, Invalid> {
        let tables = Tables::of(judgements)?;
        let candidates = &*judgements.candidates;
        let votes = |judgements: &Option<VoteJudgements>, table: &Option<VoteTable>| {
            let (judgements, table) = judgements.as_ref().zip(table.as_ref())?;
            Some(Votes::of(judgements, table, Names { candidates, judges: &judgements.judges }, detail))
        };
        let evaluated = judgements.evaluate.as_ref().zip(tables.evaluate.as_ref());
        let (evaluate, mean_score) = apart(evaluated.map(|(judgements, (table, weights))| {
            Scores::of(judgements, table, weights, Names { candidates, judges: &judgements.judges }, detail)
        }));
        let reviewed = judgements.review.as_ref().zip(tables.review.as_ref());
        let (review, by_review) = apart(reviewed.map(|(judgements, table)| {
            Reviews::of(judgements, table, Names { candidates, judges: &judgements.reviewers }, detail)
        }));
        let (pairwise, by_pairs) = apart(votes(&judgements.pairwise, &tables.pairwise));
        let (final_pairwise, by_final_pairs) = apart(votes(&judgements.final_pairwise, &tables.final_pairwise));
        let evidence = Evidence { final_pairwise: by_final_pairs, pairwise: by_pairs, review: by_review, mean_score };
        let mut judging = Self {
            document: judgements.document.clone(),
            candidates: candidates.to_vec(),
            final_answer: None,
            winner: winner::judged(&evidence, candidates),
            notes: Vec::new(),
            evaluate,
            pairwise,
            review,
            final_pairwise,
        };
        judging.notes = judging.noted();
        Ok(judging)
    }

    /// What is missing, by stage, and the judges that gave nothing.
    fn noted(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(scores) = &self.evaluate {
            let judges = scores.judges.iter().map(|judge| (&*judge.judge, &judge.coverage));
            note(&mut notes, "evaluate", &scores.coverage, judges);
            let unscored = scores.leaderboard.iter().filter(|place| place.score.is_none());
            notes.extend(unscored.map(|place| format!("evaluate: {} has no score", place.candidate)));
        }
        for (stage, votes) in [("pairwise", &self.pairwise), ("final_pairwise", &self.final_pairwise)] {
            let Some(votes) = votes else { continue };
            let judges = votes.judges.iter().map(|judge| (&*judge.judge, &judge.coverage));
            note(&mut notes, stage, &votes.coverage, judges);
            notes.extend(votes.verdicts.note.iter().map(|words| format!("{stage}: {words}")));
            let why = "not judged: every judge is of the family of one of the two answers";
            match votes.unjudged {
                0 => {}
                1 => notes.push(format!("{stage}: 1 pair was {why}")),
                pairs => notes.push(format!("{stage}: {pairs} pairs were {why}")),
            }
            if votes.groups > 1 {
                notes.push(format!("{stage}: some answers were never compared, not even by way of others"));
            }
        }
        if let Some(reviews) = &self.review {
            note(&mut notes, "review", &reviews.coverage, std::iter::empty());
            let is_ranked = |candidate: &CandidateName| {
                reviews.leaderboard.iter().any(|place| place.candidate == candidate.task_key)
            };
            let written = self.candidates.iter().filter(|candidate| candidate.stage == GENERATE);
            let unranked = written.filter(|candidate| !is_ranked(candidate));
            notes.extend(unranked.map(|candidate| format!("review: {} was not ranked", candidate.task_key)));
        }
        notes
    }
}

fn apart<T>(found: Option<(T, Leaderboard)>) -> (Option<T>, Leaderboard) {
    found.map_or_else(|| (None, Leaderboard::default()), |(view, board)| (Some(view), board))
}

fn note<'a>(
    notes: &mut Vec<String>,
    stage: &str,
    coverage: &Coverage,
    judges: impl Iterator<Item = (&'a str, &'a Coverage)>,
) {
    notes.extend(coverage.note.iter().map(|words| format!("{stage}: {words}")));
    let silent = judges.filter(|(_, coverage)| coverage.given == 0 && coverage.missing > 0);
    notes.extend(silent.map(|(judge, coverage)| format!("{stage}: {judge} gave none of {}", coverage.expected)));
}
