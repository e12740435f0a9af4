//! Commands on a run (PROTOCOL rule 9): on one that waits the caller acts itself, on a running one the command stands until the
//! worker sees it.

use acm2_domain::ids::RunId;
use acm2_domain::run::{EventType, NewEvent, Requested, RunStatus};
use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use serde_json::json;

use super::end::{Ended, Ending, end};
use super::events::insert_events;
use super::fence::{Fence, FenceError};
use super::row::{RunRow, find};
use crate::column::unsigned;
use crate::{StoreError, TenantTx};

/// What became of the wish to cancel.
#[derive(Debug, Clone, PartialEq)]
pub enum CancelOutcome {
    /// There is no such run.
    Missing,
    /// It had ended before.
    AlreadyEnded(RunStatus),
    /// It waited, and has ended now.
    Ended(Box<RunRow>, Ended),
    /// A worker has it and will stop; `true` where this command is new.
    Requested(bool),
}

/// Cancels a run that waits, or leaves the command for its worker. Doing so twice changes nothing.
pub async fn request_cancel(tx: &TenantTx, run: RunId, now: DateTime<Utc>) -> Result<CancelOutcome, StoreError> {
    // The row is locked by taking the claim of a run that waits, so that a worker's claim either came before or fails.
    let take = Query::update()
        .table("runs")
        .value("claim", Expr::col("claim").add(1_i64))
        .and_where(Expr::col("id").eq(run.uuid()))
        .and_where(Expr::col("status").is_in([RunStatus::Queued.as_str(), RunStatus::Paused.as_str()]))
        .returning(Query::returning().columns(["claim"]))
        .to_owned();
    if let Some(row) = tx.query_one(&take).await? {
        let fence = Fence { run, claim: row.try_get_by("claim")? };
        return match end(tx, fence, Ending::Cancelled, now).await {
            Ok(ended) => match find(tx, run).await? {
                Some(row) => Ok(CancelOutcome::Ended(Box::new(row), ended)),
                None => Ok(CancelOutcome::Missing),
            },
            Err(FenceError::Store(error)) => Err(error),
            Err(FenceError::Lost) => Err(StoreError::Corrupt("a run that was just taken is not held".to_owned())),
        };
    }
    let ask = Query::update()
        .table("runs")
        .value("requested", Requested::Cancel.as_str())
        .value("last_event", Expr::col("last_event").add(1_i64))
        .and_where(Expr::col("id").eq(run.uuid()))
        .and_where(Expr::col("status").eq(RunStatus::Running.as_str()))
        .and_where(Expr::col("requested").is_null().or(Expr::col("requested").ne(Requested::Cancel.as_str())))
        .returning(Query::returning().columns(["last_event"]))
        .to_owned();
    if let Some(row) = tx.query_one(&ask).await? {
        let event = NewEvent::new(EventType::RunCancelRequested, json!({}));
        insert_events(tx, run, unsigned(row.try_get_by("last_event")?), &[event], now).await?;
        return Ok(CancelOutcome::Requested(true));
    }
    Ok(match find(tx, run).await? {
        None => CancelOutcome::Missing,
        Some(row) if row.status.is_terminal() => CancelOutcome::AlreadyEnded(row.status),
        Some(_) => CancelOutcome::Requested(false),
    })
}
