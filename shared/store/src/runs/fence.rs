//! The fence (PROTOCOL rule 6): every transaction of a worker begins with one UPDATE that succeeds only while the worker's claim
//! stands. It numbers the events, moves the money and brings commands.

use std::ops::Add;

use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use acm2_domain::run::{NewEvent, Requested, RunStatus};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query, UpdateStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::events::write_events;
use crate::column::{from_word, signed, unsigned};
use crate::{StoreError, TenantTx};

/// A claim on a run: proof that its holder may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The run.
    pub run: RunId,
    /// The value of `runs.claim` that the claim set.
    pub claim: i64,
}

/// By how much a write moves the run's counters. Amounts may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// Known cost, in picodollars.
    pub spent: i64,
    /// What calls under way may cost, in picodollars.
    pub reserved: i64,
    /// What attempts in doubt may have cost, in picodollars.
    pub in_doubt: i64,
    /// Tasks that got their answer.
    pub completed: u32,
    /// Tasks whose answer was taken away, because it answered another question.
    pub forgotten: u32,
    /// Tasks that failed.
    pub failed: u32,
    /// Answered calls whose cost is unknown.
    pub unknown_costs: u32,
    /// Attempts in doubt of which nobody knows what they may have cost.
    pub unknown_doubts: u32,
}

impl Add for Change {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            spent: self.spent.saturating_add(other.spent),
            reserved: self.reserved.saturating_add(other.reserved),
            in_doubt: self.in_doubt.saturating_add(other.in_doubt),
            completed: self.completed + other.completed,
            forgotten: self.forgotten + other.forgotten,
            failed: self.failed + other.failed,
            unknown_costs: self.unknown_costs + other.unknown_costs,
            unknown_doubts: self.unknown_doubts + other.unknown_doubts,
        }
    }
}

/// What commands have left on a run for its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orders {
    /// A command that stands.
    pub requested: Option<Requested>,
    /// How many tasks have been left out so far.
    pub skips: u32,
}

/// What the fence tells its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fenced {
    /// The number of the last event.
    pub last_event: u64,
    /// What commands have left on the run.
    pub orders: Orders,
    /// What the ceiling leaves after this write; `None` without a ceiling.
    pub room: Option<Usd>,
    /// What the run has cost as ceilings and budgets count it, without what is reserved.
    pub consumed: Usd,
    /// How its tasks stand.
    pub tasks: TaskCounts,
}

/// How many tasks a run has, and how many of them are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskCounts {
    /// All that it consists of.
    pub expected: u32,
    /// Those with an answer.
    pub completed: u32,
    /// Those that failed.
    pub failed: u32,
}

/// Why a fenced write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// Another claim stands, or the run has ended.
    #[error("the run is no longer held")]
    Lost,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sea_orm::DbErr> for FenceError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// Passes the fence, moves the counters and writes the events. A committed answer proves progress, so it clears the poison.
pub async fn write(
    tx: &TenantTx,
    fence: Fence,
    change: Change,
    events: &[NewEvent],
    now: DateTime<Utc>,
) -> Result<Fenced, FenceError> {
    let fenced = lock(tx, fence, change, events.len() as u64).await?;
    write_events(tx, fence.run, fenced.last_event + 1 - events.len() as u64, events, now).await?;
    Ok(fenced)
}

/// Passes the fence, which locks the run's row until the end of the transaction, moves the counters, and keeps numbers for
/// `events`: `write_events` of the same transaction must use them all, up to `last_event`.
pub async fn lock(tx: &TenantTx, fence: Fence, change: Change, events: u64) -> Result<Fenced, FenceError> {
    pass(tx, fence, &mut moving(change, events)).await
}

/// An UPDATE of the run that moves its counters and keeps numbers for events.
pub(super) fn moving(change: Change, events: u64) -> UpdateStatement {
    let mut update = Query::update();
    update.table("runs").value("last_event", Expr::col("last_event").add(signed(events)));
    if change.spent != 0 {
        update.value("spent", Expr::col("spent").add(change.spent));
    }
    if change.reserved != 0 {
        update.value("reserved", Expr::col("reserved").add(change.reserved));
    }
    if change.in_doubt != 0 {
        update.value("in_doubt", Expr::col("in_doubt").add(change.in_doubt));
    }
    if change.completed > 0 {
        update.value("poison", 0);
    }
    if change.completed != change.forgotten {
        update.value("tasks_completed", tasks_completed(change));
    }
    if change.failed > 0 {
        update.value("tasks_failed", Expr::col("tasks_failed").add(change.failed as i32));
    }
    if change.unknown_costs > 0 {
        update.value("unknown_costs", Expr::col("unknown_costs").add(change.unknown_costs as i32));
    }
    if change.unknown_doubts > 0 {
        update.value("unknown_doubts", Expr::col("unknown_doubts").add(change.unknown_doubts as i32));
    }
    update
}

/// How many tasks have an answer after the change.
pub(super) fn tasks_completed(change: Change) -> Expr {
    Expr::col("tasks_completed").add(change.completed as i32 - change.forgotten as i32)
}

/// Moves the reservation alone, up or down. The row must be locked by a `lock` of the same transaction.
pub async fn reserve(tx: &TenantTx, fence: Fence, amount: Usd) -> Result<Fenced, FenceError> {
    let mut update = Query::update();
    update.table("runs").value("reserved", Expr::col("reserved").add(amount.pico()));
    pass(tx, fence, &mut update).await
}

/// What commands have left on the run, while the fence holds. Writes nothing.
pub async fn find_orders(tx: &TenantTx, fence: Fence) -> Result<Option<Orders>, StoreError> {
    let select = Query::select()
        .columns(["requested", "skips"])
        .from("runs")
        .and_where(Expr::col("id").eq(fence.run.uuid()))
        .and_where(Expr::col("claim").eq(fence.claim))
        .and_where(Expr::col("status").eq(RunStatus::Running.as_str()))
        .to_owned();
    tx.query_one(&select).await?.map(|row| orders(&row)).transpose()
}

fn orders(row: &QueryResult) -> Result<Orders, StoreError> {
    let requested: Option<String> = row.try_get_by("requested")?;
    let skips: i32 = row.try_get_by("skips")?;
    Ok(Orders {
        requested: requested.map(|text| from_word("runs.requested", &text)).transpose()?,
        skips: u32::try_from(skips).unwrap_or(0),
    })
}

/// An UPDATE of the run, under the fence.
pub(super) fn fenced(fence: Fence, update: &mut UpdateStatement) -> &mut UpdateStatement {
    let open = [RunStatus::Queued, RunStatus::Running, RunStatus::Paused].map(RunStatus::as_str);
    update
        .and_where(Expr::col("id").eq(fence.run.uuid()))
        .and_where(Expr::col("claim").eq(fence.claim))
        .and_where(Expr::col("status").is_in(open))
}

/// What an UPDATE of the run returns for `read`.
pub(super) const RETURNED: [&str; 10] = [
    "last_event",
    "requested",
    "skips",
    "max_cost",
    "spent",
    "reserved",
    "in_doubt",
    "tasks_expected",
    "tasks_completed",
    "tasks_failed",
];

/// Runs an UPDATE of the run under the fence.
pub(super) async fn pass(tx: &TenantTx, fence: Fence, update: &mut UpdateStatement) -> Result<Fenced, FenceError> {
    fenced(fence, update).returning(Query::returning().columns(RETURNED));
    let Some(row) = tx.query_one(update).await? else { return Err(FenceError::Lost) };
    Ok(read(&row)?)
}

/// What the fence tells, from `RETURNED`.
pub(super) fn read(row: &QueryResult) -> Result<Fenced, StoreError> {
    let ceiling: Option<i64> = row.try_get_by("max_cost")?;
    let amount = |column| row.try_get_by::<i64, _>(column);
    let consumed = amount("spent")?.saturating_add(amount("in_doubt")?);
    let used = consumed.saturating_add(amount("reserved")?);
    let count = |column| row.try_get_by::<i32, _>(column).map(|count| u32::try_from(count).unwrap_or(0));
    Ok(Fenced {
        last_event: unsigned(row.try_get_by("last_event")?),
        orders: orders(row)?,
        room: ceiling.map(|ceiling| Usd::from_pico(Ord::max(ceiling.saturating_sub(used), 0))),
        consumed: Usd::from_pico(consumed),
        tasks: TaskCounts {
            expected: count("tasks_expected")?,
            completed: count("tasks_completed")?,
            failed: count("tasks_failed")?,
        },
    })
}
