//! Places that webhooks are sent to: rows with sealed signing secrets. Called by `api` (settings) and `worker` (deliveries).

use std::fmt;

use acm2_domain::ids::WebhookEndpointId;
use acm2_domain::run::EventType;
use acm2_domain::webhook::PayloadStyle;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use crate::column::{from_json, from_word, to_json, to_word};
use crate::entities::webhook_endpoint::{ActiveModel, Column, Entity, Model};
use crate::error::StoreError;
use crate::tenant_tx::TenantTx;

/// A sealed secret that still signs beside the one that took its place.
#[derive(Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    /// The ciphertext, bound to the place of the previous secret.
    pub sealed: Vec<u8>,
    /// Until when it signs.
    pub until: DateTime<Utc>,
}

impl fmt::Debug for PreviousSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreviousSecret").field("until", &self.until).finish_non_exhaustive()
    }
}

impl PreviousSecret {
    pub(crate) fn read(sealed: Option<Vec<u8>>, until: Option<DateTime<Utc>>) -> Option<Self> {
        Some(Self { sealed: sealed?, until: until? })
    }
}

/// An endpoint as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookEndpointRow {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Where it is.
    pub url: String,
    /// What it is for, for people.
    pub description: String,
    /// What it wants to hear of.
    pub events: Vec<EventType>,
    /// How much of a run it is sent.
    pub payload_style: PayloadStyle,
    /// The signing secret, sealed.
    pub secret: Vec<u8>,
    /// The secret before the last rotation. It may have had its time.
    pub previous_secret: Option<PreviousSecret>,
    /// Whether it is sent anything.
    pub is_enabled: bool,
    /// Why it is not, if we switched it off.
    pub disabled_reason: Option<String>,
    /// The first failure since its last success.
    pub first_failure_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

impl fmt::Debug for WebhookEndpointRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEndpointRow")
            .field("id", &self.id)
            .field("is_enabled", &self.is_enabled)
            .finish_non_exhaustive()
    }
}

/// A new endpoint.
#[derive(Clone)]
pub struct NewWebhookEndpoint {
    /// Its id, made by the caller because the ciphertext is bound to it.
    pub id: WebhookEndpointId,
    /// Where it is.
    pub url: String,
    /// What it is for, for people.
    pub description: String,
    /// What it wants to hear of.
    pub events: Vec<EventType>,
    /// How much of a run it is sent.
    pub payload_style: PayloadStyle,
    /// The signing secret, sealed.
    pub secret: Vec<u8>,
}

/// What may be changed of an endpoint; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct WebhookEndpointChange {
    /// Another place.
    pub url: Option<String>,
    /// Another description.
    pub description: Option<String>,
    /// Other events.
    pub events: Option<Vec<EventType>>,
    /// Another style.
    pub payload_style: Option<PayloadStyle>,
    /// On or off; on also forgets earlier failures.
    pub is_enabled: Option<bool>,
}

impl WebhookEndpointRow {
    fn read(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            url: row.url,
            description: row.description,
            events: from_json("webhook_endpoints.events", &row.events)?,
            payload_style: from_word("webhook_endpoints.payload_style", &row.payload_style)?,
            secret: row.secret,
            previous_secret: PreviousSecret::read(row.previous_secret, row.previous_secret_until),
            is_enabled: row.is_enabled,
            disabled_reason: row.disabled_reason,
            first_failure_at: row.first_failure_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Writes a new endpoint; it is enabled.
pub async fn insert(
    tx: &TenantTx,
    endpoint: NewWebhookEndpoint,
    now: DateTime<Utc>,
) -> Result<WebhookEndpointRow, StoreError> {
    let values = ActiveModel {
        id: Set(endpoint.id.uuid()),
        url: Set(endpoint.url),
        description: Set(endpoint.description),
        events: Set(to_json(&endpoint.events)),
        payload_style: Set(to_word(endpoint.payload_style)),
        secret: Set(endpoint.secret),
        previous_secret: Set(None),
        previous_secret_until: Set(None),
        is_enabled: Set(true),
        disabled_reason: Set(None),
        first_failure_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(values).exec_without_returning(tx).await?;
    get(tx, endpoint.id).await
}

/// The endpoints, newest first, made before `before`.
pub async fn list(
    tx: &TenantTx,
    before: Option<WebhookEndpointId>,
    limit: u64,
) -> Result<Vec<WebhookEndpointRow>, StoreError> {
    let mut query = Entity::find().order_by_desc(Column::Id).limit(limit);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.uuid()));
    }
    query.all(tx).await?.into_iter().map(WebhookEndpointRow::read).collect()
}

/// How many there are.
pub async fn count(tx: &TenantTx) -> Result<u64, StoreError> {
    Ok(Entity::find().count(tx).await?)
}

/// The enabled endpoints that want to hear of an event, oldest first.
pub async fn list_for_event(tx: &TenantTx, event: EventType) -> Result<Vec<WebhookEndpointRow>, StoreError> {
    let rows = Entity::find().filter(Column::IsEnabled.eq(true)).order_by_asc(Column::Id).all(tx).await?;
    let mut endpoints = rows.into_iter().map(WebhookEndpointRow::read).collect::<Result<Vec<_>, _>>()?;
    endpoints.retain(|endpoint| endpoint.events.contains(&event));
    Ok(endpoints)
}

/// How many endpoints are sent anything, as a part of another statement.
pub(crate) fn count_enabled() -> Expr {
    let count =
        Entity::find().filter(Column::IsEnabled.eq(true)).select_only().expr(Expr::cust("COUNT(*)")).into_query();
    Expr::SubQuery(None, Box::new(count.into()))
}

/// One endpoint.
///
/// # Errors
/// `NotFound`.
pub async fn get(tx: &TenantTx, id: WebhookEndpointId) -> Result<WebhookEndpointRow, StoreError> {
    find(tx, id).await?.ok_or(StoreError::NotFound("webhook endpoint"))
}

/// One endpoint, or `None` if it was deleted.
pub async fn find(tx: &TenantTx, id: WebhookEndpointId) -> Result<Option<WebhookEndpointRow>, StoreError> {
    Entity::find_by_id(id.uuid()).one(tx).await?.map(WebhookEndpointRow::read).transpose()
}

/// Changes an endpoint.
///
/// # Errors
/// `NotFound`.
pub async fn update(
    tx: &TenantTx,
    id: WebhookEndpointId,
    change: WebhookEndpointChange,
    now: DateTime<Utc>,
) -> Result<WebhookEndpointRow, StoreError> {
    let mut update =
        Entity::update_many().col_expr(Column::UpdatedAt, Expr::value(now)).filter(Column::Id.eq(id.uuid()));
    if let Some(url) = change.url {
        update = update.col_expr(Column::Url, Expr::value(url));
    }
    if let Some(description) = change.description {
        update = update.col_expr(Column::Description, Expr::value(description));
    }
    if let Some(events) = change.events {
        update = update.col_expr(Column::Events, Expr::value(to_json(&events)));
    }
    if let Some(style) = change.payload_style {
        update = update.col_expr(Column::PayloadStyle, Expr::value(to_word(style)));
    }
    if let Some(is_enabled) = change.is_enabled {
        update = update
            .col_expr(Column::IsEnabled, Expr::value(is_enabled))
            .col_expr(Column::DisabledReason, Expr::value(None::<String>));
        if is_enabled {
            update = update.col_expr(Column::FirstFailureAt, Expr::value(None::<DateTime<Utc>>));
        }
    }
    update.exec(tx).await?;
    get(tx, id).await
}

/// Puts a new signing secret in the place of the one that was read; the old one goes on signing beside it for a while.
///
/// # Errors
/// `NotFound`; `Conflict` if another rotation came between.
pub async fn rotate_secret(
    tx: &TenantTx,
    read: &WebhookEndpointRow,
    secret: Vec<u8>,
    previous: Option<PreviousSecret>,
    now: DateTime<Utc>,
) -> Result<WebhookEndpointRow, StoreError> {
    let (sealed, until) = previous.map(|previous| (previous.sealed, previous.until)).unzip();
    let update = Entity::update_many()
        .col_expr(Column::Secret, Expr::value(secret))
        .col_expr(Column::PreviousSecret, Expr::value(sealed))
        .col_expr(Column::PreviousSecretUntil, Expr::value(until))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(read.id.uuid()))
        .filter(Column::Secret.eq(read.secret.clone()));
    let rotated = update.exec(tx).await?.rows_affected == 1;
    let row = get(tx, read.id).await?;
    if rotated { Ok(row) } else { Err(StoreError::Conflict("the secret was rotated at the same moment".to_owned())) }
}

/// Deletes an endpoint.
///
/// # Errors
/// `NotFound`.
pub async fn delete(tx: &TenantTx, id: WebhookEndpointId) -> Result<(), StoreError> {
    match Entity::delete_by_id(id.uuid()).exec(tx).await?.rows_affected {
        0 => Err(StoreError::NotFound("webhook endpoint")),
        _ => Ok(()),
    }
}

/// Notes that an endpoint took a delivery: earlier failures are forgotten.
pub async fn record_success(tx: &TenantTx, id: WebhookEndpointId) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::FirstFailureAt, Expr::value(None::<DateTime<Utc>>))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Column::FirstFailureAt.is_not_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Notes that an endpoint failed, and switches it off once it has failed for `disable_after` without a success. Tells whether it
/// did so now.
pub async fn record_failure(
    tx: &TenantTx,
    id: WebhookEndpointId,
    now: DateTime<Utc>,
    disable_after: TimeDelta,
) -> Result<bool, StoreError> {
    let first = Entity::update_many()
        .col_expr(Column::FirstFailureAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Column::FirstFailureAt.is_null());
    if first.exec(tx).await?.rows_affected == 1 {
        return Ok(false);
    }
    let has_failed_for_long = Column::FirstFailureAt.lte(now - disable_after);
    let reason = "it failed for too long without a success";
    switch_off(tx, id, reason, now, Some(has_failed_for_long)).await
}

/// Switches an endpoint off. Tells whether it was on.
pub async fn disable(
    tx: &TenantTx,
    id: WebhookEndpointId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    switch_off(tx, id, reason, now, None).await
}

async fn switch_off(
    tx: &TenantTx,
    id: WebhookEndpointId,
    reason: &str,
    now: DateTime<Utc>,
    only_if: Option<Expr>,
) -> Result<bool, StoreError> {
    let mut update = Entity::update_many()
        .col_expr(Column::IsEnabled, Expr::value(false))
        .col_expr(Column::DisabledReason, Expr::value(reason))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Column::IsEnabled.eq(true));
    if let Some(condition) = only_if {
        update = update.filter(condition);
    }
    Ok(update.exec(tx).await?.rows_affected == 1)
}
