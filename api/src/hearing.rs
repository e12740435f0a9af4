//! What judges said about the answers of a run, put together subject by subject, so that the texts of one are in memory at a time.
//! What is longer than a process can hold for everybody is refused. Called by `outcome`.

use std::collections::BTreeMap;
use std::sync::Arc;

use acm2_domain::content_hash::ContentHash;
use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::RunId;
use acm2_domain::journal::TaskKey;
use acm2_domain::judged::{Detail, Judging};
use acm2_domain::stages::{self, PlannedTask, Subject};
use acm2_store::runs::{self, RunRow, TaskOutcome, TaskRow};

use crate::auth::Caller;
use crate::outcome::{compute, defect};
use crate::problem::Failure;
use crate::turns::Turn;

/// As many bytes as the judges of a run may say, and as the answers to one subject may have, to be put together.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The code of what is longer.
pub(crate) const TOO_LARGE: &str = "judging_too_large";

/// How the answers of a run were judged, by subject.
///
/// # Errors
/// [`TOO_LARGE`].
pub(crate) async fn hear(
    caller: &Caller,
    turn: &Arc<Turn>,
    row: &Arc<RunRow>,
    detail: Detail,
) -> Result<Vec<Judging>, Failure> {
    let subjects: Vec<Subject> = stages::judged_subjects(&row.spec).collect();
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let mut plan = stages::plan(&row.spec);
    plan.retain(stages::is_heard);
    bound(&plan, &measure(caller, row.id, &plan).await?, MOST_BYTES)?;
    let mut judging = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let keys = plan.iter().filter(|task| task.document_index == subject.document_index);
        let tasks = read(caller, row.id, keys.map(|task| task.key.as_str()).collect()).await?;
        let row = Arc::clone(row);
        judging.push(compute(turn, move || judged(&row, subject, &tasks, detail)).await?);
    }
    Ok(judging)
}

/// How long the texts of these tasks are.
pub(crate) async fn measure(
    caller: &Caller,
    run: RunId,
    plan: &[PlannedTask<'_>],
) -> Result<BTreeMap<String, u64>, Failure> {
    let tx = caller.store().begin().await?;
    let sizes = runs::measure_texts(&tx, run, plan.iter().map(|task| task.key.as_str())).await?;
    tx.commit().await?;
    Ok(sizes)
}

/// Refuses what is too long.
fn bound(plan: &[PlannedTask<'_>], sizes: &BTreeMap<String, u64>, most: u64) -> Result<(), Error> {
    let mut said = 0_u64;
    let mut answers: BTreeMap<Option<usize>, u64> = BTreeMap::new();
    for task in plan {
        let bytes = sizes.get(task.key.as_str()).copied().unwrap_or(0);
        let sum =
            if stages::is_said_by_a_judge(task) { &mut said } else { answers.entry(task.document_index).or_default() };
        *sum = sum.saturating_add(bytes);
    }
    let what = if said > most {
        "what the judges of this run said"
    } else if answers.values().any(|bytes| *bytes > most) {
        "the answers to one document of this run"
    } else {
        return Ok(());
    };
    let detail = format!(
        "{what} come to more than {most} bytes, too many to be put together; export the run, which has all texts"
    );
    Err(Error::new(Kind::Conflict, TOO_LARGE, detail))
}

/// Some tasks of a run that is there.
async fn read(caller: &Caller, run: RunId, keys: Vec<&str>) -> Result<BTreeMap<String, TaskRow>, Failure> {
    let tx = caller.store().begin().await?;
    // It may have been deleted since it was looked at.
    runs::find_mark(&tx, run).await?.ok_or_else(|| Error::not_found("run"))?;
    let tasks = runs::list_some_tasks(&tx, run, keys).await?;
    tx.commit().await?;
    Ok(tasks)
}

fn judged(row: &RunRow, subject: Subject, tasks: &BTreeMap<String, TaskRow>, detail: Detail) -> Result<Judging, Error> {
    let find = |key: &TaskKey, question: Option<ContentHash>| match &tasks.get(key.as_str())?.outcome {
        TaskOutcome::Answered(answer) if question.is_some() && answer.question != question => None,
        TaskOutcome::Answered(answer) => Some(answer.text.clone()),
        TaskOutcome::Failed(_) => None,
    };
    let judgements = stages::judgements_of(&row.spec, subject, &find);
    let judging = Judging::of(&judgements, detail).map_err(|error| defect(&error))?;
    Ok(Judging { final_answer: runs::final_answer(row, subject, tasks), ..judging })
}

#[cfg(test)]
mod tests {
    use acm2_domain::prices::Prices;
    use acm2_domain::run::NewRun;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_long_to_be_put_together_is_refused_with_the_way_out() {
        let body = json!({
            "prompt": "hi", "models": ["sandbox/a", "sandbox/b"],
            "documents": [{"name": "one", "text": "x"}, {"name": "two", "text": "y"}],
            "stages": {"evaluate": {"judges": ["sandbox/j"]}},
        });
        let spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap();
        let plan = stages::plan(&spec);
        // Two answers and two judgements of each document.
        let sizes = |answer: u64, judgement: u64| {
            let bytes = |task: &PlannedTask<'_>| if stages::is_said_by_a_judge(task) { judgement } else { answer };
            plan.iter().map(|task| (task.key.to_string(), bytes(task))).collect::<BTreeMap<String, u64>>()
        };
        assert_eq!(bound(&plan, &sizes(50, 25), 100), Ok(()));
        for (sizes, what) in [(sizes(51, 25), "the answers to one document"), (sizes(50, 26), "what the judges")] {
            let error = bound(&plan, &sizes, 100).unwrap_err();
            assert_eq!((error.kind, error.code), (Kind::Conflict, "judging_too_large"));
            assert!(error.detail.starts_with(what) && error.detail.contains("export"), "{}", error.detail);
        }
        assert_eq!(bound(&plan, &BTreeMap::new(), 100), Ok(()));
    }
}
