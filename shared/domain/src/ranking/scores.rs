//! The table of scores: what each judge gave each answer for each criterion, in each iteration. The stage `evaluate` fills it.

use serde::{Deserialize, Serialize};

use super::index::distinct;
use super::{Candidate, Criterion, Invalid, Judge};

/// What a judge gives for one criterion: 1 (worst) to 5 (best), whole numbers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Score(u8);

impl Score {
    /// The lowest.
    pub const MIN: Self = Self(1);
    /// The highest.
    pub const MAX: Self = Self(5);

    /// The number, 1 to 5.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The number, to compute with.
    pub fn value(self) -> f64 {
        f64::from(self.0)
    }
}

impl TryFrom<u8> for Score {
    type Error = Invalid;

    fn try_from(value: u8) -> Result<Self, Invalid> {
        let score = Self(value);
        if (Self::MIN..=Self::MAX).contains(&score) { Ok(score) } else { Err(Invalid::ScoreOutOfRange) }
    }
}

impl From<Score> for u8 {
    fn from(score: Score) -> Self {
        score.0
    }
}

/// One cell of the table. The order of the fields is the canonical order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ScoreRow {
    /// The answer that was judged.
    pub candidate: Candidate,
    /// What was looked at.
    pub criterion: Criterion,
    /// Who judged.
    pub judge: Judge,
    /// How often this judge had been asked the same, counted from 1.
    pub iteration: u32,
    /// The score; none where it was asked for and did not come: the call failed, or what came was no score.
    pub score: Option<Score>,
}

impl ScoreRow {
    fn key(&self) -> (Candidate, Criterion, Judge, u32) {
        (self.candidate, self.criterion, self.judge, self.iteration)
    }
}

/// All scores of the answers to one document, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScoreTable(Vec<ScoreRow>);

impl ScoreTable {
    /// Puts the rows into canonical order. Scores that were asked for and did not come belong in it, with none.
    ///
    /// # Errors
    /// [`Invalid::DuplicateScore`] where two rows differ at most in their score.
    pub fn new(mut rows: Vec<ScoreRow>) -> Result<Self, Invalid> {
        rows.sort_unstable();
        if rows.windows(2).any(|two| matches!(two, [a, b] if a.key() == b.key())) {
            return Err(Invalid::DuplicateScore);
        }
        Ok(Self(rows))
    }

    /// The rows, by candidate, criterion, judge, iteration.
    pub fn rows(&self) -> &[ScoreRow] {
        &self.0
    }

    /// The rows that have a score, with it.
    pub fn given(&self) -> impl Iterator<Item = (&ScoreRow, Score)> {
        self.0.iter().filter_map(|row| row.score.map(|score| (row, score)))
    }

    /// How many scores were asked for and did not come.
    pub fn missing(&self) -> usize {
        self.0.iter().filter(|row| row.score.is_none()).count()
    }

    /// All answers in the table, also those without any score.
    pub fn candidates(&self) -> Vec<Candidate> {
        distinct(self.0.iter().map(|row| row.candidate))
    }

    /// All judges in the table, also those that never gave a score.
    pub fn judges(&self) -> Vec<Judge> {
        distinct(self.0.iter().map(|row| row.judge))
    }

    /// All criteria in the table.
    pub fn criteria(&self) -> Vec<Criterion> {
        distinct(self.0.iter().map(|row| row.criterion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(judge: u32, score: Option<u8>) -> ScoreRow {
        let score = score.map(|value| Score::try_from(value).unwrap());
        ScoreRow { candidate: Candidate(0), criterion: Criterion(0), judge: Judge(judge), iteration: 1, score }
    }

    #[test]
    fn a_score_is_a_whole_number_from_one_to_five() {
        for value in 1..=5 {
            assert_eq!(Score::try_from(value).unwrap().get(), value);
        }
        assert_eq!(Score::try_from(0), Err(Invalid::ScoreOutOfRange));
        assert_eq!(Score::try_from(6), Err(Invalid::ScoreOutOfRange));
        assert_eq!(serde_json::from_str::<Score>("5").unwrap(), Score::MAX);
        assert!(serde_json::from_str::<Score>("0").is_err());
        assert!(serde_json::from_str::<Score>("4.5").is_err());
    }

    #[test]
    fn a_score_given_twice_is_refused_also_if_one_is_missing() {
        assert_eq!(ScoreTable::new(vec![row(0, Some(3)), row(0, None)]), Err(Invalid::DuplicateScore));
    }

    #[test]
    fn a_judge_that_never_gave_a_score_is_still_in_the_table() {
        let table = ScoreTable::new(vec![row(1, None), row(0, Some(3))]).unwrap();
        assert_eq!(table.judges(), [Judge(0), Judge(1)]);
        assert_eq!((table.missing(), table.given().count()), (1, 1));
    }
}
