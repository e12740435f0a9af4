//! Tasks that are settled without a call: what they are about is missing, or their answer is known without a model. They rest on
//! answers that the stages have seen, so they are written after all that was handed in before.

use std::sync::atomic::Ordering;

use acm2_domain::call::{CostSource, ErrorClass, FinishReason};
use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::RunId;
use acm2_domain::journal::{TaskAnswer, TaskFailure, TaskKey};
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, NewEvent, TaskError};
use acm2_store::runs::{self, Change, NewTask, StoredAnswer, TaskOutcome};
use acm2_store::{StoreError, TenantTx};
use futures_util::FutureExt;
use serde_json::json;

use super::journal::RunCalls;
use super::stage_events::About;
use crate::context::Trouble;

/// Tasks that go into one transaction at most.
const MOST: usize = 200;

/// Settles these tasks as failed, those that are settled already left aside.
pub(super) async fn fail(run: &RunCalls, keys: Vec<TaskKey>, class: ErrorClass, reason: &str) -> Result<(), Trouble> {
    let error = TaskError { class, message: reason.to_owned(), http_status: None, provider_code: None };
    write(run, keys, TaskOutcome::Failed(error)).await
}

/// Settles these tasks with this answer, those that are settled already left aside, unless they answered another question.
pub(super) async fn keep(
    run: &RunCalls,
    keys: Vec<TaskKey>,
    question: Option<ContentHash>,
    text: String,
) -> Result<(), Trouble> {
    for key in &keys {
        forget_another(run, key, question).await?;
    }
    let answer = StoredAnswer {
        question,
        // As it will be read.
        text: text.replace('\0', "\u{fffd}"),
        artifacts: Vec::new(),
        finish_reason: FinishReason::Stop,
        usage: None,
        cost: Some(Usd::ZERO),
        cost_source: CostSource::Reported,
        provider_model: None,
        provider_request_id: None,
        latency_ms: 0,
    };
    write(run, keys, TaskOutcome::Answered(answer)).await
}

/// Takes away the answer of a task that was asked another question than this one: before a retry brought other answers to ask
/// about. What it cost stays counted.
pub(super) async fn forget_another(
    run: &RunCalls,
    key: &TaskKey,
    question: Option<ContentHash>,
) -> Result<(), Trouble> {
    if run.find_settled(key, None).is_none() || run.find_settled(key, question).is_some() {
        return Ok(());
    }
    // The other question rests on answers that the stages have seen: only when they are written is this one none any more.
    let quiet = run.writer.quiet(run).await;
    if is_doubtful(run) {
        return Err(Trouble::Ending);
    }
    let context = &run.context;
    let forgotten = context.stored(|_| {
        async move {
            let (now, fence) = (context.clock.now(), run.control.fence);
            let mut stages = run.stage_events.turn().await;
            let tx = context.store.tenant(run.tenant_id()).begin().await?;
            let change = Change { forgotten: 1, ..Change::default() };
            runs::write(&tx, fence, change, &[], now).await?;
            // Where it is not there, an earlier try of this transaction did it.
            stages.reopen(key);
            if runs::forget_task(&tx, fence.run, key).await? {
                tx.commit().await?;
                stages.committed();
            }
            Ok(())
        }
        .boxed()
    });
    forgotten.await?;
    drop(quiet);
    run.forget(key);
    Ok(())
}

/// Whether what the stages have seen may not have been written.
fn is_doubtful(run: &RunCalls) -> bool {
    run.control.cause().is_some() || run.unkept.load(Ordering::Relaxed)
}

fn settle(run: &RunCalls, key: &TaskKey, outcome: &TaskOutcome) {
    if let TaskOutcome::Answered(answer) = outcome {
        run.held.add_uncalled(&answer.text);
    }
    run.settle(key, told(outcome));
}

async fn write(run: &RunCalls, mut keys: Vec<TaskKey>, outcome: TaskOutcome) -> Result<(), Trouble> {
    keys.retain(|key| run.find_settled(key, None).is_none());
    let _quiet = run.writer.quiet(run).await;
    if is_doubtful(run) {
        return Err(Trouble::Ending);
    }
    for some in keys.chunks(MOST) {
        if write_all(run, some, &outcome).await? {
            for key in some {
                settle(run, key, &outcome);
            }
            continue;
        }
        // A command has left out some of them meanwhile.
        for key in some {
            let is_written = write_all(run, std::slice::from_ref(key), &outcome).await?;
            if is_written {
                settle(run, key, &outcome);
            } else {
                run.control.skips.skip(vec![key.to_string()]);
                run.settle(key, Err(TaskFailure::Failed(ErrorClass::Skipped)));
            }
        }
    }
    // What these would have reserved is left to the others.
    for key in &keys {
        run.shares.take(key);
    }
    Ok(())
}

fn told(outcome: &TaskOutcome) -> Result<TaskAnswer, TaskFailure> {
    match outcome {
        TaskOutcome::Answered(answer) => {
            Ok(TaskAnswer { text: answer.text.clone(), finish_reason: answer.finish_reason })
        }
        TaskOutcome::Failed(error) => Err(TaskFailure::Failed(error.class)),
    }
}

/// Whether all of them are written; nothing is where one of them is settled.
async fn write_all(run: &RunCalls, keys: &[TaskKey], outcome: &TaskOutcome) -> Result<bool, Trouble> {
    let context = &run.context;
    let tasks: Vec<NewTask> =
        keys.iter().map(|key| NewTask { key: key.clone(), outcome: outcome.clone(), attempts: 0 }).collect();
    let events: Vec<NewEvent> = keys.iter().map(|key| event(key, outcome)).collect();
    let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    let change = match outcome {
        TaskOutcome::Answered(_) => Change { completed: count, ..Change::default() },
        TaskOutcome::Failed(_) => Change { failed: count, ..Change::default() },
    };
    context
        .stored(|tried| {
            let (tasks, events) = (&tasks, &events);
            async move {
                let (now, fence) = (context.clock.now(), run.control.fence);
                let mut stages = run.stage_events.turn().await;
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                let about = About { settled: keys.iter().collect(), ..About::default() };
                let events = stages.tell(run, &tx, events.clone(), about).await?;
                let fenced = runs::write(&tx, fence, change, &events, now).await?;
                if tried > 0 && was_written(&tx, fence.run, tasks).await? {
                    // An earlier try of this transaction did it.
                    return Ok(true);
                }
                match runs::insert_tasks(&tx, fence.run, tasks, now).await {
                    Ok(()) => {}
                    Err(error) if error.is_conflict() => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
                tx.commit().await?;
                stages.committed();
                context.progress.grew(fence.run);
                run.control.obey(fenced.orders);
                Ok(true)
            }
            .boxed()
        })
        .await
}

/// Whether an earlier try of this transaction was applied: all of them are settled, and no command can have done all that.
async fn was_written(tx: &TenantTx, run: RunId, tasks: &[NewTask]) -> Result<bool, StoreError> {
    for task in tasks {
        match runs::find_task(tx, run, &task.key).await?.map(|row| row.outcome) {
            Some(TaskOutcome::Failed(error)) if error.class == ErrorClass::Skipped => return Ok(false),
            Some(_) => {}
            None => return Ok(false),
        }
    }
    Ok(true)
}

fn event(key: &TaskKey, outcome: &TaskOutcome) -> NewEvent {
    match outcome {
        TaskOutcome::Answered(answer) => {
            NewEvent::new(EventType::TaskCompleted, json!({"task_key": key.as_str(), "cost_usd": answer.cost}))
        }
        TaskOutcome::Failed(error) => NewEvent::new(
            EventType::TaskFailed,
            json!({"task_key": key.as_str(), "class": error.class, "message": error.message}),
        ),
    }
}
