//! Answers in order, best first, and whether the first place is clear or too close to call.

use serde::{Deserialize, Serialize};

use super::bradley_terry::Ratings;
use super::index::distinct;
use super::means::CandidateMean;
use super::positions::Position;
use super::summary::{ENOUGH, SAME};
use super::{Candidate, Interval};

/// What an answer has to show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The answer.
    pub candidate: Candidate,
    /// Higher is better.
    pub value: f64,
    /// How sure the value is; none where there are too few judgements to say.
    pub interval: Option<Interval>,
}

/// A place on the board.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// From 1; equal values share a place, and the next place is left out (1, 1, 3).
    pub rank: usize,
    /// Who has it.
    pub standing: Standing,
}

/// How sure one may be of an answer's place before the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum Call {
    /// Its interval lies above all others.
    Clear,
    /// Its interval overlaps with another's: too close to call.
    TooClose,
    /// There are too few judgements to say; also where of another answer there are none.
    TooFew,
    /// There is no other.
    Unopposed,
}

/// Answers in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Leaderboard {
    places: Vec<Place>,
    /// Those that compete and have no value.
    unplaced: Vec<Candidate>,
}

impl Leaderboard {
    /// Of these standings; those whose value is not finite are left out. Equal values stand in the order of the run's list.
    pub fn new(standings: impl IntoIterator<Item = Standing>) -> Self {
        let mut standings: Vec<Standing> =
            standings.into_iter().filter(|standing| standing.value.is_finite()).collect();
        standings.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.candidate.cmp(&b.candidate)));
        let mut places: Vec<Place> = Vec::with_capacity(standings.len());
        let mut group = (1, f64::INFINITY);
        for (above, standing) in standings.into_iter().enumerate() {
            if group.1 - standing.value >= SAME {
                group = (above + 1, standing.value);
            }
            places.push(Place { rank: group.0, standing });
        }
        places.sort_by_key(|place| (place.rank, place.standing.candidate));
        Self { places, unplaced: Vec::new() }
    }

    /// The same where these answers compete: one of them that has no place may be better than any that has, for all one can say.
    #[must_use]
    pub fn among(self, competing: &[Candidate]) -> Self {
        let has_place = |candidate: &Candidate| self.rank(*candidate).is_some();
        let unplaced = distinct(competing.iter().copied().filter(|candidate| !has_place(candidate)));
        Self { unplaced, ..self }
    }

    /// By mean score. The interval is the one of the mean where [`super::Summary::is_telling`] says that it tells something.
    pub fn by_mean(means: &[CandidateMean]) -> Self {
        Self::new(means.iter().filter_map(|row| {
            let score = row.score?;
            let interval = score.interval.filter(|_| score.is_telling());
            Some(Standing { candidate: row.candidate, value: score.mean, interval })
        }))
    }

    /// By votes: the strengths of [`super::bradley_terry`]. An answer with fewer than [`ENOUGH`] verdicts has no interval here,
    /// and none has one where the votes fall into groups that were never compared with each other.
    pub fn by_votes(ratings: &Ratings) -> Self {
        Self::new(ratings.rated.iter().filter_map(|row| {
            let telling = row.verdicts >= ENOUGH && ratings.groups == 1;
            Some(Standing {
                candidate: row.candidate,
                value: row.strength?,
                interval: row.interval.filter(|_| telling),
            })
        }))
    }

    /// By review: the Borda share of [`super::positions`].
    pub fn by_review(positions: &[Position]) -> Self {
        Self::new(positions.iter().filter_map(|row| {
            let share = row.share?;
            let interval = share.interval.filter(|_| share.is_telling());
            Some(Standing { candidate: row.candidate, value: share.mean, interval })
        }))
    }

    /// The places, best first.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Those that compete and have no value, in the order of the run's list.
    pub fn unplaced(&self) -> &[Candidate] {
        &self.unplaced
    }

    /// The rank of an answer; none where it has no place.
    pub fn rank(&self, candidate: Candidate) -> Option<usize> {
        self.places.iter().find(|place| place.standing.candidate == candidate).map(|place| place.rank)
    }

    /// Whether nobody is on the board.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Those who share the first place, in the order of the run's list.
    pub fn leaders(&self) -> Vec<Candidate> {
        self.places.iter().filter(|place| place.rank == 1).map(|place| place.standing.candidate).collect()
    }

    /// Whether the first place is clear; none on an empty board.
    ///
    /// Two 95 % intervals that overlap are a cautious test: answers whose intervals overlap a little may still differ by the
    /// usual standards.
    pub fn call(&self) -> Option<Call> {
        Some(self.call_of(self.places.first()?.standing.candidate)?.0)
    }

    /// Who may be better than the one in the first place for all one can say: those whose interval overlaps, and those of whom
    /// there are too few judgements or none. Empty where the call is clear.
    pub fn contenders(&self) -> Vec<Candidate> {
        self.places
            .first()
            .and_then(|place| self.call_of(place.standing.candidate))
            .map_or_else(Vec::new, |(_, others)| others)
    }

    /// The call for one that shares the first place, and its contenders. None where it is not on the board.
    pub(super) fn call_of(&self, candidate: Candidate) -> Option<(Call, Vec<Candidate>)> {
        let own = self.places.iter().find(|place| place.standing.candidate == candidate)?;
        if self.places.len() == 1 && self.unplaced.is_empty() {
            return Some((Call::Unopposed, Vec::new()));
        }
        let (mut contenders, mut close) = (Vec::new(), false);
        for place in self.places.iter().filter(|place| place.standing.candidate != candidate) {
            let overlap = own.standing.interval.zip(place.standing.interval).map(|(own, other)| own.overlaps(other));
            if place.rank <= own.rank || overlap != Some(false) {
                contenders.push(place.standing.candidate);
                close |= overlap.is_some();
            }
        }
        contenders.extend(&self.unplaced);
        let call = match (contenders.is_empty(), close) {
            (true, _) => Call::Clear,
            (false, true) => Call::TooClose,
            (false, false) => Call::TooFew,
        };
        Some((call, contenders))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(candidate: u32, value: f64, interval: Option<(f64, f64)>) -> Standing {
        let interval = interval.map(|(low, high)| Interval { low, high });
        Standing { candidate: Candidate(candidate), value, interval }
    }

    #[test]
    fn equal_values_share_a_place() {
        let board = Leaderboard::new([
            standing(0, 1.0, None),
            standing(2, 2.0, None),
            standing(1, 2.0 + 1e-12, None),
            standing(3, f64::NAN, None),
        ]);
        let ranks: Vec<(u32, usize)> = board.places().iter().map(|p| (p.standing.candidate.0, p.rank)).collect();
        assert_eq!(ranks, [(1, 1), (2, 1), (0, 3)]);
        assert_eq!(board.leaders(), [Candidate(1), Candidate(2)]);
    }

    #[test]
    fn overlapping_intervals_are_too_close_and_none_are_too_few() {
        let call = |standings: Vec<Standing>| Leaderboard::new(standings).call();
        let first = standing(0, 2.0, Some((1.5, 2.5)));
        assert_eq!(call(vec![first, standing(1, 1.0, Some((0.5, 1.4)))]), Some(Call::Clear));
        assert_eq!(call(vec![first, standing(1, 1.0, Some((0.5, 1.5)))]), Some(Call::TooClose));
        assert_eq!(call(vec![first, standing(1, 1.0, None)]), Some(Call::TooFew));
        assert_eq!(call(vec![first]), Some(Call::Unopposed));
        assert_eq!(call(Vec::new()), None);
    }

    #[test]
    fn an_answer_of_which_nothing_was_said_may_be_better() {
        let first = standing(0, 2.0, Some((1.5, 2.5)));
        let alone = Leaderboard::new([first]).among(&[Candidate(0), Candidate(3)]);
        assert_eq!((alone.call(), alone.contenders()), (Some(Call::TooFew), vec![Candidate(3)]));
        let above = || Leaderboard::new([first, standing(1, 1.0, Some((0.5, 1.4)))]);
        assert_eq!(above().among(&[Candidate(1), Candidate(0)]).call(), Some(Call::Clear));
        let board = above().among(&[4, 2, 1, 0].map(Candidate));
        assert_eq!((board.call(), board.contenders()), (Some(Call::TooFew), [2, 4].map(Candidate).to_vec()));
        assert_eq!(board, above().among(&[0, 1, 2, 4].map(Candidate)));
        assert_eq!((board.leaders(), board.unplaced()), (vec![Candidate(0)], &[2, 4].map(Candidate)[..]));
        let close = Leaderboard::new([first, standing(1, 1.0, Some((0.5, 1.5)))]).among(&[Candidate(2)]);
        assert_eq!((close.call(), close.contenders()), (Some(Call::TooClose), [1, 2].map(Candidate).to_vec()));
        assert!(Leaderboard::default().among(&[Candidate(0)]).is_empty());
    }

    #[test]
    fn contenders_are_all_who_may_be_better() {
        let board = Leaderboard::new([
            standing(0, 2.0, Some((1.5, 2.5))),
            standing(1, 1.8, Some((1.2, 2.4))),
            standing(2, 0.0, Some((-0.5, 0.5))),
        ]);
        assert_eq!(board.call_of(Candidate(0)), Some((Call::TooClose, vec![Candidate(1)])));
        assert_eq!(board.contenders(), [Candidate(1)]);
        assert_eq!(board.call_of(Candidate(7)), None);
        assert!(Leaderboard::default().contenders().is_empty());
    }
}
