//! Commands on a run (PROTOCOL rule 9): with the run's row locked, `domain::run::machine` says what a command does. On a run that
//! no worker has, it is done here; on a running one it stands until the worker sees it.

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::{JobId, RunId};
use acm2_domain::money::Usd;
use acm2_domain::run::machine::{Command, Effect, Refusal, Standing};
use acm2_domain::run::{EventType, NewEvent, Requested, RunStatus};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query, UpdateStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Value, json};

use super::end::{Ending, end};
use super::events::write_events;
use super::fence::{Fence, FenceError};
use super::reuse;
use super::row::{RunRow, find};
use super::task_entity;
use crate::column::{signed, to_word};
use crate::{StoreError, TenantTx};

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Commanded {
    /// There is no such run.
    Missing,
    /// It cannot be given as the run stands.
    Refused(Refusal),
    /// It had this effect on the run, which stood as it is told here.
    Done(Effect, Box<RunRow>),
}

/// When a run that is retried at `now` ends at the latest.
pub fn retried_deadline(row: &RunRow, now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::seconds(i64::from(row.spec.deadline_seconds))
}

/// Gives a command. Where the run is queued by it, `job` is the job that will work on it, whose row is in the control store
/// already; in all other cases nothing names that job.
pub async fn command(
    tx: &TenantTx,
    run: RunId,
    command: Command,
    job: JobId,
    now: DateTime<Utc>,
) -> Result<Commanded, StoreError> {
    let Some(seen) = lock(tx, run).await? else { return Ok(Commanded::Missing) };
    let effect = match standing_for(tx, &seen, command).await?.command(command) {
        Ok(effect) => effect,
        Err(refusal) => return Ok(Commanded::Refused(refusal)),
    };
    match effect {
        Effect::Nothing => {}
        Effect::Become(RunStatus::Cancelled) => end_waiting(tx, &seen, Ending::Cancelled, now).await?,
        Effect::Become(RunStatus::Queued) if command == Command::Retry => retry(tx, &seen, job, now).await?,
        Effect::Become(RunStatus::Queued) => {
            let mut update = taking(&seen, RunStatus::Queued);
            update.value("job_id", job.uuid());
            write(tx, &seen, &mut update, EventType::RunResumeRequested, json!({}), now).await?;
        }
        Effect::Become(status) => {
            write(tx, &seen, &mut taking(&seen, status), EventType::RunPaused, json!({}), now).await?;
        }
        Effect::Ask(requested) => {
            let event = match requested {
                Requested::Cancel => EventType::RunCancelRequested,
                Requested::Pause => EventType::RunPauseRequested,
            };
            write(tx, &seen, Query::update().value("requested", requested.as_str()), event, json!({}), now).await?;
        }
        Effect::TakeBack => {
            let mut update = Query::update();
            update.value("requested", Option::<String>::None);
            write(tx, &seen, &mut update, EventType::RunResumeRequested, json!({}), now).await?;
        }
    }
    Ok(Commanded::Done(effect, Box::new(seen)))
}

/// The run as the state machine sees it where this command is given: of a retry it is looked up whether it would ask for anything.
pub async fn standing_for(tx: &TenantTx, run: &RunRow, command: Command) -> Result<Standing, StoreError> {
    let standing = run.standing();
    if command != Command::Retry || !standing.status.is_terminal() || !standing.can_retry {
        return Ok(standing);
    }
    Ok(Standing { can_retry: would_ask(tx, run).await?, ..standing })
}

/// Whether a retry would ask for anything: a task that is not settled, or one that failed by itself. What lacks its input lacks it
/// again, unless one of these brings it.
async fn would_ask(tx: &TenantTx, run: &RunRow) -> Result<bool, StoreError> {
    if run.tasks_completed.saturating_add(run.tasks_failed) < run.tasks_expected {
        return Ok(true);
    }
    let lacking = [ErrorClass::Skipped, ErrorClass::InputMissing].map(to_word);
    let mut failed = task_entity::Entity::find()
        .select_only()
        .column(task_entity::Column::Key)
        .filter(task_entity::Column::RunId.eq(run.id.uuid()))
        .filter(task_entity::Column::Status.eq("failed"))
        .filter(task_entity::Column::ErrorClass.is_not_in(lacking));
    if run.spec.answers_of.is_some() {
        failed = failed.filter(reuse::is_answer().not());
    }
    Ok(failed.into_tuple::<String>().one(tx).await?.is_some())
}

/// Ends a run that no worker has, because its deadline has passed; `None` where it has ended or a worker has it by now.
pub async fn end_waiting_run(
    tx: &TenantTx,
    run: RunId,
    ending: Ending,
    now: DateTime<Utc>,
) -> Result<Option<RunRow>, StoreError> {
    let Some(seen) = lock(tx, run).await? else { return Ok(None) };
    if !matches!(seen.status, RunStatus::Queued | RunStatus::Paused) {
        return Ok(None);
    }
    end_waiting(tx, &seen, ending, now).await?;
    Ok(Some(seen))
}

/// The run, its row locked until the end of the transaction.
pub(super) async fn lock(tx: &TenantTx, run: RunId) -> Result<Option<RunRow>, StoreError> {
    // An update is a lock in both databases.
    let lock = Query::update()
        .table("runs")
        .value("last_event", Expr::col("last_event"))
        .and_where(Expr::col("id").eq(run.uuid()))
        .to_owned();
    if tx.execute(&lock).await?.rows_affected() == 0 {
        return Ok(None);
    }
    find(tx, run).await
}

/// Takes the claim of a run that waits, so that no worker's claim fits any more, and ends it.
async fn end_waiting(tx: &TenantTx, seen: &RunRow, ending: Ending, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut take = taking(seen, seen.status);
    tx.execute(take.table("runs").and_where(Expr::col("id").eq(seen.id.uuid()))).await?;
    match end(tx, Fence { run: seen.id, claim: seen.claim + 1 }, ending, now).await {
        Ok(_) => Ok(()),
        Err(FenceError::Store(error)) => Err(error),
        Err(FenceError::Lost) => Err(StoreError::Corrupt("a run that was just taken is not held".to_owned())),
    }
}

/// Sends an ended run back to the queue: what failed is forgotten, what was answered, skipped or taken over stays. Whether an answer is still
/// one to what is asked then, the worker sees (`Call::question`).
async fn retry(tx: &TenantTx, seen: &RunRow, job: JobId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut forget = task_entity::Entity::delete_many()
        .filter(task_entity::Column::RunId.eq(seen.id.uuid()))
        .filter(task_entity::Column::Status.eq("failed"))
        .filter(task_entity::Column::ErrorClass.ne(to_word(ErrorClass::Skipped)));
    if seen.spec.answers_of.is_some() {
        // What the run has taken over it never asks for.
        forget = forget.filter(reuse::is_answer().not());
    }
    let forgotten = forget.exec(tx).await?;
    let failed = seen.tasks_failed.saturating_sub(u32::try_from(forgotten.rows_affected).unwrap_or(u32::MAX));
    let missing = seen.tasks_expected.saturating_sub(seen.tasks_completed).saturating_sub(failed);
    let mut update = taking(seen, RunStatus::Queued);
    update
        .value("job_id", job.uuid())
        .value("tasks_failed", failed as i32)
        .value("retry_claim", seen.claim + 1)
        .value("poison", 0)
        .value("problem_code", Option::<String>::None)
        .value("problem_detail", Option::<String>::None)
        .value("finished_at", Option::<DateTime<Utc>>::None)
        .value("deadline_at", retried_deadline(seen, now));
    write(tx, seen, &mut update, EventType::RunRetryRequested, json!({"tasks_missing": missing}), now).await
}

/// Sets what a run may cost at most, which a retry may change: budgets come and go, and it reserves anew. The row must be locked.
pub async fn set_max_cost(tx: &TenantTx, run: RunId, max_cost: Option<Usd>) -> Result<(), StoreError> {
    let update = Query::update()
        .table("runs")
        .value("max_cost", max_cost.map(Usd::pico))
        .and_where(Expr::col("id").eq(run.uuid()))
        .to_owned();
    tx.execute(&update).await?;
    Ok(())
}

/// Takes the claim of a run that no worker has, so that whoever has seen the old one cannot claim it.
fn taking(seen: &RunRow, status: RunStatus) -> UpdateStatement {
    let mut update = Query::update();
    update
        .value("claim", seen.claim + 1)
        .value("status", status.as_str())
        .value("requested", Option::<String>::None)
        .value("claimed_by", Option::<uuid::Uuid>::None);
    update
}

/// Writes an update of the locked run with its event.
async fn write(
    tx: &TenantTx,
    seen: &RunRow,
    update: &mut UpdateStatement,
    event: EventType,
    data: Value,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    update.table("runs").value("last_event", signed(seen.last_event + 1)).and_where(Expr::col("id").eq(seen.id.uuid()));
    tx.execute(update).await?;
    write_events(tx, seen.id, seen.last_event + 1, &[NewEvent::new(event, data)], now).await
}
