//! Writing deliveries: the bytes are made here, once.

use acm2_domain::ids::{DeliveryId, RunId, WebhookEndpointId};
use acm2_domain::run::{EventType, Run};
use acm2_domain::webhook::{PayloadStyle, WebhookPayload};
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::delivery_entity::{ActiveModel, Column, Entity};
use crate::{StoreError, TenantTx, webhook_endpoints};

/// Writes a delivery for every webhook endpoint that wants the event, and one for the run's own URL where the run has ended.
pub async fn create(
    tx: &TenantTx,
    event_type: EventType,
    run: &Run,
    run_url: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<DeliveryId>, StoreError> {
    let mut targets: Vec<(Option<WebhookEndpointId>, String, PayloadStyle)> =
        webhook_endpoints::list_for_event(tx, event_type)
            .await?
            .into_iter()
            .map(|endpoint| (Some(endpoint.id), endpoint.url, endpoint.payload_style))
            .collect();
    if let Some(url) = run_url.filter(|_| run.status.is_terminal()) {
        targets.push((None, url.to_owned(), PayloadStyle::Thin));
    }
    let mut ids = Vec::with_capacity(targets.len());
    for (endpoint, url, style) in targets {
        let payload = WebhookPayload::new(event_type, now, style, run.clone());
        let payload = serde_json::to_string(&payload).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        ids.push(insert(tx, endpoint, Some(run.id), event_type.as_str(), &url, payload, now).await?);
    }
    Ok(ids)
}

/// Writes one delivery, due at once.
pub async fn insert(
    tx: &TenantTx,
    endpoint: Option<WebhookEndpointId>,
    run: Option<RunId>,
    event_type: &str,
    url: &str,
    payload: String,
    now: DateTime<Utc>,
) -> Result<DeliveryId, StoreError> {
    let id = DeliveryId::generate();
    let row = ActiveModel {
        id: Set(id.uuid()),
        endpoint_id: Set(endpoint.map(WebhookEndpointId::uuid)),
        run_id: Set(run.map(RunId::uuid)),
        event_type: Set(event_type.to_owned()),
        url: Set(url.to_owned()),
        payload: Set(payload),
        status: Set("pending".to_owned()),
        next_attempt_at: Set(now),
        created_at: Set(now),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(id)
}

/// The deliveries of a run that are still to be made.
pub async fn pending_of_run(tx: &TenantTx, run: RunId) -> Result<Vec<DeliveryId>, StoreError> {
    let ids: Vec<uuid::Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::RunId.eq(run.uuid()))
        .filter(Column::Status.eq("pending"))
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(ids.into_iter().map(DeliveryId::from).collect())
}
