//! The run itself: its calls and its events.

use acm2_domain::run::{Event, Task};

use super::{Cell, Rows};
use crate::Reported;
use crate::archive::answer_name;

/// Every call, with its cost and the file of its answer.
pub(super) fn tasks(reported: Reported<'_>) -> Rows<'_> {
    let columns = vec![
        "task_key",
        "stage",
        "document_id",
        "document",
        "model",
        "iteration",
        "status",
        "finish_reason",
        "cost_usd",
        "cost_source",
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "latency_ms",
        "attempts",
        "error_class",
        "error_message",
        "finished_at",
        "file",
    ];
    let results = reported.run.results.as_deref().unwrap_or_default();
    let file = |key: &str| results.iter().position(|result| result.key == key);
    (columns, reported.tasks.iter().map(|task| row(file(&task.key), task)).collect())
}

fn row(file: Option<usize>, task: &Task) -> Vec<Cell<'_>> {
    let count = |count: Option<u64>| count.map_or(Cell::None, Cell::Count);
    vec![
        Cell::Text(&task.key),
        Cell::Text(&task.stage),
        Cell::word(task.document.as_ref().map(|document| document.id)),
        Cell::text(task.document.as_ref().map(|document| &*document.name)),
        Cell::Text(&task.model),
        Cell::Count(task.iteration.into()),
        Cell::word(Some(task.status)),
        Cell::word(task.finish_reason),
        Cell::word(task.cost_usd),
        Cell::word(task.cost_source),
        count(task.usage.map(|usage| usage.input_tokens)),
        count(task.usage.map(|usage| usage.output_tokens)),
        count(task.usage.map(|usage| usage.reasoning_tokens)),
        count(task.latency_ms),
        Cell::Count(task.attempts.into()),
        Cell::word(task.error.as_ref().map(|error| error.class)),
        Cell::text(task.error.as_ref().map(|error| &*error.message)),
        Cell::word(task.finished_at),
        file.and_then(|at| answer_name(at, task)).map_or(Cell::None, Cell::Word),
    ]
}

/// The columns of events.
pub(super) const EVENT_COLUMNS: [&str; 4] = ["number", "type", "at", "data"];

/// These events.
pub(super) fn events(events: &[Event]) -> Vec<Vec<Cell<'_>>> {
    let row = |event: &Event| {
        vec![
            Cell::Count(event.number),
            Cell::Word(event.event_type.as_str().to_owned()),
            Cell::word(Some(event.at)),
            Cell::Word(event.data.to_string()),
        ]
    };
    events.iter().map(row).collect()
}
