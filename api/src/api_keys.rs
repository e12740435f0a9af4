//! Making an API key: token, hash and row. Called by `routes::api_keys` and by the admin commands.

use acm2_domain::ids::{ApiKeyId, TenantId};
use acm2_store::StoreError;
use acm2_store::control::ApiKeyRow;
use acm2_vault::api_key::ApiKeyToken;
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::app::App;
use crate::auth::Scope;

/// What is said about a key that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a key and stores its hash. The token is nowhere but in the answer.
pub(crate) async fn mint(app: &App, tenant: TenantId, new: NewKey) -> Result<(ApiKeyRow, SecretString), StoreError> {
    let minted = ApiKeyToken::mint();
    let row = ApiKeyRow {
        id: ApiKeyId::generate(),
        tenant,
        name: new.name,
        public_id: minted.public_id,
        hash: minted.hash,
        prefix: minted.prefix,
        last4: minted.last4,
        scopes: new.scopes.iter().map(ToString::to_string).collect(),
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
        created_at: app.clock.now(),
    };
    app.store.api_keys().insert(&row).await?;
    Ok((row, minted.token))
}
