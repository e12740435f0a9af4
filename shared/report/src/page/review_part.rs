//! Rankings on the page: the leaderboard by Borda, and what each reviewer said.

use acm2_domain::judged::{RankingRow, ReviewPlace, Reviews};

use super::answers::Answers;
use super::board::{self, Board, BoardRow, Plot};
use super::grid::{self, Cell, Grid, GridRow};
use super::scale::Scale;
use super::{said, words};

/// How many answers of a ranking are listed at most.
const MOST_PLACES: usize = 50;

/// What `review` found.
#[derive(Debug)]
pub(super) struct ReviewPart {
    /// By the share of the other answers that an answer was put before.
    pub(super) board: Board,
    /// How far the reviewers agree.
    pub(super) agreement: Option<String>,
    /// Each ranking, by the numbers of the answers.
    pub(super) rankings: Grid,
    /// How many more there are.
    pub(super) left_out: usize,
}

impl ReviewPart {
    pub(super) fn of(reviews: &Reviews, answers: &Answers<'_>) -> Self {
        let rankings = rankings(reviews, answers);
        Self {
            board: leaderboard(reviews, answers),
            agreement: reviews.kendall_w.map(|found| {
                let w = words::figure(found.w, 2);
                format!("Kendall's W {w} over {} answers and {} rankings", found.items, found.raters)
            }),
            left_out: reviews.rankings_left_out + reviews.rankings.len() - rankings.rows.len(),
            rankings,
        }
    }
}

fn leaderboard(reviews: &Reviews, answers: &Answers<'_>) -> Board {
    let scale = Scale::new(0.0, 1.0);
    let row = |place: &ReviewPlace| {
        let mut facts =
            vec![format!("mean position {}", words::figure(place.mean_position, 2)), format!("Borda {}", place.borda)];
        facts.extend(place.borda_share.iter().flat_map(|share| words::spread(share, 2)));
        BoardRow {
            rank: board::rank(place.rank),
            number: answers.number(&place.candidate),
            name: answers.name(&place.candidate),
            value: words::maybe(place.borda_share.map(|share| share.mean), 2),
            facts,
            plot: place.borda_share.map(|share| Plot::new(scale, share.mean, share.interval)),
            note: None,
        }
    };
    Board {
        call: board::call(reviews.call),
        rows: reviews.leaderboard.iter().map(row).collect(),
        ticks: board::ticks(scale, 1),
        note: reviews.coverage.note.clone(),
    }
}

fn rankings(reviews: &Reviews, answers: &Answers<'_>) -> Grid {
    let order = |order: &Vec<String>| {
        let mut places: Vec<String> =
            order.iter().take(MOST_PLACES).map(|key| answers.number(key).to_string()).collect();
        if order.len() > MOST_PLACES {
            places.push("…".to_owned());
        }
        places.join(" › ")
    };
    let row = |ranking: &RankingRow| {
        let order = ranking.order.as_ref().map_or_else(|| "missing".to_owned(), order);
        GridRow::plain(ranking.reviewer.clone(), vec![Cell::plain(ranking.iteration.to_string()), Cell::wide(order)])
    };
    let rows = reviews.rankings.iter().take(said::MOST).map(row).collect();
    Grid { corner: "Reviewer", columns: grid::columns(&["iteration", "answers, best first"]), rows }
}
