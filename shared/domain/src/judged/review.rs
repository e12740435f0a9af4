//! The rankings of a subject by reviewers: mean position and Borda beside each other, and every ranking.

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::detail::Detail;
use super::judgements::RankingJudgements;
use super::names::Names;
use super::spread::Spread;
use crate::ranking::kendall::{self, Concordance};
use crate::ranking::leaderboard::{Call, Leaderboard};
use crate::ranking::positions;
use crate::ranking::rankings::RankingTable;

/// What the stage `review` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Reviews {
    /// How many rankings came.
    pub coverage: Coverage,
    /// The answers by Borda share, best first.
    pub leaderboard: Vec<ReviewPlace>,
    /// How sure the first place is; null where no ranking came.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub call: Option<Call>,
    /// The answers that may be better than the first for all one can say.
    pub contenders: Vec<String>,
    /// Kendall's W of the rankings, over the answers that all of them rank; null where there are too few.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub kendall_w: Option<Concordance>,
    /// Every ranking, by iteration and reviewer.
    pub rankings: Vec<RankingRow>,
    /// How many more rankings there are; the export has all of them.
    pub rankings_left_out: usize,
}

/// An answer's place by rankings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct ReviewPlace {
    /// From 1; equal answers share a place. Null where no ranking has two answers.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub rank: Option<usize>,
    /// The answer.
    pub candidate: String,
    /// How many rankings name it.
    pub rankings: usize,
    /// Its mean position in them, 1 for the best.
    pub mean_position: f64,
    /// Borda's count: how many answers it was put before, over all rankings.
    pub borda: usize,
    /// The share of the other answers that it was put before, 0 to 1: what orders the answers.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub borda_share: Option<Spread>,
}

/// One ranking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct RankingRow {
    /// The task.
    pub task_key: String,
    /// Who reviewed.
    pub reviewer: String,
    /// Counted from 1.
    pub iteration: u32,
    /// The answers, best first; null where the ranking did not come.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub order: Option<Vec<String>>,
}

impl Reviews {
    /// The view, and the board that the winner is found by.
    pub(super) fn of(
        judgements: &RankingJudgements,
        table: &RankingTable,
        names: Names<'_>,
        detail: Detail,
    ) -> (Self, Leaderboard) {
        let positions = positions::of(table);
        let board = Leaderboard::by_review(&positions).among(&judgements.competing);
        let row = |position: &positions::Position, rank| ReviewPlace {
            rank,
            candidate: names.candidate(position.candidate),
            rankings: position.rankings,
            mean_position: position.mean_position,
            borda: position.borda,
            borda_share: position.share.map(Spread::from),
        };
        let placed = board.places().iter().filter_map(|place| {
            let position = positions.iter().find(|position| position.candidate == place.standing.candidate)?;
            Some(row(position, Some(place.rank)))
        });
        let unplaced = positions.iter().filter(|position| position.share.is_none()).map(|position| row(position, None));
        let (rankings, rankings_left_out) = detail.cut(rankings(judgements, names));
        let found = Self {
            coverage: Coverage::of(table.given().count(), table.missing(), "rankings"),
            leaderboard: placed.chain(unplaced).collect(),
            call: board.call(),
            contenders: names.candidates(&board.contenders()),
            kendall_w: kendall::of_rankings(table),
            rankings,
            rankings_left_out,
        };
        (found, board)
    }
}

fn rankings(judgements: &RankingJudgements, names: Names<'_>) -> Vec<RankingRow> {
    let mut given: Vec<_> = judgements.given.iter().collect();
    given.sort_by(|one, other| one.ranking.cmp(&other.ranking));
    given
        .into_iter()
        .map(|given| RankingRow {
            task_key: given.task_key.clone(),
            reviewer: names.judge(given.ranking.reviewer),
            iteration: given.ranking.iteration,
            order: given.ranking.order.as_ref().map(|order| names.candidates(order)),
        })
        .collect()
}
