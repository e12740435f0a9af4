//! Reserving for a run in every budget that applies to it, or in none. What decides is one UPDATE per budget that holds only
//! while the amount fits, so that two submissions never both get what is left for one.

use acm2_domain::ids::{ApiKeyId, RunId};
use acm2_domain::money::Usd;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict, Query, SelectStatement};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::row::{BudgetRow, subject};
use super::standing::{Standing, standing};
use super::{budget_entity, reservation_entity};
use crate::{StoreError, TenantTx};

/// What a run asks of its budgets.
#[derive(Debug, Clone, Copy)]
pub struct Reservation {
    /// The run; it need not be written yet.
    pub run: RunId,
    /// What it may cost from now on. Whoever reserves makes it part of the run's `max_cost`, which is what holds the worker to it.
    pub amount: Usd,
    /// What it had cost before, `spent` and `in_doubt`: nothing for a new run. Only what comes on top is settled at the end.
    pub baseline: Usd,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// It fitted everywhere.
    Done,
    /// It does not fit here. The transaction must not be committed: it may have reserved elsewhere.
    Exceeded(Box<Standing>),
}

/// The budgets that apply to runs of the API key: its own and the tenant's, sorted by id, and locked until the transaction's end.
pub async fn lock_applying(tx: &TenantTx, api_key: Option<ApiKeyId>) -> Result<Vec<BudgetRow>, StoreError> {
    use budget_entity::{Column, Entity};
    let query = Entity::find()
        .filter(Column::SubjectId.is_in(subjects(tx, api_key)))
        .order_by_asc(Column::Id)
        .lock(LockType::Update);
    query.all(tx).await?.iter().map(|row| BudgetRow::read(tx.tenant(), row)).collect()
}

/// Selects something where a budget applies to runs of the API key.
pub(crate) fn applying(tx: &TenantTx, api_key: Option<ApiKeyId>) -> SelectStatement {
    use budget_entity::{Column, Entity};
    let subjects = subjects(tx, api_key);
    Query::select().expr(Expr::value(1)).from(Entity).and_where(Column::SubjectId.is_in(subjects)).to_owned()
}

/// Under what the budgets that apply to runs of the API key are kept.
fn subjects(tx: &TenantTx, api_key: Option<ApiKeyId>) -> Vec<Uuid> {
    let mut subjects = vec![subject(tx, None)];
    subjects.extend(api_key.map(ApiKeyId::uuid));
    subjects
}

/// Reserves in each of the budgets, which `lock_applying` gave, in the period that `now` is in. A run that reserved before and
/// was settled reserves anew, for what it is yet to do.
pub async fn reserve(
    tx: &TenantTx,
    budgets: &[BudgetRow],
    reservation: Reservation,
    now: DateTime<Utc>,
) -> Result<Reserved, StoreError> {
    use reservation_entity::{ActiveModel, Column, Entity};
    let mut rows = Vec::with_capacity(budgets.len());
    for budget in budgets {
        let starts_at = budget.period.starts_at(now);
        if !take(tx, budget, starts_at, reservation.amount).await? {
            return Ok(Reserved::Exceeded(Box::new(standing(tx, budget.clone(), now).await?)));
        }
        rows.push(ActiveModel {
            run_id: Set(reservation.run.uuid()),
            budget_id: Set(budget.id.uuid()),
            starts_at: Set(starts_at),
            amount: Set(reservation.amount.pico()),
            baseline: Set(reservation.baseline.pico()),
            settled: Set(None),
        });
    }
    if !rows.is_empty() {
        let anew = [Column::StartsAt, Column::Amount, Column::Baseline, Column::Settled];
        let again = OnConflict::columns([Column::RunId, Column::BudgetId]).update_columns(anew).to_owned();
        Entity::insert_many(rows).on_conflict(again).exec_without_returning(tx).await?;
    }
    Ok(Reserved::Done)
}

/// Adds to what is reserved in a period, where it fits.
async fn take(tx: &TenantTx, budget: &BudgetRow, starts_at: DateTime<Utc>, amount: Usd) -> Result<bool, StoreError> {
    let (amount, limit) = (amount.pico(), budget.limit.pico());
    if amount > limit {
        return Ok(false);
    }
    let present = |column: &'static str| Expr::col(("budget_periods", column));
    let add = OnConflict::columns(["budget_id", "starts_at"])
        .value("reserved", present("reserved").add(amount))
        .action_and_where(present("reserved").add(present("spent")).lte(limit - amount))
        .to_owned();
    let insert = Query::insert()
        .into_table("budget_periods")
        .columns(["budget_id", "starts_at", "reserved", "spent"])
        .values_panic([budget.id.uuid().into(), starts_at.into(), amount.into(), 0_i64.into()])
        .on_conflict(add)
        .to_owned();
    Ok(tx.execute(&insert).await?.rows_affected() == 1)
}
