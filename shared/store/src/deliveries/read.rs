//! Looking at deliveries.

use acm2_domain::ids::{DeliveryId, RunId, WebhookEndpointId, WorkerId};
pub use acm2_domain::webhook::DeliveryStatus;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect};

use super::attempt_entity;
use super::delivery_entity::{Column, Entity, Model};
use crate::{StoreError, TenantTx};

/// A delivery as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its id, the `webhook-id` of every try.
    pub id: DeliveryId,
    /// The endpoint; `None` for a run's own URL.
    pub endpoint: Option<WebhookEndpointId>,
    /// The run that it is about.
    pub run: Option<RunId>,
    /// The type of the event.
    pub event_type: String,
    /// Where it goes.
    pub url: String,
    /// Its exact bytes; empty once they are forgotten with their run, and in lists.
    pub payload: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Failed tries since it was made or redelivered: its place in the schedule.
    pub attempts: u32,
    /// When the next try is due.
    pub next_attempt_at: DateTime<Utc>,
    /// The fence.
    pub claim: i64,
    /// Who claimed it last.
    pub claimed_by: Option<WorkerId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was delivered or given up.
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<Model> for DeliveryRow {
    fn from(row: Model) -> Self {
        Self {
            id: row.id.into(),
            endpoint: row.endpoint_id.map(WebhookEndpointId::from),
            run: row.run_id.map(RunId::from),
            event_type: row.event_type,
            url: row.url,
            payload: row.payload,
            status: match row.status.as_str() {
                "delivered" => DeliveryStatus::Delivered,
                "failed" => DeliveryStatus::Failed,
                _ => DeliveryStatus::Pending,
            },
            attempts: u32::try_from(row.attempts).unwrap_or(0),
            next_attempt_at: row.next_attempt_at,
            claim: row.claim,
            claimed_by: row.claimed_by.map(WorkerId::from),
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// One try of a delivery as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttemptRow {
    /// Counted from 1.
    pub number: u32,
    /// When.
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

/// The delivery, if there is one.
pub async fn find(tx: &TenantTx, delivery: DeliveryId) -> Result<Option<DeliveryRow>, StoreError> {
    Ok(Entity::find_by_id(delivery.uuid()).one(tx).await?.map(DeliveryRow::from))
}

/// Where the delivery stands, and until this transaction ends nobody else changes that.
pub async fn lock(tx: &TenantTx, delivery: DeliveryId) -> Result<Option<DeliveryStatus>, StoreError> {
    let row = Entity::find_by_id(delivery.uuid()).lock_exclusive().one(tx).await?;
    Ok(row.map(|row| DeliveryRow::from(row).status))
}

/// Deliveries to an endpoint (or all), newest first, those before `after` in the list; with an empty `payload`.
pub async fn list(
    tx: &TenantTx,
    endpoint: Option<WebhookEndpointId>,
    after: Option<DeliveryId>,
    limit: u64,
) -> Result<Vec<DeliveryRow>, StoreError> {
    // Without the texts, which may be large.
    let columns = Column::iter().filter(|column| !matches!(column, Column::Payload));
    let no_text = Expr::value("");
    let mut query = Entity::find().select_only().columns(columns).expr_as(no_text, "payload");
    query = query.order_by_desc(Column::Id).limit(limit);
    if let Some(endpoint) = endpoint {
        query = query.filter(Column::EndpointId.eq(endpoint.uuid()));
    }
    if let Some(after) = after {
        query = query.filter(Column::Id.lt(after.uuid()));
    }
    Ok(query.all(tx).await?.into_iter().map(DeliveryRow::from).collect())
}

/// Every try of a delivery, oldest first.
pub async fn list_attempts(tx: &TenantTx, delivery: DeliveryId) -> Result<Vec<DeliveryAttemptRow>, StoreError> {
    let rows = attempt_entity::Entity::find()
        .filter(attempt_entity::Column::DeliveryId.eq(delivery.uuid()))
        .order_by_asc(attempt_entity::Column::Number)
        .all(tx)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| DeliveryAttemptRow {
            number: u32::try_from(row.number).unwrap_or(0),
            at: row.at,
            status_code: row.status_code.and_then(|status| u16::try_from(status).ok()),
            duration_ms: u64::try_from(row.duration_ms).unwrap_or(0),
            excerpt: row.excerpt,
            error: row.error,
        })
        .collect())
}
