//! A start of `acm2 serve` on a local machine: at the first one a tenant and its API key, shown once; at each one the provider
//! keys of the environment and a key for the sandbox, where they are missing. Called by `cli::serve`; the hosted mode does none
//! of this.

use acm2_domain::ids::{ProviderKeyId, TenantId};
use acm2_domain::providers::find_provider;
use acm2_outbound::Target;
use acm2_store::provider_keys::{self, NewProviderKey};
use secrecy::{ExposeSecret, SecretString};

use crate::api_keys::{NewKey, mint};
use crate::app::App;
use crate::auth::Scope;
use crate::problem::Failure;
use crate::{sealing, tenants};

/// What a start on a local machine made.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The first API key, to be shown once; at the first start only.
    pub key: Option<SecretString>,
    /// Providers whose keys were taken from the environment.
    pub imported: Vec<String>,
}

const TENANT: &str = "local";
/// The sandbox takes any key.
const SANDBOX_KEY: &str = "sandbox-key-of-the-local-tenant";

/// Makes what is missing: the tenant and its API key, and a provider key wherever the environment holds one and the tenant has
/// none of that provider. Where there are several tenants, nobody could tell whose keys these are: then nothing.
pub async fn prepare(app: &App) -> Result<Prepared, Failure> {
    let present = app.store.tenants().list(None, 2).await?;
    let (tenant, key) = match &present[..] {
        [] => {
            let tenant = tenants::create(app, TENANT).await?.id;
            let new = NewKey { name: "first key".to_owned(), scopes: vec![Scope::All], expires_at: None };
            (tenant, Some(mint(app, tenant, new).await?.1))
        }
        [one] if one.name == TENANT => (one.id, None),
        _ => return Ok(Prepared::default()),
    };
    let tx = app.store.tenant(tenant).begin().await?;
    let known = provider_keys::list(&tx).await?;
    tx.commit().await?;
    let is_known = |provider: &str| known.iter().any(|row| row.provider == provider);
    let mut imported = Vec::new();
    for (provider, key) in app.config.local_provider_keys() {
        let visible = key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || key.expose_secret().is_empty() {
            tracing::warn!(provider, "the provider key of the environment is not one and was not imported");
        } else if !is_known(&provider) {
            add_key(app, tenant, &provider, "from the environment", &key).await?;
            imported.push(provider);
        }
    }
    if let Some(sandbox) = find_provider("sandbox") {
        let target = Target { provider: sandbox, base_url: None, private_hosts: Vec::new() };
        if !is_known(sandbox.slug) && app.outbound.base_url(&target).is_ok() {
            add_key(app, tenant, sandbox.slug, "sandbox", &SecretString::from(SANDBOX_KEY)).await?;
        }
    }
    Ok(Prepared { key, imported })
}

async fn add_key(app: &App, tenant: TenantId, provider: &str, label: &str, key: &SecretString) -> Result<(), Failure> {
    let (_, data_key) = app.tenant_and_key(tenant).await?;
    let id = ProviderKeyId::generate();
    let secret = sealing::provider_key(&data_key, tenant, id, provider, None, key);
    let new = NewProviderKey { id, provider: provider.to_owned(), label: label.to_owned(), secret, make_default: true };
    let tx = app.store.tenant(tenant).begin().await?;
    provider_keys::insert(&tx, new, app.clock.now()).await?;
    Ok(tx.commit().await?)
}
