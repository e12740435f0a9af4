//! The tables of an export, as CSV in UTF-8 (RFC 4180). Texts of models and callers become harmless cells (`cell`).

mod answers;
mod cell;
mod judges;
mod leaderboard;
mod run;

use acm2_domain::judged::Judging;
use acm2_domain::run::Event;

use crate::{Failed, Reported};
use cell::Cell;

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Every answer's place, by stage.
    Leaderboard,
    /// Every single score with its reason.
    Scores,
    /// How far each judge is from its panel.
    Deviations,
    /// Every vote with its reason.
    Votes,
    /// Every reviewer's ranking, a row for each place.
    Rankings,
    /// Every call with its cost.
    Tasks,
    /// Every event.
    Timeline,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 7] =
        [Self::Leaderboard, Self::Scores, Self::Deviations, Self::Votes, Self::Rankings, Self::Tasks, Self::Timeline];

    /// Its name, without an ending.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leaderboard => "leaderboard",
            Self::Scores => "scores",
            Self::Deviations => "deviations",
            Self::Votes => "votes",
            Self::Rankings => "rankings",
            Self::Tasks => "tasks",
            Self::Timeline => "timeline",
        }
    }

    /// The table as CSV.
    ///
    /// # Errors
    /// [`Failed::Table`] if it cannot be written.
    pub fn write(self, reported: Reported<'_>) -> Result<Vec<u8>, Failed> {
        let (head, rows) = match self {
            Self::Leaderboard => leaderboard::rows(reported),
            Self::Scores => answers::scores(reported),
            Self::Deviations => judges::deviations(reported),
            Self::Votes => answers::votes(reported),
            Self::Rankings => answers::rankings(reported),
            Self::Tasks => run::tasks(reported),
            Self::Timeline => (run::EVENT_COLUMNS.to_vec(), run::events(reported.events)),
        };
        cell::write(&head, &rows)
    }
}

/// The head of the table of events, whose lines are written as they are read.
pub(crate) fn timeline_head() -> Result<Vec<u8>, Failed> {
    cell::write(&run::EVENT_COLUMNS, &[])
}

/// Lines of that table.
pub(crate) fn timeline_lines(events: &[Event]) -> Result<Vec<u8>, Failed> {
    cell::write_lines(&run::events(events))
}

/// The names of columns, and rows of as many cells.
type Rows<'a> = (Vec<&'static str>, Vec<Vec<Cell<'a>>>);

/// The columns that say what a row is about.
const SUBJECT: [&str; 2] = ["document_id", "document"];

fn subject(judging: &Judging) -> Vec<Cell<'_>> {
    match &judging.document {
        Some(document) => vec![Cell::Word(document.id.to_string()), Cell::Text(&document.name)],
        None => vec![Cell::None, Cell::None],
    }
}

/// The columns of a subject, and these.
fn head(columns: &[&'static str]) -> Vec<&'static str> {
    SUBJECT.iter().chain(columns).copied().collect()
}
