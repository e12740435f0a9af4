//! Scores on the page: the leaderboard by mean score, the heat map, and the judges.

use acm2_domain::judged::{AgreementOnScores, JudgesAgreement, Scores};
use acm2_domain::ranking::deviation::TOTAL;

use super::answers::Answers;
use super::board::{self, Board, BoardRow, Plot};
use super::grid::{Cell, Grid, GridRow};
use super::said::{self, Said};
use super::scale::Scale;
use super::words::{self, NONE};

/// What `evaluate` found.
#[derive(Debug)]
pub(super) struct ScorePart {
    /// By mean score.
    pub(super) board: Board,
    /// Answers × criteria.
    pub(super) heat: Grid,
    /// Judges × criteria.
    pub(super) judges: Grid,
    /// How far they agree.
    pub(super) agreement: Vec<String>,
    /// Every two of them.
    pub(super) pairs: Option<Grid>,
    /// Single scores.
    pub(super) said: Said,
}

impl ScorePart {
    pub(super) fn of(scores: &Scores, answers: &Answers<'_>) -> Self {
        Self {
            board: leaderboard(scores, answers),
            heat: heat(scores, answers),
            judges: judges(scores),
            agreement: agreement(&scores.agreement),
            pairs: pairs(&scores.agreement.pairs),
            said: said::scores(scores, answers),
        }
    }
}

fn leaderboard(scores: &Scores, answers: &Answers<'_>) -> Board {
    let scale = Scale::new(1.0, 5.0);
    let rows = scores.leaderboard.iter().map(|place| BoardRow {
        rank: board::rank(place.rank),
        number: answers.number(&place.candidate),
        name: answers.name(&place.candidate),
        value: words::maybe(place.score.map(|score| score.mean), 2),
        facts: place.score.map(|score| words::spread(&score, 2)).unwrap_or_default(),
        plot: place.score.map(|score| Plot::new(scale, score.mean, score.interval)),
        note: place.coverage.note.clone(),
    });
    Board {
        call: board::call(scores.call),
        rows: rows.collect(),
        ticks: board::ticks(scale, 0),
        note: scores.coverage.note.clone(),
    }
}

fn heat(scores: &Scores, answers: &Answers<'_>) -> Grid {
    let cell = |key: &str, criterion: &acm2_domain::judged::CriterionMeans| {
        let found = criterion.answers.iter().find(|answer| answer.candidate == key);
        let missing = found.map_or(0, |answer| answer.missing);
        let mut cell = match found.and_then(|answer| answer.score) {
            Some(score) => Cell::heat(words::figure(score.mean, 1), (score.mean - 1.0) / 4.0),
            None => Cell::plain(NONE),
        };
        if missing > 0 {
            cell.small = format!("{missing} missing");
        }
        cell
    };
    let rows = scores.leaderboard.iter().map(|place| GridRow {
        number: answers.number(&place.candidate),
        name: answers.name(&place.candidate),
        cells: scores.criteria.iter().map(|criterion| cell(&place.candidate, criterion)).collect(),
    });
    let columns = scores.criteria.iter().map(|criterion| {
        // As it was given: with so many digits only, a small one would be shown as none.
        let weight = criterion.weight.to_string();
        if weight == "1" { criterion.criterion.clone() } else { format!("{} (×{weight})", criterion.criterion) }
    });
    Grid { corner: "Answer", columns: columns.collect(), rows: rows.collect() }
}

fn judges(scores: &Scores) -> Grid {
    let rows = scores.judges.iter().map(|judge| {
        let mut cells: Vec<Cell> =
            judge.by_criterion.iter().map(|row| Cell::plain(words::signed(row.deviation, 2))).collect();
        cells.push(Cell::plain(words::signed(judge.total_deviation, 2)));
        cells.push(Cell::plain(words::maybe(judge.self_consistency, 2)));
        cells.push(Cell::plain(format!("{} of {}", judge.coverage.given, judge.coverage.expected)));
        GridRow::plain(judge.judge.clone(), cells)
    });
    let mut columns: Vec<String> = scores.criteria.iter().map(|criterion| criterion.criterion.clone()).collect();
    columns.extend([TOTAL, "self-consistency", "scores"].map(str::to_owned));
    Grid { corner: "Judge", columns, rows: rows.collect() }
}

fn agreement(agreement: &AgreementOnScores) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(agreement.alpha_ordinal.map(|alpha| {
        format!("Krippendorff's alpha (ordinal) {} over {} units", words::figure(alpha.alpha, 2), alpha.units)
    }));
    facts.extend(agreement.alpha_interval.map(|alpha| format!("alpha (interval) {}", words::figure(alpha.alpha, 2))));
    facts.extend(agreement.kendall_w.map(|found| {
        format!("Kendall's W {} over {} answers and {} judges", words::figure(found.w, 2), found.items, found.raters)
    }));
    facts
}

/// Every two judges; none for one judge.
pub(super) fn pairs(pairs: &[JudgesAgreement]) -> Option<Grid> {
    let row = |pair: &JudgesAgreement| {
        let cells = [
            pair.n.to_string(),
            words::percent(pair.observed),
            words::maybe(pair.kappa, 2),
            words::maybe(pair.kappa_quadratic, 2),
        ];
        GridRow::plain(format!("{} and {}", pair.one, pair.other), cells.map(Cell::plain).into_iter().collect())
    };
    let columns = super::grid::columns(&["n", "same", "kappa", "kappa (quadratic)"]);
    (!pairs.is_empty()).then(|| Grid { corner: "Judges", columns, rows: pairs.iter().map(row).collect() })
}
