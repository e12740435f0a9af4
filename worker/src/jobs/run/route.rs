//! Which provider key a call uses: the one that the run names, else the tenant's default; opened for this one call.

use std::sync::Arc;

use acm2_domain::call::{Call, ErrorClass};
use acm2_domain::providers::find_provider;
use acm2_outbound::Target;
use acm2_store::control::TenantRow;
use acm2_store::provider_keys::{self, ProviderKeyRow};
use acm2_store::{StoreError, TenantTx};
use acm2_vault::places::Place;
use secrecy::SecretString;

use crate::context::Context;

/// Where a call goes and with which key.
pub(super) struct Route {
    pub(super) target: Target,
    pub(super) key: ProviderKeyRow,
    pub(super) secret: SecretString,
}

/// Why a task cannot even be tried.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) class: ErrorClass,
    pub(super) message: String,
}

/// Finds and opens the key of a call.
pub(super) async fn find(
    context: &Arc<Context>,
    tx: &TenantTx,
    tenant: &TenantRow,
    call: &Call,
) -> Result<Result<Route, Refusal>, StoreError> {
    let Some(provider) = find_provider(&call.provider) else {
        return Ok(Err(missing(format!("{} is not a provider that this version knows", call.provider))));
    };
    let Some(row) = provider_keys::find_for_call(tx, provider.slug, call.provider_key).await? else {
        let message = match call.provider_key {
            Some(id) => format!("there is no active {} key {id}; name another or activate it", provider.name),
            None => format!(
                "there is no active default key for {}; add one with PUT /api/v1/settings/provider-keys/{}, or make one that is there the default",
                provider.name, provider.slug
            ),
        };
        return Ok(Err(missing(message)));
    };
    let place = Place::ProviderKey { id: row.id, provider: &row.provider, base_url: row.base_url.as_deref() };
    let opened = context.open_secret(tenant, place, &row.sealed);
    let base_url = row.base_url.as_deref().map(url::Url::parse).transpose();
    let (Ok(secret), Ok(base_url)) = (opened, base_url) else {
        let message = format!("the stored {} key {} cannot be opened; store it again", provider.name, row.id);
        return Ok(Err(Refusal { class: ErrorClass::ProviderKeyUndecryptable, message }));
    };
    let target = Target { provider, base_url, private_hosts: tenant.private_hosts.clone() };
    Ok(Ok(Route { target, key: row, secret }))
}

fn missing(message: String) -> Refusal {
    Refusal { class: ErrorClass::ProviderKeyMissing, message }
}
