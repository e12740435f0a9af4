//! The winner of a run: the most telling judgement that there is decides.

use serde::{Deserialize, Serialize};

use super::Candidate;
use super::index::distinct;
use super::leaderboard::{Call, Leaderboard};

/// What decided. In this order: the first that has anyone on its board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum Basis {
    /// Votes among the inputs of a merge and what was merged: the only one that has seen the merged answers.
    FinalPairwise,
    /// Votes among the answers.
    Pairwise,
    /// Rankings by reviewers.
    Review,
    /// The mean score.
    MeanScore,
}

/// What each stage found; an empty board where a stage did not run or found nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// [`Basis::FinalPairwise`].
    pub final_pairwise: Leaderboard,
    /// [`Basis::Pairwise`].
    pub pairwise: Leaderboard,
    /// [`Basis::Review`].
    pub review: Leaderboard,
    /// [`Basis::MeanScore`].
    pub mean_score: Leaderboard,
}

impl Evidence {
    /// The boards, the most telling one first.
    fn boards(&self) -> [(Basis, &Leaderboard); 4] {
        [
            (Basis::FinalPairwise, &self.final_pairwise),
            (Basis::Pairwise, &self.pairwise),
            (Basis::Review, &self.review),
            (Basis::MeanScore, &self.mean_score),
        ]
    }
}

/// The best answer by what judges said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Winner {
    /// Which.
    pub candidate: Candidate,
    /// What decided.
    pub basis: Basis,
    /// How sure that is, by the board of `basis`; [`Call::TooFew`] instead of a surer one where an answer competes that no board
    /// says anything of.
    pub call: Call,
    /// Who may be better for all one can say, by the board of `basis`, and those that no board says anything of.
    pub contenders: Vec<Candidate>,
    /// Where several shared the first place there: the later basis that last told them apart. None where one was first, and
    /// where nothing told them apart and the first in the run's list was taken.
    pub tie_broken_by: Option<Basis>,
}

/// The winner, by final_pairwise > pairwise > review > mean score. None where no board has anyone.
///
/// The first board with anyone decides, also where it is too close to call: `call` says so. Only an exact tie for its first place
/// is broken, by the order of the tied answers on the boards after it, and in the end by the order of the run's list.
pub fn winner(evidence: &Evidence) -> Option<Winner> {
    let mut boards = evidence.boards().into_iter().filter(|(_, board)| !board.is_empty());
    let (basis, board) = boards.next()?;
    let mut leaders = board.leaders();
    let mut tie_broken_by = None;
    for (later, board) in boards {
        let tied = |candidate: &Candidate| leaders.contains(candidate);
        let best = board.places().iter().filter(|place| tied(&place.standing.candidate)).map(|place| place.rank).min();
        let Some(best) = best else { continue };
        let better = |place: &&super::leaderboard::Place| place.rank == best && tied(&place.standing.candidate);
        let narrowed: Vec<Candidate> =
            board.places().iter().filter(better).map(|place| place.standing.candidate).collect();
        if narrowed.len() < leaders.len() {
            leaders = narrowed;
            tie_broken_by = Some(later);
        }
    }
    let candidate = *leaders.first()?;
    let (mut call, mut contenders) = board.call_of(candidate)?;
    let unheard: Vec<Candidate> =
        unheard(evidence).into_iter().filter(|candidate| !contenders.contains(candidate)).collect();
    if !unheard.is_empty() && matches!(call, Call::Clear | Call::Unopposed) {
        call = Call::TooFew;
    }
    contenders.extend(unheard);
    Some(Winner { candidate, basis, call, contenders, tie_broken_by: tie_broken_by.filter(|_| leaders.len() == 1) })
}

/// Those that compete on some board and have a place on none. The board that decides may not know of them: only the best come to it,
/// and of them nobody can say whether they are.
fn unheard(evidence: &Evidence) -> Vec<Candidate> {
    let boards = evidence.boards();
    let is_heard = |candidate: &Candidate| boards.iter().any(|(_, board)| board.rank(*candidate).is_some());
    distinct(boards.iter().flat_map(|(_, board)| board.unplaced()).copied().filter(|candidate| !is_heard(candidate)))
}

/// What an answer's place among all others is sorted by, the best one first; the first of all is the [`winner`].
pub fn standing(evidence: &Evidence, candidate: Candidate) -> ([usize; 4], Candidate) {
    (evidence.boards().map(|(_, board)| board.rank(candidate).unwrap_or(usize::MAX)), candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::Interval;
    use crate::ranking::leaderboard::Standing;

    fn board(values: &[(u32, f64)]) -> Leaderboard {
        let interval = |value| Some(Interval { low: value - 0.1, high: value + 0.1 });
        Leaderboard::new(values.iter().map(|&(candidate, value)| Standing {
            candidate: Candidate(candidate),
            value,
            interval: interval(value),
        }))
    }

    #[test]
    fn the_first_board_with_anyone_decides() {
        let mut evidence = Evidence { mean_score: board(&[(0, 4.0), (1, 3.0)]), ..Evidence::default() };
        let decided = |evidence: &Evidence| winner(evidence).map(|winner| (winner.candidate.0, winner.basis));
        assert_eq!(decided(&evidence), Some((0, Basis::MeanScore)));
        evidence.review = board(&[(1, 0.9), (0, 0.1)]);
        assert_eq!(decided(&evidence), Some((1, Basis::Review)));
        evidence.pairwise = board(&[(2, 1.0), (1, 0.0)]);
        assert_eq!(decided(&evidence), Some((2, Basis::Pairwise)));
        evidence.final_pairwise = board(&[(9, 1.0), (2, 0.0)]);
        assert_eq!(decided(&evidence), Some((9, Basis::FinalPairwise)));
        assert_eq!(winner(&Evidence::default()), None);
    }

    #[test]
    fn a_tie_is_broken_by_the_next_board_that_tells_the_tied_apart() {
        let evidence = Evidence {
            pairwise: board(&[(0, 1.0), (1, 1.0), (2, 0.0)]),
            review: board(&[(0, 0.5), (1, 0.5), (2, 0.9)]),
            mean_score: board(&[(0, 3.0), (1, 4.0), (2, 5.0)]),
            ..Evidence::default()
        };
        let winner = winner(&evidence).unwrap();
        assert_eq!((winner.candidate, winner.basis), (Candidate(1), Basis::Pairwise));
        assert_eq!((winner.call, winner.tie_broken_by), (Call::TooClose, Some(Basis::MeanScore)));
        assert_eq!(winner.contenders, [Candidate(0)]);
        let mut order = [0, 1, 2, 3].map(Candidate);
        order.sort_by_key(|candidate| standing(&evidence, *candidate));
        assert_eq!(order, [1, 0, 2, 3].map(Candidate));
    }

    #[test]
    fn an_answer_that_no_board_says_anything_of_may_be_better_than_the_winner() {
        let all = [0, 1, 2, 3].map(Candidate);
        let mut evidence = Evidence {
            pairwise: board(&[(1, 1.0), (0, 0.0)]).among(&all[..2]),
            mean_score: board(&[(0, 4.0), (1, 4.0), (2, 3.0)]).among(&all),
            ..Evidence::default()
        };
        let found = |evidence: &Evidence| {
            let found = winner(evidence).unwrap();
            (found.candidate.0, found.call, found.contenders)
        };
        // The third was not among the best; of the fourth nobody can say that.
        assert_eq!(found(&evidence), (1, Call::TooFew, vec![Candidate(3)]));
        evidence.review = board(&[(3, 0.1), (0, 0.9)]);
        assert_eq!(found(&evidence), (1, Call::Clear, Vec::new()));
        evidence.pairwise = board(&[(1, 1.0), (0, 0.9)]).among(&all);
        assert_eq!(found(&evidence), (1, Call::TooClose, [0, 2, 3].map(Candidate).to_vec()));
    }

    #[test]
    fn a_tie_that_nothing_breaks_goes_to_the_first_in_the_list_and_says_so() {
        let evidence = Evidence { pairwise: board(&[(3, 1.0), (1, 1.0)]), ..Evidence::default() };
        let winner = winner(&evidence).unwrap();
        assert_eq!((winner.candidate, winner.call, winner.tie_broken_by), (Candidate(1), Call::TooClose, None));
    }
}
