//! A run as callers see it, put together from its row, its settled tasks and its plan. What the plan has and the tasks have not
//! is pending, or, once the run has ended, missing.

use acm2_domain::call::ErrorClass;
use acm2_domain::run::{
    DocumentRef, Missing, ModelSpec, Progress, Run, RunStatus, Task, TaskError, TaskStatus, Totals, display_cost,
};
use acm2_domain::stages::{self, NO_MODEL, PlannedTask};

use super::final_answers;
use super::row::RunRow;
use super::settled::Settled;
use super::tasks::TaskOutcome;

/// The run; with results, missing and totals where `settled` is given.
pub fn assemble(row: &RunRow, settled: Option<&Settled>) -> Run {
    let all = settled.map(|settled| {
        let of = |planned: PlannedTask<'_>| (planned.is_result, task(row, &planned, settled));
        stages::plan(&row.spec).into_iter().map(of).collect::<Vec<(bool, Task)>>()
    });
    let missing = all.as_ref().map(|all| {
        if row.status.is_terminal() {
            all.iter().filter_map(|(_, task)| missing_of(task)).collect()
        } else {
            Vec::new()
        }
    });
    let totals = all.as_ref().map(|all| Totals::of(all.iter().map(|(_, task)| task)));
    let results = all.map(|all| all.into_iter().filter(|(is_result, _)| *is_result).map(|(_, task)| task).collect());
    let cost_usd = (row.unknown_costs == 0).then_some(row.spent);
    Run {
        id: row.id,
        status: row.status,
        requested: row.requested,
        priority: row.spec.priority,
        queue: None,
        models: row.spec.models.iter().map(ModelSpec::full_name).collect(),
        progress: Progress {
            tasks_expected: row.tasks_expected,
            tasks_completed: row.tasks_completed,
            tasks_failed: row.tasks_failed,
        },
        totals,
        final_answers: settled.map(|settled| final_answers::unjudged(row, &settled.tasks)),
        missing,
        results,
        cost_usd,
        cost: display_cost(cost_usd),
        known_cost_usd: row.spent,
        in_doubt_usd: (row.unknown_doubts == 0).then_some(row.in_doubt),
        max_cost_usd: row.spec.max_cost_usd,
        preset: row.spec.preset,
        answers_of: row.spec.answers_of,
        spec_hash: row.spec_hash,
        metadata: row.metadata.clone(),
        tags: row.tags.clone(),
        problem: row.problem.clone(),
        last_event: row.last_event,
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        deadline_at: row.deadline_at,
    }
}

/// Tasks of the run: those that are planned, in this order.
pub fn assemble_tasks(row: &RunRow, plan: &[PlannedTask<'_>], settled: &Settled) -> Vec<Task> {
    plan.iter().map(|planned| task(row, planned, settled)).collect()
}

/// Who answers: a report of research is its writer's, though it is put together without a call.
fn answerer<'a>(run: &'a RunRow, planned: &PlannedTask<'a>) -> Option<&'a ModelSpec> {
    planned.model.or_else(|| if planned.is_result { stages::writer(&run.spec, &planned.key) } else { None })
}

fn task(run: &RunRow, planned: &PlannedTask<'_>, all: &Settled) -> Task {
    let settled = all.tasks.get(planned.key.as_str());
    let (cost_usd, cost_source) = all.cost(planned.key.as_str());
    let mut task = Task {
        key: planned.key.to_string(),
        document: planned.document_index.map(|index| DocumentRef::from(&run.spec.documents[index])),
        stage: planned.stage.to_owned(),
        model: answerer(run, planned).map_or_else(|| NO_MODEL.to_owned(), ModelSpec::full_name),
        iteration: planned.iteration,
        status: TaskStatus::Pending,
        text: None,
        artifacts: Vec::new(),
        finish_reason: None,
        usage: None,
        cost_usd,
        cost_source,
        latency_ms: None,
        provider_model: None,
        provider_request_id: None,
        attempts: settled.map_or(0, |settled| settled.attempts),
        error: None,
        finished_at: settled.map(|settled| settled.finished_at),
    };
    match settled.map(|settled| &settled.outcome) {
        Some(TaskOutcome::Answered(answer)) => {
            task.status = TaskStatus::Completed;
            task.text = Some(answer.text.clone());
            task.artifacts = answer.artifacts.iter().map(|artifact| artifact.seen(run.id)).collect();
            task.finish_reason = Some(answer.finish_reason);
            task.usage = answer.usage;
            task.latency_ms = Some(answer.latency_ms);
            task.provider_model.clone_from(&answer.provider_model);
            task.provider_request_id.clone_from(&answer.provider_request_id);
        }
        Some(TaskOutcome::Failed(error)) => {
            task.status = if error.class == ErrorClass::Skipped { TaskStatus::Skipped } else { TaskStatus::Failed };
            task.error = Some(error.clone());
        }
        None if run.status == RunStatus::Cancelled => {
            task.status = TaskStatus::Cancelled;
            task.error = Some(unsettled(ErrorClass::Cancelled, "the run was cancelled before this task had an answer"));
        }
        None if run.status.is_terminal() => {
            task.status = TaskStatus::Failed;
            task.error = run.problem.as_ref().map(|problem| {
                let class = match problem.code.as_str() {
                    "deadline_exceeded" => ErrorClass::DeadlineExceeded,
                    _ => ErrorClass::Poisoned,
                };
                unsettled(class, &problem.detail)
            });
        }
        None => {}
    }
    task
}

fn unsettled(class: ErrorClass, message: &str) -> TaskError {
    TaskError { class, message: message.to_owned(), http_status: None, provider_code: None }
}

fn missing_of(task: &Task) -> Option<Missing> {
    let error = task.error.as_ref();
    (task.status != TaskStatus::Completed).then(|| Missing {
        key: task.key.clone(),
        model: task.model.clone(),
        class: error.map(|error| error.class),
        reason: error.map_or_else(|| "it was never started".to_owned(), |error| error.message.clone()),
    })
}
