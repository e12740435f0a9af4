//! Writing down what came of an attempt, each in one fenced transaction: answer, money, event, task (PROTOCOL rules 6, 7).

use std::sync::Arc;
use std::time::Duration;

use acm2_domain::call::{Answer, Call, CallError, ErrorClass};
use acm2_domain::journal::{TaskAnswer, TaskKey};
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, NewEvent, TaskError};
use acm2_store::provider_keys::{self, KeyStatus, ProviderKeyRow};
use acm2_store::runs::{self, AttemptOutcome, Change, Orders, StoredAnswer, TaskOutcome};
use acm2_store::{StoreError, TenantTx};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use serde_json::json;

use super::attempt::OpenAttempt;
use super::journal::RunCalls;
use super::route::Refusal;
use crate::context::Trouble;

/// Commits an answer; `None` where the task was skipped meanwhile, so that only the money counts. If the run was lost meanwhile,
/// the answer is kept with its attempt for whoever has it now.
pub(super) async fn answered(
    run: &RunCalls,
    key: &TaskKey,
    call: &Call,
    attempt: &OpenAttempt,
    answer: &Answer,
    number: u32,
) -> Result<Option<TaskAnswer>, Trouble> {
    let context = &run.context;
    let cost = context.prices.cost(&call.provider, &call.model, answer);
    let stored = Arc::new(StoredAnswer::of(answer, cost));
    let change = Change {
        spent: cost.amount.map_or(0, Usd::pico),
        reserved: -attempt.reserved.map_or(0, Usd::pico),
        // Of an answer whose cost nobody knows the ceiling goes on counting the worst case.
        in_doubt: if cost.amount.is_none() { attempt.reserved.map_or(0, Usd::pico) } else { 0 },
        completed: 1,
        unknown_costs: u32::from(cost.amount.is_none()),
        ..Change::default()
    };
    let event = completed_event(key, call, &stored);
    let outcome = AttemptOutcome {
        provider_request_id: stored.provider_request_id.clone(),
        cost: cost.amount,
        ..AttemptOutcome::default()
    };
    let written = context
        .stored(|_| {
            let (stored, event, outcome) = (Arc::clone(&stored), event.clone(), outcome.clone());
            async move {
                let now = context.clock.now();
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                let fenced = runs::write(&tx, run.control.fence, change, &[event], now).await?;
                if !runs::settle_attempt(&tx, attempt.id, &outcome, now).await? {
                    // The claim is ours, so it was an earlier try of this transaction that settled it.
                    return Ok(Some(Orders::default()));
                }
                let outcome = TaskOutcome::Answered(StoredAnswer::clone(&stored));
                if !settle_task(run, &tx, key, &outcome, number, now).await? {
                    return Ok(None);
                }
                touch_key(run, &tx, &attempt.key, now).await?;
                tx.commit().await?;
                Ok(Some(fenced.orders))
            }
            .boxed()
        })
        .await;
    match written {
        Ok(Some(orders)) => {
            context.progress.grew(run.control.fence.run);
            run.control.obey(orders);
            Ok(Some(TaskAnswer { text: stored.text.clone(), finish_reason: stored.finish_reason }))
        }
        Ok(None) => {
            let change = Change { completed: 0, ..change };
            settle_alone(run, attempt, &outcome, change, None).await?;
            Ok(None)
        }
        Err(Trouble::Lost) => {
            late(run, attempt, Late::Answer(&stored)).await;
            Err(Trouble::Lost)
        }
        Err(trouble) => Err(trouble),
    }
}

/// Writes how a task ended; `false` where a command has left it out, after which nothing may be committed.
async fn settle_task(
    run: &RunCalls,
    tx: &TenantTx,
    key: &TaskKey,
    outcome: &TaskOutcome,
    attempts: u32,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    match runs::insert_task(tx, run.control.fence.run, key, outcome, attempts, now).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Settles an attempt whose task is settled already.
async fn settle_alone(
    run: &RunCalls,
    attempt: &OpenAttempt,
    outcome: &AttemptOutcome,
    change: Change,
    event: Option<NewEvent>,
) -> Result<(), Trouble> {
    let context = &run.context;
    let events: Vec<NewEvent> = event.into_iter().collect();
    let orders = context
        .stored(|_| {
            let events = events.clone();
            async move {
                let now = context.clock.now();
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                let fenced = runs::write(&tx, run.control.fence, change, &events, now).await?;
                if !runs::settle_attempt(&tx, attempt.id, outcome, now).await? {
                    return Ok(Orders::default());
                }
                mark_key(&tx, &attempt.key, outcome, now).await?;
                tx.commit().await?;
                Ok(fenced.orders)
            }
            .boxed()
        })
        .await?;
    context.progress.grew(run.control.fence.run);
    run.control.obey(orders);
    Ok(())
}

/// Settles the attempt of a task that was skipped in the middle of its call.
pub(super) async fn dropped(run: &RunCalls, key: &TaskKey, attempt: &OpenAttempt, number: u32) -> Result<(), Trouble> {
    let reserved = attempt.reserved.map_or(0, Usd::pico);
    let change = Change {
        reserved: -reserved,
        in_doubt: reserved,
        unknown_doubts: u32::from(attempt.reserved.is_none()),
        ..Change::default()
    };
    let event = NewEvent::new(
        EventType::AttemptInDoubt,
        json!({
            "attempt_id": attempt.id,
            "task_key": key.as_str(),
            "attempt": number,
            "may_have_cost_usd": attempt.reserved,
        }),
    );
    let outcome =
        AttemptOutcome { error_class: Some(ErrorClass::Skipped), in_doubt: true, ..AttemptOutcome::default() };
    settle_alone(run, attempt, &outcome, change, Some(event)).await
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

/// What came of a call whose run was lost meanwhile.
#[derive(Clone, Copy)]
enum Late<'a> {
    Answer(&'a StoredAnswer),
    /// One that cannot have cost anything.
    Failure(&'a AttemptOutcome),
}

/// Writes down what came late, with the attempt: it is in doubt no longer.
async fn late(run: &RunCalls, attempt: &OpenAttempt, came: Late<'_>) {
    let context = &run.context;
    let kept = context
        .stored(|_| {
            async move {
                let (run_id, now) = (run.control.fence.run, context.clock.now());
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                let stood = match came {
                    Late::Answer(answer) => runs::settle_late(&tx, run_id, attempt.id, answer, now).await?,
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

/// Uses an answer that came late to an earlier claim, if there still is one.
pub(super) async fn use_late_answer(run: &RunCalls, key: &TaskKey) -> Result<Option<TaskAnswer>, Trouble> {
    let context = &run.context;
    context
        .stored(|tried| {
            async move {
                let now = context.clock.now();
                let fence = run.control.fence;
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                if tried > 0 {
                    // The row is locked before an earlier try is looked for: its commit may be on the way.
                    runs::write(&tx, fence, Change::default(), &[], now).await?;
                }
                if let Some(settled) = runs::find_task(&tx, fence.run, key).await? {
                    // An earlier try of this transaction did it.
                    return Ok(match settled.outcome {
                        TaskOutcome::Answered(answer) => {
                            Some(TaskAnswer { text: answer.text, finish_reason: answer.finish_reason })
                        }
                        TaskOutcome::Failed(_) => None,
                    });
                }
                let Some((number, answer)) = runs::find_late_answer(&tx, fence.run, key).await? else {
                    return Ok(None);
                };
                let event = NewEvent::new(
                    EventType::TaskCompleted,
                    json!({"task_key": key.as_str(), "cost_usd": answer.cost, "late": true}),
                );
                runs::write(&tx, fence, Change { completed: 1, ..Change::default() }, &[event], now).await?;
                let outcome = TaskOutcome::Answered(answer.clone());
                if !settle_task(run, &tx, key, &outcome, number, now).await? {
                    return Ok(None);
                }
                tx.commit().await?;
                context.progress.grew(fence.run);
                Ok(Some(TaskAnswer { text: answer.text, finish_reason: answer.finish_reason }))
            }
            .boxed()
        })
        .await
}

/// Commits a failed attempt; with `retry_in`, another follows, else the task has failed.
pub(super) async fn failed(
    run: &RunCalls,
    key: &TaskKey,
    attempt: &OpenAttempt,
    error: &CallError,
    number: u32,
    retry_in: Option<Duration>,
) -> Result<(), Trouble> {
    let context = &run.context;
    let reserved = attempt.reserved.map_or(0, Usd::pico);
    let in_doubt = error.in_doubt();
    let change = Change {
        reserved: -reserved,
        in_doubt: if in_doubt { reserved } else { 0 },
        unknown_doubts: u32::from(in_doubt && attempt.reserved.is_none()),
        failed: u32::from(retry_in.is_none()),
        ..Change::default()
    };
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
    let outcome = AttemptOutcome {
        error_class: Some(error.class),
        error_message: Some(error.message.clone()),
        http_status: error.http_status,
        provider_code: error.provider_code.clone(),
        provider_request_id: error.provider_request_id.clone(),
        cost: None,
        in_doubt,
        retry_at: retry_in.and_then(|delay| context.clock.now().checked_add_signed(TimeDelta::from_std(delay).ok()?)),
    };
    let task_error = TaskError {
        class: error.class,
        message: error.message.clone(),
        http_status: error.http_status,
        provider_code: error.provider_code.clone(),
    };
    let written = context
        .stored(|_| {
            let (event, outcome, task_error) = (event.clone(), outcome.clone(), task_error.clone());
            async move {
                let now = context.clock.now();
                let fence = run.control.fence;
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                let fenced = runs::write(&tx, fence, change, &[event], now).await?;
                if !runs::settle_attempt(&tx, attempt.id, &outcome, now).await? {
                    return Ok(Some(Orders::default()));
                }
                let failed = TaskOutcome::Failed(task_error);
                if retry_in.is_none() && !settle_task(run, &tx, key, &failed, number, now).await? {
                    return Ok(None);
                }
                mark_key(&tx, &attempt.key, &outcome, now).await?;
                tx.commit().await?;
                Ok(Some(fenced.orders))
            }
            .boxed()
        })
        .await;
    match written {
        Ok(Some(orders)) => {
            context.progress.grew(run.control.fence.run);
            run.control.obey(orders);
            Ok(())
        }
        Ok(None) => {
            let event = NewEvent { event_type: EventType::AttemptFailed, ..event };
            settle_alone(run, attempt, &outcome, Change { failed: 0, ..change }, Some(event)).await
        }
        Err(Trouble::Lost) if !in_doubt => {
            late(run, attempt, Late::Failure(&outcome)).await;
            Err(Trouble::Lost)
        }
        Err(trouble) => Err(trouble),
    }
}

/// A provider that refuses the key itself says something about the key, which its owner should see.
async fn mark_key(
    tx: &TenantTx,
    key: &ProviderKeyRow,
    outcome: &AttemptOutcome,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let status = match outcome.error_class {
        Some(ErrorClass::ProviderAuth) => KeyStatus::Invalid,
        Some(ErrorClass::ProviderQuota) => KeyStatus::Quota,
        _ => return Ok(()),
    };
    provider_keys::mark_status(tx, key, status, outcome.error_message.as_deref(), now).await
}

/// An answered call shows that the key was used; written only where the time that stands there has grown old.
async fn touch_key(run: &RunCalls, tx: &TenantTx, key: &ProviderKeyRow, now: DateTime<Utc>) -> Result<(), StoreError> {
    let every = TimeDelta::from_std(run.context.timing.last_used).unwrap_or(TimeDelta::zero());
    if key.last_used_at.is_none_or(|used| used <= now - every) {
        provider_keys::touch_last_used(tx, key.id, now, every).await?;
    }
    Ok(())
}

/// Commits that a task failed before anything was sent.
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
                let tx = context.store.tenant(run.tenant_id()).begin().await?;
                if tried > 0 && runs::find_task(&tx, fence.run, key).await?.is_some() {
                    return Ok(());
                }
                runs::write(&tx, fence, Change { failed: 1, ..Change::default() }, &[event], now).await?;
                if !settle_task(run, &tx, key, &TaskOutcome::Failed(error), attempts, now).await? {
                    return Ok(());
                }
                tx.commit().await?;
                context.progress.grew(fence.run);
                Ok(())
            }
            .boxed()
        })
        .await
}
