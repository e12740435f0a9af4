//! A leaderboard: each answer with its figure, and its interval drawn.

use acm2_domain::ranking::Interval;
use acm2_domain::ranking::leaderboard::Call;

use super::scale::Scale;
use super::words;

/// A leaderboard.
#[derive(Debug)]
pub(super) struct Board {
    /// How sure the first place is; empty where nobody is on the board.
    pub(super) call: &'static str,
    /// The answers, best first.
    pub(super) rows: Vec<BoardRow>,
    /// What lies at the left end, in the middle and at the right end of the charts.
    pub(super) ticks: Vec<String>,
    /// How many judgements it comes from, where some are missing.
    pub(super) note: Option<String>,
}

impl Board {
    /// Whether anything is drawn.
    pub(super) fn is_drawn(&self) -> bool {
        self.rows.iter().any(|row| row.plot.is_some())
    }
}

/// An answer's place.
#[derive(Debug)]
pub(super) struct BoardRow {
    /// Its place, or a dash.
    pub(super) rank: String,
    /// Its number on this page.
    pub(super) number: usize,
    /// Its name.
    pub(super) name: String,
    /// Its figure.
    pub(super) value: String,
    /// Other figures.
    pub(super) facts: Vec<String>,
    /// Its figure, drawn; none where it has none.
    pub(super) plot: Option<Plot>,
    /// What is missing.
    pub(super) note: Option<String>,
}

/// A figure and its interval on a chart.
#[derive(Debug)]
pub(super) struct Plot {
    /// The same in words.
    pub(super) label: String,
    /// Where the figure lies.
    pub(super) at: String,
    /// Where its interval begins and ends.
    pub(super) ends: Option<(String, String)>,
}

impl Plot {
    /// A figure on a scale.
    pub(super) fn new(scale: Scale, value: f64, interval: Option<Interval>) -> Self {
        let label = match words::interval(interval, 2) {
            Some(text) => format!("{}, 95 % interval {text}", words::figure(value, 2)),
            None => words::figure(value, 2),
        };
        let ends = interval.map(|interval| (scale.place(interval.low), scale.place(interval.high)));
        Self { label, at: scale.place(value), ends }
    }
}

/// The place, or a dash.
pub(super) fn rank(rank: Option<usize>) -> String {
    rank.map_or_else(|| words::NONE.to_owned(), |rank| rank.to_string())
}

/// How sure a board's first place is.
pub(super) fn call(call: Option<Call>) -> &'static str {
    call.map_or("", words::call)
}

/// The ends and the middle of a scale.
pub(super) fn ticks(scale: Scale, digits: usize) -> Vec<String> {
    scale.ticks().into_iter().map(|tick| words::figure(tick, digits)).collect()
}
