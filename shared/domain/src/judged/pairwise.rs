//! The votes of a subject: who is ahead by Bradley–Terry, with Elo and win rates beside it, the matrix of pairs, and every vote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::detail::Detail;
use super::judgements::VoteJudgements;
use super::names::Names;
use super::vote_judges::{self, AgreementOnVotes, VoteJudge};
use crate::ranking::bradley_terry::{self, Options, Rated, Ratings};
use crate::ranking::leaderboard::{Call, Leaderboard};
use crate::ranking::votes::{Choice, Order, Orders, Outcome, Pair, VoteTable};
use crate::ranking::{Interval, elo, win_rate};

/// What a stage with pairs found. A *verdict* is what a judge holds of a pair in one iteration: what both orders say, a tie where
/// they disagree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Votes {
    /// In how many orders each pair was shown.
    pub orders: Orders,
    /// How many votes came.
    pub coverage: Coverage,
    /// How many verdicts follow from them.
    pub verdicts: Coverage,
    /// How many pairs were not judged, because every judge is of the family of one of the two answers (`exclude_own_family`);
    /// they are in no other figure.
    pub unjudged: usize,
    /// The answers by Bradley–Terry strength, best first; those without a verdict come last.
    pub leaderboard: Vec<VotePlace>,
    /// How sure the first place is; null where no verdict came.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub call: Option<Call>,
    /// The answers that may be better than the first for all one can say.
    pub contenders: Vec<String>,
    /// How many groups of answers were never compared with each other; above 1, strengths of different groups say nothing of
    /// each other.
    pub groups: usize,
    /// How often the verdicts were drawn anew for the intervals; 0 where there are none.
    pub samples: usize,
    /// Where the draws began.
    pub seed: u64,
    /// Every pair that was compared: the matrix of wins.
    pub pairs: Vec<PairRecord>,
    /// Each judge beside its panel.
    pub judges: Vec<VoteJudge>,
    /// How far the judges agree.
    pub agreement: AgreementOnVotes,
    /// Every vote with its reason, by iteration, judge, pair and order.
    pub votes: Vec<VoteRow>,
    /// How many more votes there are; the export has all of them.
    pub votes_left_out: usize,
}

/// An answer's place by votes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct VotePlace {
    /// From 1; equal answers share a place. Null without a verdict.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub rank: Option<usize>,
    /// The answer.
    pub candidate: String,
    /// Bradley–Terry strength in log-odds, 0 for the mean of all; null without a verdict.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub strength: Option<f64>,
    /// The 95 % interval of the strength.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub interval: Option<Interval>,
    /// How often it came out first when the verdicts were drawn anew, 0 to 1.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub first_share: Option<f64>,
    /// Elo rating: start 1000, K 32, over the verdicts in canonical order.
    pub elo: f64,
    /// (wins + ties/2) / verdicts, 0 to 1; null without a verdict.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub win_rate: Option<f64>,
    /// Verdicts for it.
    pub wins: usize,
    /// Verdicts for the other.
    pub losses: usize,
    /// Verdicts for neither.
    pub ties: usize,
    /// Which group of answers it belongs to, from 0; null without a verdict.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub group: Option<usize>,
}

/// Two answers, compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct PairRecord {
    /// The one that comes first in the run's list.
    pub left: String,
    /// The other.
    pub right: String,
    /// Verdicts for the left one.
    pub left_wins: usize,
    /// Verdicts for the right one.
    pub right_wins: usize,
    /// Verdicts for neither.
    pub ties: usize,
    /// Verdicts that lack a vote.
    pub missing: usize,
    /// The chance that the left one beats the right one, from the strengths, 0 to 1; null where it has no value.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub left_win_chance: Option<f64>,
}

/// One vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct VoteRow {
    /// The task.
    pub task_key: String,
    /// Who judged.
    pub judge: String,
    /// Counted from 1.
    pub iteration: u32,
    /// The answer shown first, as A.
    pub first: String,
    /// The answer shown second, as B.
    pub second: String,
    /// What was chosen; null where the vote did not come.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub choice: Option<Choice>,
    /// The answer that was chosen; null for a tie too.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub winner: Option<String>,
    /// Why, in the judge's words; null where it gave no reason.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub reason: Option<String>,
}

impl Votes {
    /// The view, and the board that the winner is found by.
    pub(super) fn of(
        judgements: &VoteJudgements,
        table: &VoteTable,
        names: Names<'_>,
        detail: Detail,
    ) -> (Self, Leaderboard) {
        let options = Options::default();
        let ratings = bradley_terry::rate(table, &options);
        let board = Leaderboard::by_votes(&ratings).among(&judgements.competing);
        let (votes, votes_left_out) = detail.cut(votes(judgements, names, detail));
        let missing = table.missing_votes();
        let missing_verdicts = table.missing_verdicts();
        let found = Self {
            orders: judgements.orders,
            coverage: Coverage::of(table.votes().len() - missing, missing + judgements.lacking, "votes"),
            verdicts: Coverage::of(table.verdicts().len() - missing_verdicts, missing_verdicts, "verdicts"),
            unjudged: judgements.unjudged,
            leaderboard: leaderboard(table, &ratings, &board, names),
            call: board.call(),
            contenders: names.candidates(&board.contenders()),
            groups: ratings.groups,
            samples: ratings.samples,
            seed: options.seed,
            pairs: pairs(table, &ratings, names),
            judges: vote_judges::judges(table, names),
            agreement: AgreementOnVotes::of(table, names),
            votes,
            votes_left_out,
        };
        (found, board)
    }
}

/// Those on the board in its order, then the others in the run's.
fn leaderboard(table: &VoteTable, ratings: &Ratings, board: &Leaderboard, names: Names<'_>) -> Vec<VotePlace> {
    let (elos, rates) = (elo::ratings(table), win_rate::of(table));
    let row = |rated: &Rated, rank| {
        let rate = rates.iter().find(|row| row.candidate == rated.candidate);
        VotePlace {
            rank,
            candidate: names.candidate(rated.candidate),
            strength: rated.strength,
            interval: rated.interval,
            first_share: rated.first_share,
            elo: elos.iter().find(|row| row.candidate == rated.candidate).map_or(elo::START, |row| row.rating),
            win_rate: rate.and_then(|row| row.rate),
            wins: rate.map_or(0, |row| row.wins),
            losses: rate.map_or(0, |row| row.losses),
            ties: rate.map_or(0, |row| row.ties),
            group: rated.group,
        }
    };
    let placed = board.places().iter().filter_map(|place| {
        let rated = ratings.rated.iter().find(|rated| rated.candidate == place.standing.candidate)?;
        Some(row(rated, Some(place.rank)))
    });
    let unplaced = ratings.rated.iter().filter(|rated| rated.strength.is_none()).map(|rated| row(rated, None));
    placed.chain(unplaced).collect()
}

#[derive(Default, Clone, Copy)]
struct Counts {
    left: usize,
    right: usize,
    ties: usize,
    missing: usize,
}

fn pairs(table: &VoteTable, ratings: &Ratings, names: Names<'_>) -> Vec<PairRecord> {
    let mut counts: BTreeMap<Pair, Counts> = BTreeMap::new();
    for verdict in table.verdicts() {
        let counts = counts.entry(verdict.pair).or_default();
        match verdict.outcome {
            Some(Outcome::Left) => counts.left += 1,
            Some(Outcome::Right) => counts.right += 1,
            Some(Outcome::Tie) => counts.ties += 1,
            None => counts.missing += 1,
        }
    }
    let record = |(pair, counts): (Pair, Counts)| PairRecord {
        left: names.candidate(pair.left()),
        right: names.candidate(pair.right()),
        left_wins: counts.left,
        right_wins: counts.right,
        ties: counts.ties,
        missing: counts.missing,
        left_win_chance: ratings.win_chance(pair.left(), pair.right()),
    };
    counts.into_iter().map(record).collect()
}

fn votes(judgements: &VoteJudgements, names: Names<'_>, detail: Detail) -> Vec<VoteRow> {
    let mut given: Vec<_> = judgements.given.iter().collect();
    given.sort_by_key(|given| given.vote);
    let row = |given: &super::judgements::GivenVote| {
        let vote = given.vote;
        let (first, second) = match vote.order {
            Order::Forward => (vote.pair.left(), vote.pair.right()),
            Order::Swapped => (vote.pair.right(), vote.pair.left()),
        };
        let winner = match vote.choice {
            Some(Choice::A) => Some(first),
            Some(Choice::B) => Some(second),
            Some(Choice::Tie) | None => None,
        };
        VoteRow {
            task_key: given.task_key.clone(),
            judge: names.judge(vote.judge),
            iteration: vote.iteration,
            first: names.candidate(first),
            second: names.candidate(second),
            choice: vote.choice,
            winner: winner.map(|winner| names.candidate(winner)),
            reason: given.reason.as_deref().map(|reason| detail.reason(reason)),
        }
    };
    given.into_iter().map(row).collect()
}
