//! The page: what the templates in `templates/` are filled with. Words and coordinates are made here; the templates escape them.

mod board;
mod costs;
mod grid;
mod head;
mod pictures;
mod progress;
mod said;
mod scale;
mod score_part;
mod subject;
mod timeline;
mod vote_part;
mod words;

use acm2_domain::run::{Event, EventType};
use askama::Template;

use crate::{Failed, Reported, images};
use grid::Grid;
use head::Head;
use pictures::Picture;
use progress::StageRow;
use subject::{Overview, Subject};
use timeline::Timeline;

/// The longest text of an answer that the page shows, in characters; the export has all of it.
pub const LONGEST_TEXT: usize = 20_000;
/// How many events the page lists at most.
pub const MOST_EVENTS: usize = 200;

/// Whether the page lists an event: what happened to the run itself, and attempts that failed; everything but answers.
pub fn lists(event: &Event) -> bool {
    event.event_type != EventType::TaskCompleted
}

/// The whole page.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    head: Head<'a>,
    missing: Option<Grid>,
    winners: Vec<Overview>,
    /// Whether a final answer is another one than the winner.
    has_other_answers: bool,
    pictures: Vec<Picture<'a>>,
    most_pictures: String,
    subjects: Vec<Subject>,
    stages: Vec<StageRow>,
    timeline: Option<Timeline>,
    costs: Grid,
    spent: Vec<costs::Share>,
    events: Option<Grid>,
}

/// The report of a run as one HTML page: no script, nothing from elsewhere, legible on paper and on a phone.
///
/// # Errors
/// [`Failed::Page`] if a value cannot be written.
pub fn render(reported: Reported<'_>) -> Result<String, Failed> {
    let (run, tasks) = (reported.run, reported.tasks);
    let winners: Vec<Overview> = reported.judging.iter().map(Overview::of).collect();
    let page = Page {
        head: Head::of(reported),
        missing: head::missing(run),
        has_other_answers: winners.iter().any(|overview| overview.answer.is_some()),
        winners,
        pictures: pictures::all(reported),
        most_pictures: words::size(images::MOST_BYTES),
        subjects: reported.judging.iter().map(|judging| Subject::of(judging, tasks)).collect(),
        stages: progress::stages(tasks),
        timeline: Timeline::of(run, tasks, reported.events),
        costs: costs::grid(tasks),
        spent: costs::shares(tasks),
        events: timeline::events(run, reported.events),
    };
    Ok(page.render()?)
}
