//! What was expected of each stage, and what came.

use acm2_domain::run::{Task, TaskStatus};

use super::scale::{Scale, place};
use super::words;

/// A stage.
#[derive(Debug)]
pub(super) struct StageRow {
    /// Its name.
    pub(super) name: String,
    /// What came of what was expected, in words.
    pub(super) said: String,
    /// The same as parts of a bar: its left end, its width, its class.
    pub(super) parts: Vec<(String, String, &'static str)>,
}

const STATUSES: [TaskStatus; 5] =
    [TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Skipped, TaskStatus::Cancelled, TaskStatus::Pending];

/// Every stage, in the order of the run. Bars are as long as what was expected, beside the stage of which most was.
pub(super) fn stages(tasks: &[Task]) -> Vec<StageRow> {
    let names = names(tasks);
    let of = |name: &str| tasks.iter().filter(|task| task.stage == name).collect::<Vec<&Task>>();
    let most = names.iter().map(|name| of(name).len()).max().unwrap_or_default();
    let scale = Scale::new(0.0, most as f64);
    names.iter().map(|name| row(name, &of(name), scale)).collect()
}

/// The stages that the run's tasks belong to, in their order.
pub(super) fn names(tasks: &[Task]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for task in tasks {
        let stage = &*task.stage;
        if !names.contains(&stage) {
            names.push(stage);
        }
    }
    names
}

fn row(name: &str, tasks: &[&Task], scale: Scale) -> StageRow {
    let mut parts = Vec::new();
    let mut left = 0.0;
    let mut others = Vec::new();
    for status in STATUSES {
        let count = tasks.iter().filter(|task| task.status == status).count();
        if count == 0 {
            continue;
        }
        let width = scale.at(count as f64);
        parts.push((place(left), place(width), words::status(status)));
        left += width;
        if status != TaskStatus::Completed {
            others.push(format!("{count} {}", words::status(status)));
        }
    }
    let completed = tasks.iter().filter(|task| task.status == TaskStatus::Completed).count();
    let others = if others.is_empty() { String::new() } else { format!(", {}", others.join(", ")) };
    StageRow { name: name.to_owned(), said: format!("{completed} of {}{others}", tasks.len()), parts }
}
