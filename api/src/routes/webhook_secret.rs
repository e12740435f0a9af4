//! `webhook-secret`: the tenant's default signing secret, which signs webhooks to a run's own URL.

use acm2_store::TenantTx;
use acm2_store::webhook_secret::{self as store, WebhookSecretRow};
use acm2_vault::data_key::DataKey;
use acm2_vault::places::Place;
use acm2_vault::webhook_secret as vault;
use poem_openapi::OpenApi;
use secrecy::ExposeSecret;

use super::Tag;
use super::webhook_bodies::SigningSecret;
use crate::auth::{Allowed, Caller, WebhooksWrite};
use crate::problem::Failure;
use crate::reply::Reply;
use crate::sealing;

/// `webhook-secret`.
pub(super) struct WebhookSecret;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::WebhookSecret")]
impl WebhookSecret {
    /// Show the default signing secret.
    ///
    /// Needs the scope `webhooks:write`, since whoever knows the secret can forge webhooks. It is made at the first look.
    #[oai(path = "/webhook-secret", method = "get", operation_id = "webhookSecret.get")]
    async fn get(&self, caller: Allowed<WebhooksWrite>) -> Result<Reply<SigningSecret>, Failure> {
        let (_, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
        let tx = caller.store().begin().await?;
        let row = find_or_make(&caller, &data_key, &tx).await?;
        tx.commit().await?;
        let secret = sealing::open_signing_secret(&data_key, caller.tenant, Place::TenantWebhookSecret, &row.sealed)?;
        let previous_secret_until = row.previous.map(|previous| previous.until);
        Ok(Reply::new(SigningSecret { secret: secret.expose_secret().to_owned(), previous_secret_until }))
    }

    /// Rotate the default signing secret.
    ///
    /// Needs the scope `webhooks:write`. For 24 hours deliveries carry the signatures of both the new and the old secret.
    #[oai(path = "/webhook-secret/rotate", method = "post", operation_id = "webhookSecret.rotate")]
    async fn rotate(&self, caller: Allowed<WebhooksWrite>) -> Result<Reply<SigningSecret>, Failure> {
        let (_, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
        let tx = caller.store().begin().await?;
        let row = find_or_make(&caller, &data_key, &tx).await?;
        let places = (Place::TenantWebhookSecret, Place::PreviousTenantWebhookSecret);
        let until = caller.app.clock.now() + sealing::overlap(&caller.app);
        let rotated = sealing::rotate(&data_key, caller.tenant, places, &row.sealed, until);
        let previous_secret_until = rotated.previous.as_ref().map(|previous| previous.until);
        store::rotate(&tx, &row, rotated.sealed, rotated.previous).await?;
        tx.commit().await?;
        let secret = rotated.secret.expose_secret().to_owned();
        Ok(Reply::new(SigningSecret { secret, previous_secret_until }))
    }
}

async fn find_or_make(caller: &Caller, data_key: &DataKey, tx: &TenantTx) -> Result<WebhookSecretRow, Failure> {
    let fresh = data_key.seal_at(caller.tenant, Place::TenantWebhookSecret, &vault::mint());
    Ok(store::find_or_insert(tx, fresh.into_bytes(), caller.app.clock.now()).await?)
}
