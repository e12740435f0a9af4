//! Writing down what came of an attempt: answer, money, event, task in one fenced transaction (PROTOCOL rules 6, 7), together
//! with what else the run has to write where that is plain, else by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use acm2_domain::call::{Answer, Call, CallError, ErrorClass};
use acm2_domain::journal::{TaskAnswer, TaskKey};
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, NewEvent, TaskError};
use acm2_store::runs::{self, AttemptOutcome, Change, NewTask, Orders, StoredAnswer, TaskOutcome};
use chrono::TimeDelta;
use futures_util::FutureExt;
use serde_json::json;

use super::attempt::{OpenAttempt, Unusable};
use super::control::StopCause;
use super::images::Room;
use super::journal::RunCalls;
use super::key_notes;
use super::late::{self, Late};
use super::route::Refusal;
use super::stage_events::About;
use super::writer::{HandedIn, Write, Written};
use crate::context::Trouble;

/// What came of an attempt, and of its task where it is settled with it.
pub(super) struct Settling {
    pub(super) attempt: OpenAttempt,
    pub(super) outcome: AttemptOutcome,
    pub(super) change: Change,
    pub(super) event: Option<NewEvent>,
    pub(super) task: Option<NewTask>,
}

impl Settling {
    /// How much text and how many bytes of artifacts it holds.
    pub(super) fn bytes(&self) -> usize {
        match self.task.as_ref().map(|task| &task.outcome) {
            Some(TaskOutcome::Answered(answer)) => answer.held_bytes(),
            Some(TaskOutcome::Failed(_)) | None => 0,
        }
    }

    /// The same where a command has left the task out meanwhile: only the attempt and the money count.
    fn without_task(&self) -> Self {
        let failed = self.event.clone().filter(|_| self.outcome.error_class.is_some());
        Self {
            attempt: self.attempt.clone(),
            outcome: self.outcome.clone(),
            change: Change { completed: 0, failed: 0, ..self.change },
            event: failed.map(|event| NewEvent { event_type: EventType::AttemptFailed, ..event }),
            task: None,
        }
    }
}

/// Held while an answer that the stages see already is written; dropped before it is, by a panic too, it says so.
struct Unkept<'a>(Option<&'a RunCalls>);

impl Drop for Unkept<'_> {
    fn drop(&mut self) {
        if let Some(run) = self.0 {
            run.unkept.store(true, Ordering::Relaxed);
        }
    }
}

/// Hands in an answer. Intents that are handed in after this returns are committed with it or after it; if the run is lost
/// meanwhile, the answer is kept with its attempt for whoever has it then.
pub(super) fn answered(
    run: &Arc<RunCalls>,
    key: &TaskKey,
    call: &Call,
    attempt: OpenAttempt,
    answer: &Answer,
    number: u32,
    room: Room,
) -> TaskAnswer {
    let cost = run.context.prices.cost(&call.provider, &call.model, answer);
    let stored = StoredAnswer { question: call.question, ..StoredAnswer::of(answer, cost) };
    let seen = TaskAnswer { text: stored.text.clone(), finish_reason: stored.finish_reason };
    let settling = Arc::new(Settling {
        outcome: AttemptOutcome {
            provider_request_id: stored.provider_request_id.clone(),
            cost: cost.amount,
            ..AttemptOutcome::default()
        },
        change: Change { completed: 1, ..paid(&attempt, cost.amount) },
        event: Some(completed_event(key, call, &stored)),
        task: Some(NewTask { key: key.clone(), outcome: TaskOutcome::Answered(stored), attempts: number }),
        attempt,
    });
    let handed_in = run.writer.hand_in(Write::Settling(Arc::clone(&settling)));
    let run_calls = Arc::clone(run);
    run.writes.spawn(async move {
        // Until it is written, or kept.
        let _room = room;
        let mut unkept = Unkept(Some(&run_calls));
        match write(&run_calls, &settling, handed_in).await {
            Ok(()) => unkept.0 = None,
            Err(trouble) => {
                run_calls.control.trouble(&trouble);
                let Trouble::Lost = trouble else { return };
                // Whoever has the run now neither needs this answer nor rests on it.
                unkept.0 = None;
                if let Some(NewTask { outcome: TaskOutcome::Answered(answer), .. }) = &settling.task {
                    late::keep(&run_calls, &settling.attempt, Late::Answer(answer)).await;
                }
            }
        }
    });
    seen
}

/// Commits that an answer is paid for and cannot be used; with `again`, another attempt follows, else the task has failed.
pub(super) async fn unusable(
    run: &RunCalls,
    key: &TaskKey,
    call: &Call,
    unusable: Unusable,
    number: u32,
    again: bool,
) -> Result<(), Trouble> {
    let message = unusable.message();
    let Unusable { open: attempt, answer, .. } = unusable;
    let cost = run.context.prices.cost(&call.provider, &call.model, &answer);
    let class = ErrorClass::UnusableAnswer;
    let event = NewEvent::new(
        if again { EventType::AttemptFailed } else { EventType::TaskFailed },
        json!({
            "task_key": key.as_str(),
            "attempt": number,
            "class": class,
            "message": message,
            "cost_usd": cost.amount,
            "retry_in_ms": again.then_some(0),
        }),
    );
    let error = TaskError { class, message: message.clone(), http_status: None, provider_code: None };
    let settling = Arc::new(Settling {
        outcome: AttemptOutcome {
            error_class: Some(class),
            error_message: Some(message),
            provider_request_id: answer.provider_request_id.clone(),
            cost: cost.amount,
            ..AttemptOutcome::default()
        },
        change: Change { failed: u32::from(!again), ..paid(&attempt, cost.amount) },
        event: Some(event),
        task: (!again).then(|| NewTask { key: key.clone(), outcome: TaskOutcome::Failed(error), attempts: number }),
        attempt,
    });
    let handed_in = run.writer.hand_in(Write::Settling(Arc::clone(&settling)));
    match write(run, &settling, handed_in).await {
        Err(Trouble::Lost) => {
            let kept = StoredAnswer { question: call.question, ..StoredAnswer::of(&answer, cost) };
            let outcome = &settling.outcome;
            let came = if again { Late::Failure(outcome) } else { Late::Unusable(&kept, outcome) };
            late::keep(run, &settling.attempt, came).await;
            Err(Trouble::Lost)
        }
        written => written,
    }
}

/// What the cost of an answer moves.
fn paid(attempt: &OpenAttempt, cost: Option<Usd>) -> Change {
    let reserved = attempt.reserved.map_or(0, Usd::pico);
    Change {
        spent: cost.map_or(0, Usd::pico),
        reserved: -reserved,
        // Of an answer whose cost nobody knows the ceiling goes on counting the worst case.
        in_doubt: if cost.is_none() { reserved } else { 0 },
        unknown_costs: u32::from(cost.is_none()),
        ..Change::default()
    }
}

/// Commits what was handed in, and does what the run's row tells.
async fn write(run: &RunCalls, settling: &Arc<Settling>, handed_in: HandedIn) -> Result<(), Trouble> {
    let orders = match run.writer.see_through(run, handed_in).await {
        Written::Settled(orders) => orders,
        Written::Apart(turn) => {
            let written = write_alone(run, settling).await;
            if let Err(trouble) = &written {
                // Before the turn goes on: nothing that depends on this may be written after it.
                run.control.trouble(trouble);
            }
            drop(turn);
            written?
        }
        // The writer answers what it was given.
        Written::Intent(_) | Written::Ended(_) => return Err(Trouble::Ending),
    };
    run.context.progress.grew(run.control.fence.run);
    run.control.obey(orders);
    Ok(())
}

/// Where a command has left the task out meanwhile, the attempt and its money alone.
async fn write_alone(run: &RunCalls, settling: &Settling) -> Result<Orders, Trouble> {
    if let Some(orders) = write_apart(run, settling).await? {
        return Ok(orders);
    }
    if run.judges && settling.outcome.error_class.is_none() {
        // The stages have seen an answer that there is not: nothing may rest on it. The next claim begins with what is stored.
        run.control.stop(StopCause::Waiting(Duration::from_millis(1)));
    }
    Ok(write_apart(run, &settling.without_task()).await?.unwrap_or_default())
}

/// `None` where a command has left the task out: then nothing is committed.
async fn write_apart(run: &RunCalls, settling: &Settling) -> Result<Option<Orders>, Trouble> {
    let context = &run.context;
    context
        .stored(|_| {
            async move {
                let now = context.clock.now();
                let fence = run.control.fence;
                let mut stages = run.stage_events.turn().await;
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                let about = About { settled: settling.task.iter().map(|task| &task.key).collect(), ..About::default() };
                let events = stages.tell(run, &tx, settling.event.iter().cloned().collect(), about).await?;
                let fenced = runs::write(&tx, fence, settling.change, &events, now).await?;
                if !runs::settle_attempt(&tx, settling.attempt.id, &settling.outcome, now).await? {
                    // The claim is ours, so it was an earlier try of this transaction that settled it.
                    return Ok(Some(Orders::default()));
                }
                if let Some(task) = &settling.task {
                    match runs::insert_tasks(&tx, fence.run, [task], now).await {
                        Ok(()) => {}
                        Err(error) if error.is_conflict() => return Ok(None),
                        Err(error) => return Err(error.into()),
                    }
                }
                key_notes::write(run, &tx, &[settling], now).await?;
                tx.commit().await?;
                stages.committed();
                Ok(Some(fenced.orders))
            }
            .boxed()
        })
        .await
}

/// Settles the attempt of a task that was skipped in the middle of its call.
pub(super) async fn dropped(run: &RunCalls, key: &TaskKey, attempt: &OpenAttempt, number: u32) -> Result<(), Trouble> {
    let reserved = attempt.reserved.map_or(0, Usd::pico);
    let event = NewEvent::new(
        EventType::AttemptInDoubt,
        json!({
            "attempt_id": attempt.id,
            "task_key": key.as_str(),
            "attempt": number,
            "may_have_cost_usd": attempt.reserved,
        }),
    );
    let settling = Arc::new(Settling {
        attempt: attempt.clone(),
        outcome: AttemptOutcome { error_class: Some(ErrorClass::Skipped), in_doubt: true, ..AttemptOutcome::default() },
        change: Change {
            reserved: -reserved,
            in_doubt: reserved,
            unknown_doubts: u32::from(attempt.reserved.is_none()),
            ..Change::default()
        },
        event: Some(event),
        task: None,
    });
    let handed_in = run.writer.hand_in(Write::Settling(Arc::clone(&settling)));
    write(run, &settling, handed_in).await
}

fn completed_event(key: &TaskKey, call: &Call, stored: &StoredAnswer) -> NewEvent {
    NewEvent::new(
        EventType::TaskCompleted,
        json!({
            "task_key": key.as_str(),
            "model": format!("{}/{}", call.provider, call.model),
            "finish_reason": stored.finish_reason,
            "cost_usd": stored.cost,
            "latency_ms": stored.latency_ms,
        }),
    )
}

/// Commits a failed attempt; with `retry_in`, another follows, else the task has failed.
pub(super) async fn failed(
    run: &RunCalls,
    key: &TaskKey,
    attempt: OpenAttempt,
    error: &CallError,
    number: u32,
    retry_in: Option<Duration>,
) -> Result<(), Trouble> {
    let reserved = attempt.reserved.map_or(0, Usd::pico);
    let in_doubt = error.in_doubt();
    let event_type = if retry_in.is_some() { EventType::AttemptFailed } else { EventType::TaskFailed };
    let event = NewEvent::new(
        event_type,
        json!({
            "task_key": key.as_str(),
            "attempt": number,
            "class": error.class,
            "http_status": error.http_status,
            "message": error.message,
            "retry_in_ms": retry_in.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        }),
    );
    let task_error = TaskError {
        class: error.class,
        message: error.message.clone(),
        http_status: error.http_status,
        provider_code: error.provider_code.clone(),
    };
    let retry_at =
        retry_in.and_then(|delay| run.context.clock.now().checked_add_signed(TimeDelta::from_std(delay).ok()?));
    let settling = Arc::new(Settling {
        change: Change {
            reserved: -reserved,
            in_doubt: if in_doubt { reserved } else { 0 },
            unknown_doubts: u32::from(in_doubt && attempt.reserved.is_none()),
            failed: u32::from(retry_in.is_none()),
            ..Change::default()
        },
        attempt,
        outcome: AttemptOutcome {
            error_class: Some(error.class),
            error_message: Some(error.message.clone()),
            http_status: error.http_status,
            provider_code: error.provider_code.clone(),
            provider_request_id: error.provider_request_id.clone(),
            cost: None,
            in_doubt,
            retry_at,
        },
        event: Some(event),
        task: retry_in.is_none().then(|| NewTask {
            key: key.clone(),
            outcome: TaskOutcome::Failed(task_error),
            attempts: number,
        }),
    });
    let handed_in = run.writer.hand_in(Write::Settling(Arc::clone(&settling)));
    match write(run, &settling, handed_in).await {
        Ok(()) => Ok(()),
        Err(Trouble::Lost) if !in_doubt => {
            late::keep(run, &settling.attempt, Late::Failure(&settling.outcome)).await;
            Err(Trouble::Lost)
        }
        Err(trouble) => Err(trouble),
    }
}

/// Commits that a task failed before anything was sent. By itself: it moves no money, and nothing rests on its order.
pub(super) async fn refused(run: &RunCalls, key: &TaskKey, refusal: &Refusal, attempts: u32) -> Result<(), Trouble> {
    let context = &run.context;
    let event = NewEvent::new(
        EventType::TaskFailed,
        json!({"task_key": key.as_str(), "class": refusal.class, "message": refusal.message}),
    );
    let error =
        TaskError { class: refusal.class, message: refusal.message.clone(), http_status: None, provider_code: None };
    context
        .stored(|tried| {
            let (event, error) = (event.clone(), error.clone());
            async move {
                let now = context.clock.now();
                let fence = run.control.fence;
                let mut stages = run.stage_events.turn().await;
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                if tried > 0 && runs::find_task(&tx, fence.run, key).await?.is_some() {
                    return Ok(());
                }
                let about = About { settled: vec![key], ..About::default() };
                let events = stages.tell(run, &tx, vec![event], about).await?;
                runs::write(&tx, fence, Change { failed: 1, ..Change::default() }, &events, now).await?;
                match runs::insert_task(&tx, fence.run, key, &TaskOutcome::Failed(error), attempts, now).await {
                    Ok(()) => {}
                    // A command has left it out.
                    Err(error) if error.is_conflict() => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
                tx.commit().await?;
                stages.committed();
                context.progress.grew(fence.run);
                Ok(())
            }
            .boxed()
        })
        .await
}
