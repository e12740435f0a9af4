//! Recording what came of a try, and sending a delivery anew.

use acm2_domain::ids::{DeliveryId, RunId};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::attempt_entity;
use super::claim::DeliveryClaim;
use crate::{StoreError, TenantTx};

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// When it began.
    pub at: DateTime<Utc>,
    /// What the receiver answered.
    pub status_code: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// The beginning of the receiver's answer.
    pub excerpt: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The receiver took it.
    Delivered,
    /// Given up.
    Failed,
    /// Another try at this time.
    RetryAt(DateTime<Utc>),
}

/// Records a try under its claim, once; whether the claim still stood. If not, nothing is written.
pub async fn record(
    tx: &TenantTx,
    claim: DeliveryClaim,
    tried: &Tried,
    next: Next,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut update = Query::update();
    update.table("deliveries").value("claimed_by", Option::<uuid::Uuid>::None);
    match next {
        Next::Delivered => update.value("status", "delivered").value("finished_at", now),
        Next::Failed => update.value("status", "failed").value("finished_at", now),
        Next::RetryAt(at) => update.value("next_attempt_at", at).value("attempts", Expr::col("attempts").add(1)),
    };
    update
        .and_where(Expr::col("id").eq(claim.delivery.uuid()))
        .and_where(Expr::col("claim").eq(claim.claim))
        // Recording frees the claim: a try whose commit was unclear is not recorded twice.
        .and_where(Expr::col("claimed_by").is_not_null())
        .and_where(Expr::col("status").eq("pending"));
    if tx.execute(&update).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let made = attempt_entity::Entity::find()
        .filter(attempt_entity::Column::DeliveryId.eq(claim.delivery.uuid()))
        .count(tx)
        .await?;
    let clean = |text: &Option<String>| text.as_ref().map(|text| text.replace('\0', "\u{fffd}"));
    let row = attempt_entity::ActiveModel {
        delivery_id: Set(claim.delivery.uuid()),
        number: Set(i32::try_from(made + 1).unwrap_or(i32::MAX)),
        at: Set(tried.at),
        status_code: Set(tried.status_code.map(i32::from)),
        duration_ms: Set(i64::try_from(tried.duration_ms).unwrap_or(i64::MAX)),
        excerpt: Set(clean(&tried.excerpt)),
        error: Set(clean(&tried.error)),
    };
    attempt_entity::Entity::insert(row).exec_without_returning(tx).await?;
    if !matches!(next, Next::RetryAt(_)) {
        forget_if_orphaned(tx, claim.delivery).await?;
    }
    Ok(true)
}

/// Takes the text out of the finished deliveries of a run that is deleted.
pub(crate) async fn forget_payloads(tx: &TenantTx, run: RunId) -> Result<(), StoreError> {
    let update = Query::update()
        .table("deliveries")
        .value("payload", "")
        .and_where(Expr::col("run_id").eq(run.uuid()))
        .and_where(Expr::col("status").ne("pending"))
        .to_owned();
    tx.execute(&update).await?;
    Ok(())
}

/// The same for one delivery whose run was deleted while it was pending.
async fn forget_if_orphaned(tx: &TenantTx, delivery: DeliveryId) -> Result<(), StoreError> {
    let runs = Query::select().column("id").from("runs").to_owned();
    let update = Query::update()
        .table("deliveries")
        .value("payload", "")
        .and_where(Expr::col("id").eq(delivery.uuid()))
        .and_where(Expr::col("run_id").is_not_null())
        .and_where(Expr::col("run_id").not_in_subquery(runs))
        .to_owned();
    tx.execute(&update).await?;
    Ok(())
}

/// Makes a delivery pending again, due at once, at the beginning of its schedule and under its old id; whether there is one that still has its text.
/// Whoever makes a try of it at this moment loses its claim.
pub async fn redeliver(tx: &TenantTx, delivery: DeliveryId, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let update = Query::update()
        .table("deliveries")
        .value("status", "pending")
        .value("attempts", 0)
        .value("next_attempt_at", now)
        .value("finished_at", Option::<DateTime<Utc>>::None)
        .value("claim", Expr::col("claim").add(1_i64))
        .value("claimed_by", Option::<uuid::Uuid>::None)
        .and_where(Expr::col("id").eq(delivery.uuid()))
        .and_where(Expr::col("payload").ne(""))
        .to_owned();
    Ok(tx.execute(&update).await?.rows_affected() == 1)
}
