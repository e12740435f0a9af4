//! The table of rankings: in which order each reviewer put the answers. The stage `review` fills it.

use serde::{Deserialize, Serialize};

use super::index::distinct;
use super::{Candidate, Invalid, Judge};

/// One reviewer's order. The order of the fields is the canonical order of rankings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ranking {
    /// How often this reviewer had been asked the same, counted from 1.
    pub iteration: u32,
    /// Who reviewed.
    pub reviewer: Judge,
    /// The answers, best first, each once; none where the ranking was asked for and did not come. A reviewer that does not rank
    /// its own answer leaves it out.
    pub order: Option<Vec<Candidate>>,
}

/// All rankings of the answers to one document, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RankingTable(Vec<Ranking>);

impl RankingTable {
    /// Puts the rankings into canonical order (iteration, reviewer).
    ///
    /// # Errors
    /// [`Invalid::DuplicateRanking`] where two have the same reviewer and iteration, [`Invalid::RepeatedCandidate`] where one
    /// names an answer twice.
    pub fn new(mut rankings: Vec<Ranking>) -> Result<Self, Invalid> {
        rankings.sort_unstable();
        let key = |ranking: &Ranking| (ranking.iteration, ranking.reviewer);
        if rankings.windows(2).any(|two| matches!(two, [a, b] if key(a) == key(b))) {
            return Err(Invalid::DuplicateRanking);
        }
        let repeats = |order: &Vec<Candidate>| distinct(order.iter()).len() < order.len();
        if rankings.iter().filter_map(|ranking| ranking.order.as_ref()).any(repeats) {
            return Err(Invalid::RepeatedCandidate);
        }
        Ok(Self(rankings))
    }

    /// The rankings, by iteration and reviewer.
    pub fn rankings(&self) -> &[Ranking] {
        &self.0
    }

    /// The orders that were given.
    pub fn given(&self) -> impl Iterator<Item = &[Candidate]> {
        self.0.iter().filter_map(|ranking| ranking.order.as_deref())
    }

    /// How many rankings were asked for and did not come.
    pub fn missing(&self) -> usize {
        self.0.iter().filter(|ranking| ranking.order.is_none()).count()
    }

    /// All answers that some ranking names.
    pub fn candidates(&self) -> Vec<Candidate> {
        distinct(self.given().flatten().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(reviewer: u32, order: &[u32]) -> Ranking {
        let order = Some(order.iter().copied().map(Candidate).collect());
        Ranking { iteration: 1, reviewer: Judge(reviewer), order }
    }

    #[test]
    fn an_answer_ranked_twice_and_a_reviewer_heard_twice_are_refused() {
        assert_eq!(RankingTable::new(vec![ranking(0, &[1, 0, 1])]), Err(Invalid::RepeatedCandidate));
        let twice = vec![ranking(0, &[0, 1]), ranking(0, &[1, 0])];
        assert_eq!(RankingTable::new(twice), Err(Invalid::DuplicateRanking));
        assert!(RankingTable::new(vec![ranking(0, &[0, 1]), ranking(1, &[1, 0])]).is_ok());
    }
}
