//! `deliveries`: webhooks that were sent or will be, every try of them, and sending anew.

use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::{DeliveryId, WebhookEndpointId};
use acm2_domain::webhook::DeliveryStatus;
use acm2_store::deliveries::{self as store, DeliveryAttemptRow, DeliveryRow};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::Tag;
use super::page::Page;
use super::webhook_bodies::{Delivery, DeliveryAttempt, DeliveryDetail, DeliveryList};
use crate::auth::{Allowed, Scope, WebhooksRead, WebhooksWrite};
use crate::problem::Failure;
use crate::reply::{Accepted, Reply};
use crate::tail;

/// `deliveries`.
pub(super) struct Deliveries;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Deliveries")]
impl Deliveries {
    /// List deliveries.
    ///
    /// Needs the scope `webhooks:read`. Newest first.
    #[oai(path = "/deliveries", method = "get", operation_id = "deliveries.list")]
    async fn list(
        &self,
        caller: Allowed<WebhooksRead>,
        /// Only those to this endpoint.
        webhook_endpoint_id: Query<Option<WebhookEndpointId>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many deliveries a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<DeliveryList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let after = page.after.map(DeliveryId::from);
        let mut rows = store::list(&tx, webhook_endpoint_id.0, after, page.fetch()).await?;
        tx.commit().await?;
        let next_cursor = page.cut(&mut rows, |row| row.id.uuid());
        Ok(Reply::new(DeliveryList { items: rows.into_iter().map(Delivery::from).collect(), next_cursor }))
    }

    /// Get a delivery.
    ///
    /// Needs the scope `webhooks:read`. With every try, and, for a key that also has `runs:read`, the exact text that is sent.
    #[oai(path = "/deliveries/:delivery_id", method = "get", operation_id = "deliveries.get")]
    async fn get(
        &self,
        caller: Allowed<WebhooksRead>,
        delivery_id: Path<DeliveryId>,
    ) -> Result<Reply<DeliveryDetail>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::find(&tx, delivery_id.0).await?.ok_or_else(|| Error::not_found("delivery"))?;
        let attempts = store::list_attempts(&tx, delivery_id.0).await?;
        tx.commit().await?;
        // It may hold what a run was asked and answered.
        let shown = caller.scopes.allow(Scope::RunsRead) && !row.payload.is_empty();
        let payload = shown.then(|| row.payload.clone());
        let attempts = attempts.into_iter().map(DeliveryAttempt::from).collect();
        Ok(Reply::new(DeliveryDetail { delivery: row.into(), payload, attempts }))
    }

    /// Send a delivery anew.
    ///
    /// Needs the scope `webhooks:write`. The same text under the same `webhook-id`, at once, with the whole schedule before it.
    /// Not possible where the text was forgotten because its run was deleted.
    #[oai(path = "/deliveries/:delivery_id/redeliver", method = "post", operation_id = "deliveries.redeliver")]
    async fn redeliver(
        &self,
        caller: Allowed<WebhooksWrite>,
        delivery_id: Path<DeliveryId>,
    ) -> Result<Accepted<Delivery>, Failure> {
        let id = delivery_id.0;
        let tx = caller.store().begin().await?;
        let is_sent = store::redeliver(&tx, id, caller.app.clock.now()).await?;
        let row = store::find(&tx, id).await?.ok_or_else(|| Error::not_found("delivery"))?;
        if !is_sent {
            let detail = "the run of this delivery was deleted, and the text with it: there is nothing to send";
            return Err(Error::new(Kind::Conflict, "conflict", detail).into());
        }
        // Before the commit: a crash in between must not leave it to nobody.
        tail::write_job(&caller.app, caller.tenant, id).await?;
        tx.commit().await?;
        tail::enqueue_again(&caller.app, caller.tenant, id).await?;
        Ok(Accepted::new(row.into()).location(&path_of(id)))
    }
}

/// The path of a delivery.
pub(super) fn path_of(id: DeliveryId) -> String {
    format!("/api/v1/deliveries/{id}")
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id,
            webhook_endpoint_id: row.endpoint,
            run_id: row.run,
            event_type: row.event_type,
            url: row.url,
            next_attempt_at: (row.status == DeliveryStatus::Pending).then_some(row.next_attempt_at),
            status: row.status,
            attempts: row.attempts,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

impl From<DeliveryAttemptRow> for DeliveryAttempt {
    fn from(row: DeliveryAttemptRow) -> Self {
        Self {
            number: row.number,
            at: row.at,
            status_code: row.status_code,
            duration_ms: row.duration_ms,
            excerpt: row.excerpt,
            error: row.error,
        }
    }
}
