//! Leaving tasks out: written by whoever commands, as a task that is settled, so that it holds whoever has the run. A worker
//! that is about to settle the same task meets the row and learns of it (`Orders::skips`).

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::RunId;
use acm2_domain::run::{EventType, NewEvent, RunStatus, TaskError};
use acm2_domain::stages;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::command::lock;
use super::events::write_events;
use super::settled::list_textless;
use super::task_entity::{Column, Entity};
use super::tasks::{TaskOutcome, insert_task};
use crate::column::{signed, to_word};
use crate::{StoreError, TenantTx};

/// Why a task cannot be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unskippable {
    /// The run has no such task.
    Unknown,
    /// It has its answer.
    Answered,
    /// It has failed; a retry is what helps.
    Failed,
}

/// What became of the wish to skip tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// There is no such run.
    Missing,
    /// It has ended.
    Ended(RunStatus),
    /// Nothing was skipped, because of these, by their index among the wanted ones.
    Refused(Vec<(usize, Unskippable)>),
    /// All of them are skipped; so many were not before.
    Done(u32),
}

/// Skips tasks of a run that has not ended, all or none. Doing so twice changes nothing.
pub async fn skip(tx: &TenantTx, run: RunId, keys: &[String], now: DateTime<Utc>) -> Result<Skipped, StoreError> {
    let Some(seen) = lock(tx, run).await? else { return Ok(Skipped::Missing) };
    if seen.status.is_terminal() {
        return Ok(Skipped::Ended(seen.status));
    }
    let plan = stages::plan(&seen.spec);
    let settled = list_textless(tx, run).await?;
    let mut refused = Vec::new();
    let mut wanted = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let Some(task) = plan.iter().find(|task| task.key.as_str() == key) else {
            refused.push((index, Unskippable::Unknown));
            continue;
        };
        match settled.get(key).map(|row| &row.outcome) {
            None if !wanted.contains(&&task.key) => wanted.push(&task.key),
            Some(TaskOutcome::Answered(_)) => refused.push((index, Unskippable::Answered)),
            Some(TaskOutcome::Failed(error)) if error.class != ErrorClass::Skipped => {
                refused.push((index, Unskippable::Failed));
            }
            None | Some(TaskOutcome::Failed(_)) => {}
        }
    }
    if !refused.is_empty() {
        return Ok(Skipped::Refused(refused));
    }
    if wanted.is_empty() {
        return Ok(Skipped::Done(0));
    }
    let error = TaskError {
        class: ErrorClass::Skipped,
        message: "a command left this task out".to_owned(),
        http_status: None,
        provider_code: None,
    };
    for key in &wanted {
        insert_task(tx, run, key, &TaskOutcome::Failed(error.clone()), 0, now).await?;
    }
    let count = wanted.len();
    let update = Query::update()
        .table("runs")
        .value("tasks_failed", Expr::col("tasks_failed").add(count as i32))
        .value("skips", Expr::col("skips").add(count as i32))
        .value("last_event", signed(seen.last_event + count as u64))
        .and_where(Expr::col("id").eq(run.uuid()))
        .to_owned();
    tx.execute(&update).await?;
    let events: Vec<NewEvent> =
        wanted.iter().map(|key| NewEvent::new(EventType::TaskSkipped, json!({"task_key": key.as_str()}))).collect();
    write_events(tx, run, seen.last_event + 1, &events, now).await?;
    Ok(Skipped::Done(count as u32))
}

/// The keys of the run's skipped tasks.
pub async fn list_skipped(tx: &TenantTx, run: RunId) -> Result<Vec<String>, StoreError> {
    let keys = Entity::find()
        .select_only()
        .column(Column::Key)
        .filter(Column::RunId.eq(run.uuid()))
        .filter(Column::ErrorClass.eq(to_word(ErrorClass::Skipped)))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(keys)
}
