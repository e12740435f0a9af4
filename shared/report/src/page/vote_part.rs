//! Votes on the page: the leaderboard by Bradley–Terry, the matrix of pairs, and the judges.

use std::collections::{BTreeMap, BTreeSet};

use acm2_domain::judged::{PairRecord, VotePlace, Votes};

use super::answers::Answers;
use super::board::{self, Board, BoardRow, Plot};
use super::grid::{self, Cell, Grid, GridRow};
use super::said::{self, Said};
use super::scale::Scale;
use super::score_part::pairs;
use super::words::{self, NONE};

/// What a stage with pairs found.
#[derive(Debug)]
pub(super) struct VotePart {
    /// What it is called.
    pub(super) title: &'static str,
    /// By strength.
    pub(super) board: Board,
    /// Answers × answers.
    pub(super) matrix: Grid,
    /// The judges.
    pub(super) judges: Grid,
    /// How far they agree.
    pub(super) agreement: Option<String>,
    /// Every two of them.
    pub(super) pairs: Option<Grid>,
    /// Single votes.
    pub(super) said: Said,
}

impl VotePart {
    pub(super) fn of(title: &'static str, votes: &Votes, answers: &Answers<'_>) -> Self {
        Self {
            title,
            board: leaderboard(votes, answers),
            matrix: matrix(votes, answers),
            judges: judges(votes),
            agreement: votes.agreement.alpha_nominal.map(|alpha| {
                format!("Krippendorff's alpha (nominal) {} over {} units", words::figure(alpha.alpha, 2), alpha.units)
            }),
            pairs: pairs(&votes.agreement.pairs),
            said: said::votes(votes, answers),
        }
    }
}

fn leaderboard(votes: &Votes, answers: &Answers<'_>) -> Board {
    let ends = |place: &VotePlace| {
        let interval = place.interval.into_iter().flat_map(|interval| [interval.low, interval.high]);
        interval.chain(place.strength).collect::<Vec<f64>>()
    };
    let scale = Scale::around(votes.leaderboard.iter().flat_map(ends));
    let rows = votes.leaderboard.iter().map(|place| {
        let mut facts = Vec::new();
        facts.extend(words::interval(place.interval, 2).map(|text| format!("95 % interval {text}")));
        facts.extend(place.first_share.map(|share| format!("first in {}", words::percent(Some(share)))));
        facts.push(format!("Elo {}", words::figure(place.elo, 0)));
        facts.push(format!("win rate {}", words::percent(place.win_rate)));
        facts.push(format!("won {}, lost {}, tied {}", place.wins, place.losses, place.ties));
        BoardRow {
            rank: board::rank(place.rank),
            number: answers.number(&place.candidate),
            name: answers.name(&place.candidate),
            value: words::maybe(place.strength, 2),
            facts,
            plot: place.strength.map(|strength| Plot::new(scale, strength, place.interval)),
            note: None,
        }
    });
    let notes: Vec<&str> =
        [&votes.coverage.note, &votes.verdicts.note].into_iter().flatten().map(String::as_str).collect();
    Board {
        call: board::call(votes.call),
        rows: rows.collect(),
        ticks: board::ticks(scale, 1),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

/// In each cell how the answer of the row did against that of the column: wins, losses and, behind them, ties.
fn matrix(votes: &Votes, answers: &Answers<'_>) -> Grid {
    let both_ways = votes.pairs.iter().flat_map(|pair| {
        let [left, right] = [&pair.left, &pair.right].map(String::as_str);
        [
            ((left, right), (pair.left_wins, pair.right_wins, pair)),
            ((right, left), (pair.right_wins, pair.left_wins, pair)),
        ]
    });
    let records: BTreeMap<(&str, &str), (usize, usize, &PairRecord)> = both_ways.collect();
    let seen: BTreeSet<&str> = records.keys().map(|(row, _)| *row).collect();
    let compared: Vec<&str> = answers.keys().filter(|key| seen.contains(key)).collect();
    let cell = |row: &str, column: &str| {
        let Some((wins, losses, pair)) = records.get(&(row, column)) else {
            return Cell::plain(if row == column { "" } else { NONE });
        };
        let decided = wins + losses + pair.ties;
        let ties = if pair.ties > 0 { format!("\u{a0}({})", pair.ties) } else { String::new() };
        let text = format!("{wins}–{losses}{ties}");
        let mut cell = if decided == 0 {
            Cell::plain(NONE)
        } else {
            Cell::heat(text, (*wins as f64 + pair.ties as f64 / 2.0) / decided as f64)
        };
        if pair.missing > 0 {
            cell.small = format!("{} missing", pair.missing);
        }
        cell
    };
    let rows = compared.iter().map(|row| GridRow {
        number: answers.number(row),
        name: answers.name(row),
        cells: compared.iter().map(|column| cell(row, column)).collect(),
    });
    let columns = compared.iter().map(|key| answers.number(key).to_string()).collect();
    Grid { corner: "Row against column", columns, rows: rows.collect() }
}

fn judges(votes: &Votes) -> Grid {
    let rows = votes.judges.iter().map(|judge| {
        let cells = [
            words::percent(judge.flip_rate),
            words::percent(judge.first_share),
            words::maybe(judge.agreement_rate, 0),
            words::signed(judge.deviation, 1),
            words::maybe(judge.self_consistency, 2),
            format!("{} of {}", judge.coverage.given, judge.coverage.expected),
        ];
        GridRow::plain(judge.judge.clone(), cells.map(Cell::plain).into_iter().collect())
    });
    let names =
        ["flip rate", "for the first shown", "with the majority, %", "deviation, points", "self-consistency", "votes"];
    Grid { corner: "Judge", columns: grid::columns(&names), rows: rows.collect() }
}
