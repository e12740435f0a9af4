//! Everything that judges said about one subject, as the stages hand it in. Whoever fills it decides the positions: a
//! [`Candidate`] points into `candidates`, a [`Judge`] into the `judges` or `reviewers` of its stage, a criterion into `criteria`.

use serde::{Deserialize, Serialize};

use crate::criteria::Criterion;
use crate::judging::Scored;
use crate::ranking::rankings::Ranking;
use crate::ranking::votes::{Orders, Vote};
use crate::ranking::{Candidate, Judge};
use crate::run::DocumentRef;

/// What was said about one subject. A stage that the run does not have is none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judgements {
    /// The document; none for a run about its prompt alone.
    pub document: Option<DocumentRef>,
    /// The answers that compete, by position.
    pub candidates: Vec<CandidateName>,
    /// Scores.
    pub evaluate: Option<ScoreJudgements>,
    /// Votes among the answers.
    pub pairwise: Option<VoteJudgements>,
    /// Rankings by reviewers.
    pub review: Option<RankingJudgements>,
    /// Votes among the inputs of a merge and what was merged.
    pub final_pairwise: Option<VoteJudgements>,
}

/// An answer that competes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct CandidateName {
    /// The key of the task whose answer it is; everything else names the answer by it.
    pub task_key: String,
    /// `provider/model` of the model that wrote it.
    pub model: String,
    /// Counted from 1.
    pub iteration: u32,
    /// The stage that it comes from: `generate` or `combine`.
    pub stage: String,
}

/// What a stage with criteria heard.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreJudgements {
    /// `provider/model` of each judge, by position.
    pub judges: Vec<String>,
    /// What they score, by position, with weights.
    pub criteria: Vec<Criterion>,
    /// The answers that are there to be scored, in any order: one that has no score may be the best for all one can say.
    pub competing: Vec<Candidate>,
    /// One entry for each task that was to be, in any order.
    pub given: Vec<GivenScores>,
}

/// What one judge gave one answer in one iteration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenScores {
    /// The answer that was judged.
    pub candidate: Candidate,
    /// Who judged.
    pub judge: Judge,
    /// Counted from 1.
    pub iteration: u32,
    /// The task.
    pub task_key: String,
    /// A score for each criterion; none where they did not come.
    pub scores: Option<Vec<Scored>>,
}

/// What a stage with pairs heard.
#[derive(Debug, Clone, PartialEq)]
pub struct VoteJudgements {
    /// `provider/model` of each judge, by position.
    pub judges: Vec<String>,
    /// In how many orders each pair was shown.
    pub orders: Orders,
    /// The texts that are there to be compared, also those that no judge may be asked about, in any order.
    pub competing: Vec<Candidate>,
    /// One entry for each vote that could be asked for, in any order.
    pub given: Vec<GivenVote>,
    /// Votes that could not be asked for, because a text that they are about is missing.
    pub lacking: usize,
    /// Pairs that no judge may be asked about, because each is of the family of one of the two answers.
    pub unjudged: usize,
}

/// One vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenVote {
    /// What was compared, who judged and what was chosen; no choice where it did not come.
    pub vote: Vote,
    /// The task.
    pub task_key: String,
    /// Why, in the judge's words.
    pub reason: Option<String>,
}

/// What a stage with rankings heard.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingJudgements {
    /// `provider/model` of each reviewer, by position.
    pub reviewers: Vec<String>,
    /// The answers that are there to be ranked, in any order.
    pub competing: Vec<Candidate>,
    /// One entry for each task that was to be, in any order.
    pub given: Vec<GivenRanking>,
}

/// One ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenRanking {
    /// Who reviewed and in which order; none where it did not come.
    pub ranking: Ranking,
    /// The task.
    pub task_key: String,
}
