//! `webhook-endpoints`: where signed webhooks go.

use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::WebhookEndpointId;
use acm2_domain::run::EventType;
use acm2_domain::webhook::PayloadStyle;
use acm2_store::deliveries;
use acm2_store::webhook_endpoints::{
    self as store, NewWebhookEndpoint as NewRow, WebhookEndpointChange, WebhookEndpointRow,
};
use acm2_vault::places::Place;
use acm2_vault::webhook_secret;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use secrecy::ExposeSecret;

use super::Tag;
use super::deliveries::path_of as path_of_delivery;
use super::limits;
use super::page::Page;
use super::webhook_bodies::{
    Delivery, NewWebhookEndpoint, SigningSecret, WebhookEndpoint, WebhookEndpointList, WebhookEndpointPatch,
    WebhookEndpointWithSecret,
};
use crate::auth::{Allowed, Caller, Scope, WebhooksRead, WebhooksWrite};
use crate::body::Body;
use crate::idempotency::Idempotency;
use crate::problem::Failure;
use crate::reply::{Accepted, Created, NoContent, Reply};
use crate::{sealing, tail, test_event};

/// `webhook-endpoints`.
pub(super) struct WebhookEndpoints;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::WebhookEndpoints")]
impl WebhookEndpoints {
    /// Make a webhook endpoint.
    ///
    /// Needs the scope `webhooks:write`, and `runs:read` too for the payload style `full`. The signing secret is shown only in
    /// this answer. A tenant has at most 20 endpoints.
    #[oai(path = "/webhook-endpoints", method = "post", operation_id = "webhookEndpoints.create")]
    async fn create(
        &self,
        caller: Allowed<WebhooksWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewWebhookEndpoint>,
    ) -> Result<Created<WebhookEndpointWithSecret>, Failure> {
        let name = idempotency_key.0;
        let idempotency = Idempotency::of(&caller, "webhookEndpoints.create", name.as_deref(), &body.digest).await?;
        let new = body.value;
        if new.payload_style == Some(PayloadStyle::Full) {
            refuse_run_texts(&caller)?;
        }
        let (_, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
        let id = WebhookEndpointId::generate();
        let secret = webhook_secret::mint();
        let row = NewRow {
            id,
            url: new.url,
            description: new.description.unwrap_or_default(),
            events: new.events.unwrap_or_else(every_event),
            payload_style: new.payload_style.unwrap_or_default(),
            secret: data_key.seal_at(caller.tenant, Place::WebhookSecret(id), &secret).into_bytes(),
        };
        let tx = caller.store().begin().await?;
        let now = caller.app.clock.now();
        idempotency.begin(&tx, now).await?;
        limits::refuse_beyond(store::count(&tx).await?, limits::WEBHOOK_ENDPOINTS, "webhook endpoints")?;
        let row = store::insert(&tx, row, now).await?;
        idempotency.finish::<WebhookEndpoint>(&tx, id.uuid(), None).await?;
        tx.commit().await?;
        let secret = secret.expose_secret().to_owned();
        let location = format!("/api/v1/webhook-endpoints/{id}");
        Ok(Created::new(WebhookEndpointWithSecret { webhook_endpoint: row.into(), secret }).location(&location))
    }

    /// List webhook endpoints.
    ///
    /// Needs the scope `webhooks:read`. Newest first.
    #[oai(path = "/webhook-endpoints", method = "get", operation_id = "webhookEndpoints.list")]
    async fn list(
        &self,
        caller: Allowed<WebhooksRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many endpoints a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<WebhookEndpointList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let mut rows = store::list(&tx, page.after.map(WebhookEndpointId::from), page.fetch()).await?;
        tx.commit().await?;
        let next_cursor = page.cut(&mut rows, |row| row.id.uuid());
        let items = rows.into_iter().map(WebhookEndpoint::from).collect();
        Ok(Reply::new(WebhookEndpointList { items, next_cursor }))
    }

    /// Get a webhook endpoint.
    ///
    /// Needs the scope `webhooks:read`.
    #[oai(path = "/webhook-endpoints/:webhook_endpoint_id", method = "get", operation_id = "webhookEndpoints.get")]
    async fn get(
        &self,
        caller: Allowed<WebhooksRead>,
        webhook_endpoint_id: Path<WebhookEndpointId>,
    ) -> Result<Reply<WebhookEndpoint>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, webhook_endpoint_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Change a webhook endpoint.
    ///
    /// Needs the scope `webhooks:write`, and `runs:read` too for making the payload style `full` and for changing the URL of
    /// an endpoint of that style.
    #[oai(path = "/webhook-endpoints/:webhook_endpoint_id", method = "patch", operation_id = "webhookEndpoints.update")]
    async fn update(
        &self,
        caller: Allowed<WebhooksWrite>,
        webhook_endpoint_id: Path<WebhookEndpointId>,
        body: Body<WebhookEndpointPatch>,
    ) -> Result<Reply<WebhookEndpoint>, Failure> {
        let patch = body.value;
        let change = WebhookEndpointChange {
            url: patch.url,
            description: patch.description,
            events: patch.events,
            payload_style: patch.payload_style,
            is_enabled: patch.is_enabled,
        };
        let tx = caller.store().begin().await?;
        let style = match change.payload_style {
            Some(style) => style,
            None => store::get(&tx, webhook_endpoint_id.0).await?.payload_style,
        };
        if style == PayloadStyle::Full && (change.payload_style.is_some() || change.url.is_some()) {
            refuse_run_texts(&caller)?;
        }
        let row = store::update(&tx, webhook_endpoint_id.0, change, caller.app.clock.now()).await?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Delete a webhook endpoint.
    ///
    /// Needs the scope `webhooks:write`. Deliveries that were not made yet are given up.
    #[oai(
        path = "/webhook-endpoints/:webhook_endpoint_id",
        method = "delete",
        operation_id = "webhookEndpoints.delete"
    )]
    async fn delete(
        &self,
        caller: Allowed<WebhooksWrite>,
        webhook_endpoint_id: Path<WebhookEndpointId>,
    ) -> Result<NoContent, Failure> {
        let tx = caller.store().begin().await?;
        store::delete(&tx, webhook_endpoint_id.0).await?;
        tx.commit().await?;
        Ok(NoContent)
    }

    /// Rotate the signing secret.
    ///
    /// Needs the scope `webhooks:write`. For 24 hours deliveries carry the signatures of both the new and the old secret.
    #[oai(
        path = "/webhook-endpoints/:webhook_endpoint_id/rotate-secret",
        method = "post",
        operation_id = "webhookEndpoints.rotateSecret"
    )]
    async fn rotate_secret(
        &self,
        caller: Allowed<WebhooksWrite>,
        webhook_endpoint_id: Path<WebhookEndpointId>,
    ) -> Result<Reply<SigningSecret>, Failure> {
        let id = webhook_endpoint_id.0;
        let (_, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
        let tx = caller.store().begin().await?;
        let now = caller.app.clock.now();
        let row = store::get(&tx, id).await?;
        let places = (Place::WebhookSecret(id), Place::PreviousWebhookSecret(id));
        let until = now + sealing::overlap(&caller.app);
        let rotated = sealing::rotate(&data_key, caller.tenant, places, &row.secret, until);
        let previous_secret_until = rotated.previous.as_ref().map(|previous| previous.until);
        store::rotate_secret(&tx, &row, rotated.sealed, rotated.previous, now).await?;
        tx.commit().await?;
        let secret = rotated.secret.expose_secret().to_owned();
        Ok(Reply::new(SigningSecret { secret, previous_secret_until }))
    }

    /// Send a test event.
    ///
    /// Needs the scope `webhooks:write`. The delivery is made like any other: look at it for what came of it.
    #[oai(
        path = "/webhook-endpoints/:webhook_endpoint_id/test",
        method = "post",
        operation_id = "webhookEndpoints.test"
    )]
    async fn test(
        &self,
        caller: Allowed<WebhooksWrite>,
        webhook_endpoint_id: Path<WebhookEndpointId>,
    ) -> Result<Accepted<Delivery>, Failure> {
        let tx = caller.store().begin().await?;
        let now = caller.app.clock.now();
        let endpoint = store::get(&tx, webhook_endpoint_id.0).await?;
        let payload = test_event::payload(now, endpoint.payload_style);
        let kind = EventType::RunCompleted.as_str();
        let id = deliveries::insert(&tx, Some(endpoint.id), None, kind, &endpoint.url, payload, now).await?;
        let row = deliveries::find(&tx, id).await?.ok_or_else(|| Error::not_found("delivery"))?;
        // Before the commit: a crash in between must not leave it to nobody.
        let job = tail::write_job(&caller.app, caller.tenant, id).await?;
        tx.commit().await?;
        tail::push(&caller.app, &[job]).await;
        Ok(Accepted::new(row.into()).location(&path_of_delivery(id)))
    }
}

/// A `full` endpoint sends out what runs were asked and answered, so that only who may read it may make one.
fn refuse_run_texts(caller: &Caller) -> Result<(), Failure> {
    if caller.scopes.allow(Scope::RunsRead) {
        return Ok(());
    }
    let detail = "a webhook of the style full carries the texts of runs: that needs the scope runs:read, which the API \
                  key lacks";
    Err(Error::new(Kind::Forbidden, "scope_missing", detail).into())
}

fn every_event() -> Vec<EventType> {
    EventType::ALL.iter().copied().filter(|event| event.is_webhook()).collect()
}

impl From<WebhookEndpointRow> for WebhookEndpoint {
    fn from(row: WebhookEndpointRow) -> Self {
        Self {
            id: row.id,
            url: row.url,
            description: row.description,
            events: row.events,
            payload_style: row.payload_style,
            is_enabled: row.is_enabled,
            disabled_reason: row.disabled_reason,
            previous_secret_until: row.previous_secret.map(|previous| previous.until),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
