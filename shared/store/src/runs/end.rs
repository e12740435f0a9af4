//! The end of a run (PROTOCOL rule 10): status, events, deliveries and budgets in one transaction. Used by worker and api alike.

use acm2_domain::ids::DeliveryId;
use acm2_domain::run::machine::Step;
use acm2_domain::run::{EventType, NewEvent, RunProblem, RunStatus};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use serde_json::json;

use super::claim::doubt;
use super::events::insert_events;
use super::fence::{Fence, FenceError, pass};
use super::{assemble, find, list_tasks};
use crate::{TenantTx, budgets, deliveries};

/// How a run ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// Every task is settled: the counts decide the status.
    Settled,
    /// By a command.
    Cancelled,
    /// Before its tasks were settled. What has an answer by then is kept.
    Cut(RunProblem),
}

/// What the end made.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How the run stands now.
    pub status: RunStatus,
    /// Deliveries that are to be made.
    pub deliveries: Vec<DeliveryId>,
}

/// Ends the run under the fence.
pub async fn end(tx: &TenantTx, fence: Fence, ending: Ending, now: DateTime<Utc>) -> Result<Ended, FenceError> {
    // The row is locked before anything else is looked at.
    let mut lock = Query::update();
    lock.table("runs").value("reserved", 0_i64);
    let locked = pass(tx, fence, &mut lock).await?;
    doubt(tx, fence.run, fence.claim, locked.last_event, now).await?;
    let seen = find(tx, fence.run).await?.filter(|run| run.claim == fence.claim).ok_or(FenceError::Lost)?;
    let status = match &ending {
        Ending::Cancelled => RunStatus::Cancelled,
        Ending::Settled => RunStatus::of_counts(seen.tasks_expected, seen.tasks_completed),
        Ending::Cut(_) if seen.tasks_completed > 0 => RunStatus::of_counts(seen.tasks_expected, seen.tasks_completed),
        Ending::Cut(_) => RunStatus::Failed,
    };
    if seen.max_cost.is_some() {
        budgets::settle(tx, fence.run, seen.consumed()).await?;
    }
    // A cancellation that was asked for meanwhile wins.
    let status = seen.standing().step(Step::End(status)).map_err(|_| FenceError::Lost)?;
    let problem = match ending {
        _ if status == RunStatus::Cancelled => None,
        Ending::Cut(problem) => Some(problem),
        Ending::Settled if status == RunStatus::Failed => Some(RunProblem {
            code: "all_tasks_failed".to_owned(),
            detail: "no task has an answer; each result says why".to_owned(),
        }),
        Ending::Settled | Ending::Cancelled => None,
    };

    let event_type = event_of(status);
    let event = NewEvent::new(
        event_type,
        json!({
            "tasks_completed": seen.tasks_completed,
            "tasks_failed": seen.tasks_failed,
            "tasks_expected": seen.tasks_expected,
            "problem": problem,
        }),
    );
    let mut update = Query::update();
    update
        .table("runs")
        .value("status", status.as_str())
        .value("requested", Option::<String>::None)
        .value("claimed_by", Option::<uuid::Uuid>::None)
        .value("problem_code", problem.as_ref().map(|problem| problem.code.clone()))
        .value("problem_detail", problem.as_ref().map(|problem| problem.detail.clone()))
        .value("finished_at", now)
        .value("last_event", Expr::col("last_event").add(1_i64));
    let fenced = pass(tx, fence, &mut update).await?;
    insert_events(tx, fence.run, fenced.last_event, &[event], now).await?;

    let row = find(tx, fence.run).await?.ok_or(FenceError::Lost)?;
    let tasks = list_tasks(tx, fence.run).await?;
    let view = assemble(&row, Some(&tasks));
    let deliveries = deliveries::create(tx, event_type, &view, row.spec.webhook_url.as_deref(), now).await?;
    Ok(Ended { status, deliveries })
}

/// The event that says how a run ended.
fn event_of(status: RunStatus) -> EventType {
    match status {
        RunStatus::Completed => EventType::RunCompleted,
        RunStatus::CompletedWithErrors => EventType::RunCompletedWithErrors,
        RunStatus::Cancelled => EventType::RunCancelled,
        RunStatus::Failed | RunStatus::Queued | RunStatus::Running | RunStatus::Paused => EventType::RunFailed,
    }
}
