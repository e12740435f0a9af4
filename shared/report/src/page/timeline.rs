//! When each call was under way, by stage and model, and what happened to the run besides.

use acm2_domain::run::{Event, Run, Task};
use acm2_domain::stages::GENERATE;
use chrono::{DateTime, TimeDelta, Utc};

use super::grid::{self, Cell, Grid, GridRow};
use super::scale::{Scale, place};
use super::{MOST_EVENTS, lists, words};

/// How many bars the page draws at most: more would only cover each other.
const MOST_BARS: usize = 5_000;
/// A call is seen however short it was.
const THINNEST: f64 = 2.0;

/// The calls of a run over time.
#[derive(Debug)]
pub(super) struct Timeline {
    /// A lane for each stage and model.
    pub(super) lanes: Vec<Lane>,
    /// Times since the start at the left end, in the middle and at the right end.
    pub(super) ticks: Vec<String>,
    /// Calls that are not drawn.
    pub(super) left_out: usize,
}

/// The calls of one stage to one model.
#[derive(Debug)]
pub(super) struct Lane {
    /// The stage.
    pub(super) stage: String,
    /// The model.
    pub(super) model: String,
    /// How many calls, and from when to when, in words.
    pub(super) said: String,
    /// Each call: its left end, its width, its class.
    pub(super) bars: Vec<(String, String, &'static str)>,
}

/// From when to when a task's answered attempt was under way; of a task without an answer, when it was settled.
fn span(task: &Task) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let end = task.finished_at?;
    let took = TimeDelta::milliseconds(i64::try_from(task.latency_ms.unwrap_or_default()).unwrap_or_default());
    Some((end.checked_sub_signed(took).unwrap_or(end), end))
}

impl Timeline {
    /// None where no task is settled yet.
    pub(super) fn of(run: &Run, tasks: &[Task], events: &[Event]) -> Option<Self> {
        // Answers that were taken over came in the other run's time.
        let is_own = |task: &&Task| run.answers_of.is_none() || task.stage != GENERATE;
        let own = tasks.iter().filter(is_own);
        let spans: Vec<(&Task, DateTime<Utc>, DateTime<Utc>)> =
            own.filter_map(|task| span(task).map(|(start, end)| (task, start, end))).collect();
        let first = spans.iter().map(|(_, start, _)| *start).min()?;
        let start = run.started_at.map_or(first, |started| started.min(first));
        let last = spans.iter().map(|(.., end)| *end).max()?;
        let end = run.finished_at.or_else(|| events.last().map(|event| event.at)).map_or(last, |end| end.max(last));
        let since = |at: DateTime<Utc>| (at - start).num_milliseconds() as f64;
        let scale = Scale::new(0.0, since(end).max(1.0));
        let mut lanes: Vec<(Lane, usize, DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for (at, (task, from, to)) in spans.iter().enumerate() {
            let stage = &*task.stage;
            let found = lanes.iter().position(|(lane, ..)| lane.stage == stage && lane.model == task.model);
            let index = found.unwrap_or_else(|| {
                let lane =
                    Lane { stage: stage.to_owned(), model: task.model.clone(), said: String::new(), bars: Vec::new() };
                lanes.push((lane, 0, *from, *to));
                lanes.len() - 1
            });
            let Some((lane, calls, first, last)) = lanes.get_mut(index) else { continue };
            *calls += 1;
            (*first, *last) = ((*first).min(*from), (*last).max(*to));
            if at < MOST_BARS {
                let (left, right) = (scale.at(since(*from)), scale.at(since(*to)));
                let width = (right - left).max(THINNEST);
                let left = left.min(super::scale::WIDTH - width);
                lane.bars.push((place(left), place(width), words::status(task.status)));
            }
        }
        let said = |(mut lane, calls, first, last): (Lane, usize, DateTime<Utc>, DateTime<Utc>)| {
            let (from, to) = (words::duration(first - start), words::duration(last - start));
            lane.said = format!("{calls} {}, {from} to {to}", if calls == 1 { "call" } else { "calls" });
            lane
        };
        let middle = TimeDelta::milliseconds((end - start).num_milliseconds() / 2);
        Some(Self {
            ticks: [TimeDelta::zero(), middle, end - start].map(words::duration).to_vec(),
            left_out: spans.len().saturating_sub(MOST_BARS),
            lanes: lanes.into_iter().map(said).collect(),
        })
    }
}

/// The events that the page lists.
pub(super) fn events(run: &Run, events: &[Event]) -> Option<Grid> {
    let start = run.created_at;
    let row = |event: &Event| {
        let data = if event.data.as_object().is_some_and(serde_json::Map::is_empty) {
            String::new()
        } else {
            words::cut(&event.data.to_string(), 300).0.to_owned()
        };
        let cells = vec![Cell::plain(words::duration(event.at - start)), Cell::wide(data)];
        GridRow::plain(event.event_type.as_str(), cells)
    };
    let rows: Vec<GridRow> = events.iter().filter(|event| lists(event)).take(MOST_EVENTS).map(row).collect();
    let columns = grid::columns(&["after", "particulars"]);
    (!rows.is_empty()).then_some(Grid { corner: "Event", columns, rows })
}
