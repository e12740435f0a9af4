//! The page: what the templates in `templates/` are filled with. Words and coordinates are made here; the templates escape them.

mod answers;
mod board;
mod costs;
mod grid;
mod head;
mod pictures;
mod progress;
mod review_part;
mod said;
mod scale;
mod score_part;
mod subject;
mod texts;
mod timeline;
mod vote_part;
mod words;

use acm2_domain::run::{Event, EventType};
use askama::Template;

use crate::{Failed, Reported, images};
use answers::Answers;
use grid::Grid;
use head::Head;
use pictures::Picture;
use progress::StageRow;
use subject::{Overview, Subject};
use timeline::Timeline;

pub use texts::{Texts, texts};

/// The longest text of a final answer or a winner that the page shows, in characters; the export has all of it.
pub const LONGEST_TEXT: usize = 20_000;
/// The longest text of another answer.
pub const LONGEST_OTHER_TEXT: usize = 4_000;
/// How many other answers to one subject can be read in the page.
const MOST_TEXTS_OF_SUBJECT: usize = 24;
/// How many to all subjects, each of which has as many of them; a run has no more subjects than that.
const MOST_TEXTS: usize = 100;
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
    /// What stands over them.
    winners_title: &'static str,
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
    let unjudged = if reported.judging.is_empty() { texts::unjudged(run) } else { Vec::new() };
    let judging = if reported.judging.is_empty() { &*unjudged } else { reported.judging };
    let by_key = texts::by_key(tasks);
    let most_texts = texts::most_of_subject(judging.len());
    let subject = |judging| Subject::of(judging, &Answers::of(judging, reported.combine), &by_key, most_texts);
    let overview = |judging| Overview::of(judging, &Answers::of(judging, reported.combine));
    let winners: Vec<Overview> = judging.iter().map(overview).filter(Overview::says_something).collect();
    let page = Page {
        head: Head::of(reported),
        missing: head::missing(run),
        winners_title: winners_title(&winners, run.status.is_terminal()),
        winners,
        pictures: pictures::all(reported),
        most_pictures: words::size(images::MOST_BYTES),
        subjects: judging.iter().map(subject).filter(|subject| !subject.is_empty()).collect(),
        stages: progress::stages(tasks),
        timeline: Timeline::of(run, tasks, reported.events),
        costs: costs::grid(tasks),
        spent: costs::shares(tasks),
        events: timeline::events(run, reported.events),
    };
    Ok(page.render()?)
}

/// What stands over the final answers and the winners.
fn winners_title(winners: &[Overview], is_over: bool) -> &'static str {
    let has_answer = winners.iter().any(|overview| overview.answer.is_some());
    let is_judged = winners.iter().any(|overview| overview.is_judged);
    match (has_answer, is_judged, winners.len() > 1) {
        (true, true, _) => "Final answer and winner",
        (true, false, false) => "Final answer",
        (true, false, true) => "Final answers",
        (false, _, false) if is_over => "Winner",
        (false, _, true) if is_over => "Winners",
        (false, _, false) => "Winner so far",
        (false, _, true) => "Winners so far",
    }
}
