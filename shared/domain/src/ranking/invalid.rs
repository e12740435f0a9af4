//! Why a table of judgements cannot be: mistakes of whoever built it, never of a judge. What a judge got wrong is missing.

/// What is wrong with the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A score that is no integer from 1 to 5.
    #[error("a score is an integer from 1 to 5")]
    ScoreOutOfRange,
    /// A pair needs two answers.
    #[error("an answer cannot be compared with itself")]
    SameCandidate,
    /// Two rows have the same judge, iteration, criterion and candidate.
    #[error("a score was given twice for the same judge, iteration, criterion and answer")]
    DuplicateScore,
    /// Two rows have the same judge, iteration, pair and order.
    #[error("a vote was given twice for the same judge, iteration, pair and order")]
    DuplicateVote,
    /// Two rows have the same reviewer and iteration.
    #[error("a ranking was given twice for the same reviewer and iteration")]
    DuplicateRanking,
    /// A ranking names an answer twice.
    #[error("a ranking names an answer twice")]
    RepeatedCandidate,
    /// A weight that is negative, infinite or not a number.
    #[error("the weight of a criterion is a finite number of 0 or more")]
    BadWeight,
}
