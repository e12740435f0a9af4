//! Claiming a delivery for one try. Whether the holder is stale is asked before, of the control store.

use acm2_domain::ids::WorkerId;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::read::DeliveryRow;
use crate::{StoreError, TenantTx};

/// Proof that its holder makes the try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryClaim {
    /// The delivery.
    pub delivery: acm2_domain::ids::DeliveryId,
    /// The value of `deliveries.claim` that the claim set.
    pub claim: i64,
}

/// Claims the delivery, provided that it is still pending and nobody has claimed it since `seen` was read.
pub async fn claim(tx: &TenantTx, seen: &DeliveryRow, me: WorkerId) -> Result<Option<DeliveryClaim>, StoreError> {
    let update = Query::update()
        .table("deliveries")
        .value("claim", seen.claim + 1)
        .value("claimed_by", me.uuid())
        .and_where(Expr::col("id").eq(seen.id.uuid()))
        .and_where(Expr::col("claim").eq(seen.claim))
        .and_where(Expr::col("status").eq("pending"))
        .to_owned();
    let updated = tx.execute(&update).await?;
    Ok((updated.rows_affected() == 1).then_some(DeliveryClaim { delivery: seen.id, claim: seen.claim + 1 }))
}
