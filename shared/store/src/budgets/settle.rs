//! What becomes of a reservation: at the run's end what was not spent is free again, in the period of the reservation; an answer
//! that comes after the end corrects what the run is counted with. Called by `runs`, while the run's row is locked.

use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::reservation_entity::{Column, Entity, Model};
use crate::{StoreError, TenantTx};

/// Settles what the run still has reserved. `consumed` is all that it has cost, attempts in doubt at their worst case.
pub(crate) async fn settle(tx: &TenantTx, run: RunId, consumed: Usd) -> Result<(), StoreError> {
    for reservation in reservations(tx, run).await?.into_iter().filter(|reservation| reservation.settled.is_none()) {
        let used = used(&reservation, consumed);
        count(tx, &reservation, reservation.amount, used, used).await?;
    }
    Ok(())
}

/// Corrects what an ended run is counted with. A run that has not ended is left to `settle`.
pub(crate) async fn correct(tx: &TenantTx, run: RunId, consumed: Usd) -> Result<(), StoreError> {
    for reservation in reservations(tx, run).await? {
        let Some(settled) = reservation.settled else { continue };
        let used = used(&reservation, consumed);
        if used != settled {
            count(tx, &reservation, 0, used - settled, used).await?;
        }
    }
    Ok(())
}

/// Forgets what a run had reserved. It has been settled, and what it cost stays counted.
pub(crate) async fn forget(tx: &TenantTx, run: RunId) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::RunId.eq(run.uuid())).exec(tx).await?;
    Ok(())
}

/// What the run has cost since it reserved. Never less than nothing: a doubt from before the reservation that is taken away
/// afterwards gives back no more than was counted since.
fn used(reservation: &Model, consumed: Usd) -> i64 {
    Ord::max(consumed.pico().saturating_sub(reservation.baseline), 0)
}

/// Sorted as `reserve` goes through them, so that two transactions lock the same periods in one order.
async fn reservations(tx: &TenantTx, run: RunId) -> Result<Vec<Model>, StoreError> {
    let query = Entity::find().filter(Column::RunId.eq(run.uuid())).order_by_asc(Column::BudgetId);
    Ok(query.all(tx).await?)
}

async fn count(tx: &TenantTx, reservation: &Model, released: i64, spent: i64, settled: i64) -> Result<(), StoreError> {
    let period = Query::update()
        .table("budget_periods")
        .value("reserved", Expr::col("reserved").sub(released))
        .value("spent", Expr::col("spent").add(spent))
        .and_where(Expr::col("budget_id").eq(reservation.budget_id))
        .and_where(Expr::col("starts_at").eq(reservation.starts_at))
        .to_owned();
    tx.execute(&period).await?;
    let own = Query::update()
        .table("budget_reservations")
        .value("settled", settled)
        .and_where(Expr::col("run_id").eq(reservation.run_id))
        .and_where(Expr::col("budget_id").eq(reservation.budget_id))
        .to_owned();
    tx.execute(&own).await?;
    Ok(())
}
