//! The first start of `acm2 serve` on a local machine: a tenant, the provider keys of the environment, a key for the sandbox,
//! and one API key, shown once. Called by `cli::serve`; the hosted mode does none of this.

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

/// What the first start made.
#[derive(Debug)]
pub struct FirstStart {
    /// The API key, to be shown once.
    pub key: SecretString,
    /// Providers whose keys were taken from the environment.
    pub imported: Vec<String>,
}

const TENANT: &str = "local";
/// The sandbox takes any key.
const SANDBOX_KEY: &str = "sandbox-key-of-the-local-tenant";

/// Does it, unless there is a tenant already.
pub async fn prepare(app: &App) -> Result<Option<FirstStart>, Failure> {
    if app.store.tenants().count().await? > 0 {
        return Ok(None);
    }
    let tenant = tenants::create(app, TENANT).await?.id;
    let mut imported = Vec::new();
    for (provider, key) in app.config.local_provider_keys() {
        let visible = key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || key.expose_secret().is_empty() {
            tracing::warn!(provider, "the provider key of the environment is not one and was not imported");
            continue;
        }
        add_key(app, tenant, &provider, "from the environment", &key).await?;
        imported.push(provider);
    }
    if let Some(sandbox) = find_provider("sandbox") {
        let target = Target { provider: sandbox, base_url: None, private_hosts: Vec::new() };
        if app.outbound.base_url(&target).is_ok() {
            add_key(app, tenant, sandbox.slug, "sandbox", &SecretString::from(SANDBOX_KEY)).await?;
        }
    }
    let new = NewKey { name: "first key".to_owned(), scopes: vec![Scope::All], expires_at: None };
    let (_, key) = mint(app, tenant, new).await?;
    Ok(Some(FirstStart { key, imported }))
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
