//! The end of a run (PROTOCOL rule 10): status, events, deliveries and budgets in one transaction. Used by worker and api alike.

use acm2_domain::ids::DeliveryId;
use acm2_domain::run::machine::{Standing, Step};
use acm2_domain::run::{EventType, NewEvent, RunProblem, RunStatus};
use acm2_domain::stages::StageProgress;
use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use serde_json::json;

use super::claim::doubt;
use super::events::{list_stage_events, write_events};
use super::fence::{
    Change, Fence, FenceError, Fenced, RETURNED, TaskCounts, fenced, moving, pass, read, tasks_completed,
};
use super::row::RunRow;
use super::tasks::{has_answer, list_settled};
use super::{assemble, find, go_on, list_results};
use crate::column::unsigned;
use crate::{StoreError, TenantTx, budgets, deliveries, webhook_endpoints};

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
    let tasks =
        TaskCounts { expected: seen.tasks_expected, completed: seen.tasks_completed, failed: seen.tasks_failed };
    if seen.max_cost.is_some() {
        budgets::settle(tx, fence.run, seen.consumed()).await?;
    }
    let mut events = if ending == Ending::Settled { untold_stages(tx, &seen).await? } else { Vec::new() };
    let has_answer = ending != Ending::Cancelled && has_answer(tx, &seen).await?;
    let last = Last::new(seen.standing(), tasks, has_answer, ending)?;
    events.push(last.event());
    let written = last.write(tx, fence, events.len() as i64, now).await?;
    write_events(tx, fence.run, written.last_event + 1 - events.len() as u64, &events, now).await?;
    if seen.spec.conversation.is_some() {
        go_on(tx, fence.run, now).await?;
    }
    let deliveries = last.deliver(tx, fence, written, seen.spec.webhook_url.as_deref(), now).await?;
    Ok(Ended { status: last.status, deliveries })
}

/// The stages that are through, of which the timeline does not tell it yet: a command may have left out the last of their tasks.
async fn untold_stages(tx: &TenantTx, run: &RunRow) -> Result<Vec<NewEvent>, StoreError> {
    let (settled, told) = (list_settled(tx, run.id).await?, list_stage_events(tx, run.id).await?);
    let mut progress = StageProgress::of(&run.spec);
    let told = told.iter().map(|(event, stage)| (*event, stage.as_str()));
    progress.read(settled.iter().map(String::as_str), told);
    Ok(progress.settle([]))
}

/// Ends a running run whose attempts and tasks are all settled, in a transaction that has passed the fence (`lock`) and has kept
/// one number for the event that this returns: the caller writes it. `answers_alone`: `RunSpec::has_answers_alone`. `webhook_url` is
/// the run's own.
///
/// # Errors
/// `Lost` also where a task is not settled.
pub async fn end_settled(
    tx: &TenantTx,
    fence: Fence,
    locked: &Fenced,
    answers_alone: bool,
    webhook_url: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(Ended, NewEvent), FenceError> {
    if locked.tasks.completed + locked.tasks.failed < locked.tasks.expected {
        return Err(FenceError::Lost);
    }
    if locked.room.is_some() {
        budgets::settle(tx, fence.run, locked.consumed).await?;
    }
    let standing = Standing { status: RunStatus::Running, requested: locked.orders.requested, can_retry: false };
    let TaskCounts { expected, completed, .. } = locked.tasks;
    let has_answer = if answers_alone || completed == 0 || completed >= expected {
        completed > 0
    } else {
        has_answer(tx, &find(tx, fence.run).await?.ok_or(FenceError::Lost)?).await?
    };
    let last = Last::new(standing, locked.tasks, has_answer, Ending::Settled)?;
    let written = last.write(tx, fence, 0, now).await?;
    let event = last.event();
    let deliveries = last.deliver(tx, fence, written, webhook_url, now).await?;
    Ok((Ended { status: last.status, deliveries }, event))
}

/// Passes the fence as `lock` does, and ends the run with the same UPDATE where all is plain: it is running, every task is settled by
/// `change`, one of them with an answer (with `answers_alone`; else all of them), no command stands and no ceiling is to be settled.
/// `None` where it is not so: then nothing was done, and `lock` and `end_settled` find out. `events` counts the end's own, which
/// stands last.
pub async fn lock_and_end(
    tx: &TenantTx,
    fence: Fence,
    change: Change,
    events: u64,
    answers_alone: bool,
    now: DateTime<Utc>,
) -> Result<Option<(Fenced, EndedAtOnce)>, FenceError> {
    let completed = || tasks_completed(change);
    let failed = || Expr::col("tasks_failed").add(change.failed as i32);
    let (all, some) = (RunStatus::Completed.as_str(), RunStatus::CompletedWithErrors.as_str());
    let mut update = moving(change, events);
    update
        .value("status", Expr::case(completed().gte(Expr::col("tasks_expected")), all).finally(some))
        .value("claimed_by", Option::<uuid::Uuid>::None)
        .value("finished_at", now)
        .and_where(Expr::col("status").eq(RunStatus::Running.as_str()))
        .and_where(Expr::col("requested").is_null())
        .and_where(Expr::col("max_cost").is_null())
        .and_where(completed().gt(0))
        .and_where(completed().add(failed()).gte(Expr::col("tasks_expected")));
    if !answers_alone {
        update.and_where(completed().gte(Expr::col("tasks_expected")));
    }
    let returned = RETURNED.map(Expr::col).into_iter().chain([webhook_endpoints::count_enabled()]);
    fenced(fence, &mut update).returning(Query::returning().exprs(returned));
    let Some(row) = tx.query_one(&update).await? else { return Ok(None) };
    let locked = read(&row)?;
    let has_endpoints = row.try_get_by_index::<i64>(RETURNED.len())? > 0;
    let standing = Standing { status: RunStatus::Running, requested: None, can_retry: false };
    let last = Last::new(standing, locked.tasks, true, Ending::Settled)?;
    Ok(Some((locked, EndedAtOnce { last, row: LastRow { last_event: locked.last_event, has_endpoints } })))
}

/// A run that `lock_and_end` has ended.
pub struct EndedAtOnce {
    last: Last,
    row: LastRow,
}

impl EndedAtOnce {
    /// Makes the deliveries, once the transaction has written the tasks; with it the event, which the caller writes. `webhook_url` is
    /// the run's own.
    pub async fn tell(
        self,
        tx: &TenantTx,
        fence: Fence,
        webhook_url: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(Ended, NewEvent), StoreError> {
        let deliveries = self.last.deliver(tx, fence, self.row, webhook_url, now).await?;
        Ok((Ended { status: self.last.status, deliveries }, self.last.event()))
    }
}

/// The last that is written of a run.
struct Last {
    status: RunStatus,
    problem: Option<RunProblem>,
    tasks: TaskCounts,
}

/// What its UPDATE told.
#[derive(Clone, Copy)]
struct LastRow {
    last_event: u64,
    /// Whether the tenant has webhook endpoints that are sent anything.
    has_endpoints: bool,
}

impl Last {
    /// A cancellation that was asked for meanwhile wins.
    fn new(standing: Standing, tasks: TaskCounts, has_answer: bool, ending: Ending) -> Result<Self, FenceError> {
        let of_counts = RunStatus::of_counts(tasks.expected, tasks.completed, has_answer);
        let status = match &ending {
            Ending::Cancelled => RunStatus::Cancelled,
            Ending::Settled | Ending::Cut(_) => of_counts,
        };
        let status = standing.step(Step::End(status)).map_err(|_| FenceError::Lost)?;
        let problem = match ending {
            _ if status == RunStatus::Cancelled => None,
            Ending::Cut(problem) => Some(problem),
            Ending::Settled if status == RunStatus::Failed => Some(RunProblem {
                code: "all_tasks_failed".to_owned(),
                detail: "none of the texts that were asked for is there; each result says why".to_owned(),
            }),
            Ending::Settled | Ending::Cancelled => None,
        };
        Ok(Self { status, problem, tasks })
    }

    /// The event that says how the run ended.
    fn event(&self) -> NewEvent {
        NewEvent::new(
            event_of(self.status),
            json!({
                "tasks_completed": self.tasks.completed,
                "tasks_failed": self.tasks.failed,
                "tasks_expected": self.tasks.expected,
                "problem": self.problem,
            }),
        )
    }

    /// Writes how the run stands from now on, and takes `numbers` more for events.
    async fn write(
        &self,
        tx: &TenantTx,
        fence: Fence,
        numbers: i64,
        now: DateTime<Utc>,
    ) -> Result<LastRow, FenceError> {
        let problem = self.problem.as_ref();
        let mut update = Query::update();
        update
            .table("runs")
            .value("status", self.status.as_str())
            .value("requested", Option::<String>::None)
            .value("claimed_by", Option::<uuid::Uuid>::None)
            .value("problem_code", problem.map(|problem| problem.code.clone()))
            .value("problem_detail", problem.map(|problem| problem.detail.clone()))
            .value("finished_at", now)
            .value("last_event", Expr::col("last_event").add(numbers));
        fenced(fence, &mut update)
            .returning(Query::returning().exprs([Expr::col("last_event"), webhook_endpoints::count_enabled()]));
        let Some(row) = tx.query_one(&update).await? else { return Err(FenceError::Lost) };
        Ok(LastRow {
            last_event: unsigned(row.try_get_by_index(0)?),
            has_endpoints: row.try_get_by_index::<i64>(1)? > 0,
        })
    }

    /// Writes the deliveries of the event, where anybody is to hear of it.
    async fn deliver(
        &self,
        tx: &TenantTx,
        fence: Fence,
        written: LastRow,
        webhook_url: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        if !written.has_endpoints && webhook_url.is_none() {
            return Ok(Vec::new());
        }
        let row = find(tx, fence.run).await?.ok_or(StoreError::NotFound("run"))?;
        let tasks = list_results(tx, &row).await?;
        let view = assemble(&row, Some(&tasks));
        deliveries::create(tx, event_of(self.status), &view, webhook_url, now).await
    }
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
