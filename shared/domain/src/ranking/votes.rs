//! The table of votes: which of two answers each judge found better, and the verdicts that follow when a judge saw the two in
//! both orders. The stages `pairwise` and `final_pairwise` fill it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::index::distinct;
use super::{Candidate, Invalid, Judge};

/// Two different answers; the left one comes first in the run's list. In JSON a list of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "[Candidate; 2]", into = "[Candidate; 2]")]
pub struct Pair {
    left: Candidate,
    right: Candidate,
}

impl Pair {
    /// The pair of the two, whichever is named first.
    ///
    /// # Errors
    /// [`Invalid::SameCandidate`] where they are one.
    pub fn new(one: Candidate, other: Candidate) -> Result<Self, Invalid> {
        if one == other {
            return Err(Invalid::SameCandidate);
        }
        Ok(Self { left: one.min(other), right: one.max(other) })
    }

    /// The one that comes first in the run's list.
    pub fn left(self) -> Candidate {
        self.left
    }

    /// The other.
    pub fn right(self) -> Candidate {
        self.right
    }
}

impl TryFrom<[Candidate; 2]> for Pair {
    type Error = Invalid;

    fn try_from([one, other]: [Candidate; 2]) -> Result<Self, Invalid> {
        Self::new(one, other)
    }
}

impl From<Pair> for [Candidate; 2] {
    fn from(pair: Pair) -> Self {
        [pair.left, pair.right]
    }
}

/// In which order a judge was shown a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The left answer as A, the right as B.
    Forward,
    /// The right answer as A, the left as B.
    Swapped,
}

/// What a judge said of the two that it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum))]
pub enum Choice {
    /// The one shown first.
    A,
    /// The one shown second.
    B,
    /// Neither.
    Tie,
}

/// Which of a pair is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The left one.
    Left,
    /// The right one.
    Right,
    /// Neither.
    Tie,
}

/// One answer of a judge. The order of the fields is the canonical order of votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// How often this judge had been asked the same, counted from 1.
    pub iteration: u32,
    /// Who judged.
    pub judge: Judge,
    /// What was compared.
    pub pair: Pair,
    /// How it was shown.
    pub order: Order,
    /// What was chosen; none where it was asked for and did not come.
    pub choice: Option<Choice>,
}

impl Vote {
    /// The choice, said of the pair instead of what was shown first.
    pub fn outcome(&self) -> Option<Outcome> {
        self.choice.map(|choice| match (choice, self.order) {
            (Choice::A, Order::Forward) | (Choice::B, Order::Swapped) => Outcome::Left,
            (Choice::B, Order::Forward) | (Choice::A, Order::Swapped) => Outcome::Right,
            (Choice::Tie, _) => Outcome::Tie,
        })
    }
}

/// How many orders a run shows each pair in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum Orders {
    /// Both, the default: a judge that only follows the position contradicts itself, and that counts as a tie (Zheng et al.
    /// 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", section 3.4). One vote alone is no verdict then.
    Both,
    /// One: half the calls, and a preference for a position goes unseen.
    Single,
}

/// What a judge holds of a pair in one iteration, from all orders. The order of the fields is the canonical order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Verdict {
    /// Counted from 1.
    pub iteration: u32,
    /// Who judged.
    pub judge: Judge,
    /// What was compared.
    pub pair: Pair,
    /// The outcome: the one of both orders if they agree, a tie if they do not; none where a vote that it needs is missing.
    pub outcome: Option<Outcome>,
}

/// All votes on the answers to one document, in canonical order, and the verdicts from them.
///
/// To leave out votes on answers of a judge's own family, leave them out of what the table is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteTable {
    votes: Vec<Vote>,
    verdicts: Vec<Verdict>,
}

impl VoteTable {
    /// Puts the votes into canonical order (iteration, judge, pair, order) and draws the verdicts. Votes that were asked for
    /// and did not come belong in it, with none.
    ///
    /// # Errors
    /// [`Invalid::DuplicateVote`] where two votes differ at most in their choice.
    pub fn new(mut votes: Vec<Vote>, orders: Orders) -> Result<Self, Invalid> {
        votes.sort_unstable();
        let key = |vote: &Vote| (vote.iteration, vote.judge, vote.pair, vote.order);
        if votes.windows(2).any(|two| matches!(two, [a, b] if key(a) == key(b))) {
            return Err(Invalid::DuplicateVote);
        }
        let mut seen: BTreeMap<(u32, Judge, Pair), Vec<Outcome>> = BTreeMap::new();
        for vote in &votes {
            seen.entry((vote.iteration, vote.judge, vote.pair)).or_default().extend(vote.outcome());
        }
        let verdict = |((iteration, judge, pair), outcomes): ((u32, Judge, Pair), Vec<Outcome>)| {
            let outcome = match (outcomes.as_slice(), orders) {
                ([one], Orders::Single) => Some(*one),
                ([one, other], _) => Some(if one == other { *one } else { Outcome::Tie }),
                _ => None,
            };
            Verdict { iteration, judge, pair, outcome }
        };
        Ok(Self { verdicts: seen.into_iter().map(verdict).collect(), votes })
    }

    /// The votes, by iteration, judge, pair, order.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// The verdicts, by iteration, judge, pair; also those that have no outcome.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The verdicts that have an outcome, with it.
    pub fn given(&self) -> impl Iterator<Item = (&Verdict, Outcome)> {
        self.verdicts.iter().filter_map(|verdict| verdict.outcome.map(|outcome| (verdict, outcome)))
    }

    /// How many votes were asked for and did not come.
    pub fn missing_votes(&self) -> usize {
        self.votes.iter().filter(|vote| vote.choice.is_none()).count()
    }

    /// How many verdicts have no outcome.
    pub fn missing_verdicts(&self) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.outcome.is_none()).count()
    }

    /// All answers in the table, also those without a verdict.
    pub fn candidates(&self) -> Vec<Candidate> {
        distinct(self.votes.iter().flat_map(|vote| [vote.pair.left, vote.pair.right]))
    }

    /// All judges in the table, also those that never gave a vote.
    pub fn judges(&self) -> Vec<Judge> {
        distinct(self.votes.iter().map(|vote| vote.judge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(order: Order, choice: Option<Choice>) -> Vote {
        let pair = Pair::new(Candidate(1), Candidate(0)).unwrap();
        Vote { iteration: 1, judge: Judge(0), pair, order, choice }
    }

    fn outcome(votes: Vec<Vote>, orders: Orders) -> Option<Outcome> {
        VoteTable::new(votes, orders).unwrap().verdicts()[0].outcome
    }

    #[test]
    fn both_orders_that_agree_are_a_verdict_and_else_a_tie() {
        use Choice::{A, B, Tie};
        let both = |forward, swapped| {
            outcome(vec![vote(Order::Swapped, Some(swapped)), vote(Order::Forward, Some(forward))], Orders::Both)
        };
        assert_eq!(both(A, B), Some(Outcome::Left));
        assert_eq!(both(B, A), Some(Outcome::Right));
        assert_eq!(both(A, A), Some(Outcome::Tie));
        assert_eq!(both(A, Tie), Some(Outcome::Tie));
        assert_eq!(both(Tie, Tie), Some(Outcome::Tie));
    }

    #[test]
    fn a_vote_alone_is_a_verdict_only_where_one_order_was_asked_for() {
        let lone = vec![vote(Order::Forward, Some(Choice::A))];
        let half = vec![vote(Order::Forward, Some(Choice::A)), vote(Order::Swapped, None)];
        assert_eq!(outcome(lone.clone(), Orders::Single), Some(Outcome::Left));
        assert_eq!(outcome(lone, Orders::Both), None);
        assert_eq!(outcome(half, Orders::Both), None);
    }

    #[test]
    fn a_pair_has_one_spelling_and_two_answers() {
        let pair = Pair::new(Candidate(2), Candidate(1)).unwrap();
        assert_eq!((pair.left(), pair.right()), (Candidate(1), Candidate(2)));
        assert_eq!(Pair::new(Candidate(1), Candidate(1)), Err(Invalid::SameCandidate));
        assert_eq!(serde_json::to_string(&pair).unwrap(), "[1,2]");
        assert_eq!(serde_json::from_str::<Pair>("[2,1]").unwrap(), pair);
        assert!(serde_json::from_str::<Pair>("[1,1]").is_err());
    }

    #[test]
    fn a_vote_given_twice_is_refused() {
        let twice = vec![vote(Order::Forward, Some(Choice::A)), vote(Order::Forward, None)];
        assert_eq!(VoteTable::new(twice, Orders::Both), Err(Invalid::DuplicateVote));
    }
}
