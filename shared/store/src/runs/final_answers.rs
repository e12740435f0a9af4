//! The final answers of a run, by the same rule wherever one is named or used: in views, in reports, in conversations. A run has none
//! before it has ended with an answer.

use std::collections::BTreeMap;

use acm2_domain::content_hash::ContentHash;
use acm2_domain::journal::TaskKey;
use acm2_domain::run::{FinalAnswer, RunStatus};
use acm2_domain::stages::{self, Subject};

use super::row::RunRow;
use super::tasks::{TaskOutcome, TaskRow};

/// The final answer to a subject of a run with these tasks.
pub fn final_answer(row: &RunRow, subject: Subject, tasks: &BTreeMap<String, TaskRow>) -> Option<FinalAnswer> {
    let find = |key: &TaskKey, question: Option<ContentHash>| text_of(tasks, key, question);
    if has_answered(row) { stages::final_answer(&row.spec, subject, &find) } else { None }
}

/// Those final answers for which nothing is needed that judges said: `tasks` may lack their texts.
pub(super) fn unjudged(row: &RunRow, tasks: &BTreeMap<String, TaskRow>) -> Vec<FinalAnswer> {
    let find = |key: &TaskKey, question: Option<ContentHash>| text_of(tasks, key, question);
    if !has_answered(row) {
        return Vec::new();
    }
    Subject::all(&row.spec).filter_map(|subject| stages::unjudged_final_answer(&row.spec, subject, &find)).collect()
}

const fn has_answered(row: &RunRow) -> bool {
    matches!(row.status, RunStatus::Completed | RunStatus::CompletedWithErrors)
}

/// The answer of a task; `None` where it has none, or one to another question.
pub(super) fn text_of(
    tasks: &BTreeMap<String, TaskRow>,
    key: &TaskKey,
    question: Option<ContentHash>,
) -> Option<String> {
    match &tasks.get(key.as_str())?.outcome {
        TaskOutcome::Answered(answer) if question.is_none() || answer.question == question => Some(answer.text.clone()),
        TaskOutcome::Answered(_) | TaskOutcome::Failed(_) => None,
    }
}
