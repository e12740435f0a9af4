//! Every answer's place, by document and stage.

use acm2_domain::judged::{CandidateName, Judging, Spread, Votes};
use acm2_domain::ranking::Interval;

use super::{Cell, Rows, head, subject};
use crate::Reported;

const COLUMNS: [&str; 21] = [
    "stage",
    "rank",
    "task_key",
    "model",
    "iteration",
    "is_winner",
    "value",
    "low",
    "high",
    "sd",
    "n",
    "missing",
    "first_share",
    "elo",
    "win_rate",
    "wins",
    "losses",
    "ties",
    "mean_position",
    "borda",
    "call",
];

/// One place; what its stage does not have is none.
#[derive(Default)]
struct Place {
    rank: Option<usize>,
    value: Option<f64>,
    interval: Option<Interval>,
    sd: Option<f64>,
    n: Option<usize>,
    missing: Option<usize>,
    first_share: Option<f64>,
    elo: Option<f64>,
    win_rate: Option<f64>,
    counts: Option<[usize; 3]>,
    mean_position: Option<f64>,
    borda: Option<usize>,
}

impl Place {
    fn with(self, spread: Option<Spread>) -> Self {
        Self {
            value: spread.map(|spread| spread.mean),
            interval: spread.and_then(|spread| spread.interval),
            sd: spread.and_then(|spread| spread.sd),
            n: spread.map(|spread| spread.n),
            ..self
        }
    }
}

pub(super) fn rows(reported: Reported<'_>) -> Rows<'_> {
    let mut rows = Vec::new();
    for judging in reported.judging {
        if let Some(scores) = &judging.evaluate {
            let call = Cell::word(scores.call);
            rows.extend(scores.leaderboard.iter().map(|place| {
                let missing = Some(place.coverage.missing);
                let found = Place { rank: place.rank, missing, ..Place::default() }.with(place.score);
                row(judging, "evaluate", &place.candidate, &found, call.clone())
            }));
        }
        rows.extend(judging.pairwise.iter().flat_map(|votes| by_votes(judging, "pairwise", votes)));
        if let Some(reviews) = &judging.review {
            let call = Cell::word(reviews.call);
            rows.extend(reviews.leaderboard.iter().map(|place| {
                let mean_position = Some(place.mean_position);
                let found = Place { rank: place.rank, mean_position, borda: Some(place.borda), ..Place::default() };
                row(judging, "review", &place.candidate, &found.with(place.borda_share), call.clone())
            }));
        }
        rows.extend(judging.final_pairwise.iter().flat_map(|votes| by_votes(judging, "final_pairwise", votes)));
    }
    (head(&COLUMNS), rows)
}

fn by_votes<'a>(judging: &'a Judging, stage: &str, votes: &'a Votes) -> Vec<Vec<Cell<'a>>> {
    let call = Cell::word(votes.call);
    votes
        .leaderboard
        .iter()
        .map(|place| {
            let found = Place {
                rank: place.rank,
                value: place.strength,
                interval: place.interval,
                n: Some(place.wins + place.losses + place.ties),
                first_share: place.first_share,
                elo: Some(place.elo),
                win_rate: place.win_rate,
                counts: Some([place.wins, place.losses, place.ties]),
                ..Place::default()
            };
            row(judging, stage, &place.candidate, &found, call.clone())
        })
        .collect()
}

fn row<'a>(judging: &'a Judging, stage: &str, key: &'a str, place: &Place, call: Cell<'a>) -> Vec<Cell<'a>> {
    let count = |count: Option<usize>| count.map_or(Cell::None, Cell::count);
    let name: Option<&CandidateName> = judging.candidates.iter().find(|name| name.task_key == key);
    let is_winner = judging.winner.as_ref().is_some_and(|winner| winner.task_key == key);
    let [wins, losses, ties] = place.counts.map_or([None; 3], |counts| counts.map(Some));
    let mut row = subject(judging);
    row.extend([
        Cell::Word(stage.to_owned()),
        count(place.rank),
        Cell::Text(key),
        Cell::text(name.map(|name| &*name.model)),
        name.map_or(Cell::None, |name| Cell::Count(name.iteration.into())),
        Cell::Word(is_winner.to_string()),
        Cell::figure(place.value),
        Cell::figure(place.interval.map(|interval| interval.low)),
        Cell::figure(place.interval.map(|interval| interval.high)),
        Cell::figure(place.sd),
        count(place.n),
        count(place.missing),
        Cell::figure(place.first_share),
        Cell::figure(place.elo),
        Cell::figure(place.win_rate),
        count(wins),
        count(losses),
        count(ties),
        Cell::figure(place.mean_position),
        count(place.borda),
        call,
    ]);
    row
}
