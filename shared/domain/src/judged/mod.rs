//! What callers see of judging: from everything that judges said about one subject (a document, or the prompt) to leaderboards,
//! agreement and a winner. Pure. The stages hand in [`Judgements`], read from the answers that their tasks have so far;
//! [`Judging::of`] turns them into the view, and [`winner()`] into the winner alone, which costs little.
//!
//! Every figure is one of [`crate::ranking`]; here they get the names of answers, judges and criteria in place of positions, and
//! words where something is missing. docs/report.md describes the view, docs/ranking.md the figures.

mod coverage;
mod detail;
mod evaluate;
mod judgements;
mod names;
mod pairwise;
mod review;
mod score_judges;
mod spread;
mod tables;
mod view;
mod vote_judges;
mod winner;

pub use coverage::Coverage;
pub use detail::Detail;
pub use evaluate::{AnswerOnCriterion, CriterionMeans, GivenScore, ScorePlace, ScoreSheet, Scores};
pub use judgements::{
    CandidateName, GivenRanking, GivenScores, GivenVote, Judgements, RankingJudgements, ScoreJudgements, VoteJudgements,
};
pub use pairwise::{PairRecord, VotePlace, VoteRow, Votes};
pub use review::{RankingRow, ReviewPlace, Reviews};
pub use score_judges::{AgreementOnScores, JudgeOnCriterion, JudgesAgreement, ScoreJudge};
pub use spread::Spread;
pub use view::Judging;
pub use vote_judges::{AgreementOnVotes, VoteJudge};
pub use winner::{JudgedWinner, WinnerName, winner};
