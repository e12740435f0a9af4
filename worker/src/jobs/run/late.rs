//! What came to a call after its run was lost: kept with the attempt by whoever made the call, used by whoever has the run now
//! (PROTOCOL rule 7).

use acm2_domain::call::{Call, ErrorClass};
use acm2_domain::journal::{TaskAnswer, TaskFailure, TaskKey};
use acm2_domain::run::{EventType, NewEvent, TaskError};
use acm2_store::runs::{self, AttemptOutcome, Change, StoredAnswer, TaskOutcome};
use futures_util::FutureExt;
use serde_json::json;

use super::attempt::OpenAttempt;
use super::journal::RunCalls;
use super::stage_events::About;
use crate::context::Trouble;

/// What came of a call whose run was lost meanwhile.
#[derive(Clone, Copy)]
pub(super) enum Late<'a> {
    Answer(&'a StoredAnswer),
    /// An answer that cannot be used and after which nobody would have asked again: the task fails by it, so it is kept like one.
    Unusable(&'a StoredAnswer, &'a AttemptOutcome),
    /// A failure that cannot have cost anything, or an answer that cannot be used, at its cost, after which is asked again.
    Failure(&'a AttemptOutcome),
}

/// Writes down what came late, with the attempt: it is in doubt no longer.
pub(super) async fn keep(run: &RunCalls, attempt: &OpenAttempt, came: Late<'_>) {
    let context = &run.context;
    let kept = context
        .stored(|_| {
            async move {
                let (run_id, now) = (run.control.fence.run, context.clock.now());
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                let stood = match came {
                    Late::Answer(answer) => runs::settle_late(&tx, run_id, attempt.id, answer, None, now).await?,
                    Late::Unusable(answer, outcome) => {
                        runs::settle_late(&tx, run_id, attempt.id, answer, Some(outcome), now).await?
                    }
                    Late::Failure(outcome) => runs::settle_late_failure(&tx, run_id, attempt.id, outcome, now).await?,
                };
                if stood {
                    tx.commit().await?;
                }
                Ok(stood)
            }
            .boxed()
        })
        .await;
    match kept {
        Ok(true) => {}
        Ok(false) => tracing::warn!(attempt.id = %attempt.id, "what came late was settled before"),
        Err(trouble) => tracing::error!(%trouble, attempt.id = %attempt.id, "what came late could not be kept"),
    }
}

/// Uses an answer that came late to an earlier claim, if there still is one. Where it is not what was expected, the task fails:
/// it is paid for, and nobody is left who could have asked at once what was meant.
pub(super) async fn find_and_use(
    run: &RunCalls,
    key: &TaskKey,
    call: &Call,
) -> Result<Option<Result<TaskAnswer, TaskFailure>>, Trouble> {
    let context = &run.context;
    let used = context
        .stored(|tried| {
            async move {
                let now = context.clock.now();
                let fence = run.control.fence;
                let mut stages = run.stage_events.turn().await;
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                if tried > 0 {
                    // The row is locked before an earlier try is looked for: its commit may be on the way.
                    runs::write(&tx, fence, Change::default(), &[], now).await?;
                }
                if let Some(settled) = runs::find_task(&tx, fence.run, key).await? {
                    // An earlier try of this transaction did it.
                    return Ok(Some(told(settled.outcome)));
                }
                let Some((attempt, number, answer)) =
                    runs::find_late_answer(&tx, fence.run, key, call.question, run.retry_claim).await?
                else {
                    return Ok(None);
                };
                let defect = call.defect_of(&answer.text, answer.finish_reason);
                let (outcome, change, event) = match defect {
                    None => (
                        TaskOutcome::Answered(answer.clone()),
                        Change { completed: 1, ..Change::default() },
                        NewEvent::new(
                            EventType::TaskCompleted,
                            json!({"task_key": key.as_str(), "cost_usd": answer.cost, "late": true}),
                        ),
                    ),
                    Some(defect) => {
                        let class = ErrorClass::UnusableAnswer;
                        let message = format!("the answer, which came late, cannot be used: {defect}");
                        let event = json!({
                            "task_key": key.as_str(), "class": class, "message": message, "cost_usd": answer.cost, "late": true,
                        });
                        // It is no late answer any more: whoever tries again asks again.
                        runs::refuse_late_answer(&tx, attempt, class, &message).await?;
                        let error = TaskError { class, message, http_status: None, provider_code: None };
                        (
                            TaskOutcome::Failed(error),
                            Change { failed: 1, ..Change::default() },
                            NewEvent::new(EventType::TaskFailed, event),
                        )
                    }
                };
                let about = About { settled: vec![key], ..About::default() };
                let events = stages.tell(run, &tx, vec![event], about).await?;
                runs::write(&tx, fence, change, &events, now).await?;
                match runs::insert_task(&tx, fence.run, key, &outcome, number, now).await {
                    Ok(()) => {}
                    // A command has left it out.
                    Err(error) if error.is_conflict() => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
                tx.commit().await?;
                stages.committed();
                context.progress.grew(fence.run);
                Ok(Some(told(outcome)))
            }
            .boxed()
        })
        .await?;
    if let Some(Ok(answer)) = &used {
        run.held.add_late(&answer.text);
    }
    Ok(used)
}

fn told(outcome: TaskOutcome) -> Result<TaskAnswer, TaskFailure> {
    match outcome {
        TaskOutcome::Answered(answer) => Ok(TaskAnswer { text: answer.text, finish_reason: answer.finish_reason }),
        TaskOutcome::Failed(error) => Err(TaskFailure::Failed(error.class)),
    }
}
