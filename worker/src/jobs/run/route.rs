//! Which provider key a call uses: the one that the run names, else the tenant's default; opened for this one call.

use acm2_domain::call::{Call, ErrorClass};
use acm2_domain::providers::Provider;
use acm2_outbound::Target;
use acm2_store::control::TenantRow;
use acm2_store::provider_keys::ProviderKeyRow;
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

/// Opens the key of a call, as it stands in the store.
pub(super) fn open(
    context: &Context,
    tenant: &TenantRow,
    provider: &'static Provider,
    call: &Call,
    row: Option<&ProviderKeyRow>,
) -> Result<Route, Refusal> {
    let Some(row) = row else {
        let message = match call.provider_key {
            Some(id) => format!("there is no active {} key {id}; name another or activate it", provider.name),
            None => format!(
                "there is no active default key for {}; add one with PUT /api/v1/settings/provider-keys/{}, or make one that is there the default",
                provider.name, provider.slug
            ),
        };
        return Err(missing(message));
    };
    let place = Place::ProviderKey { id: row.id, provider: &row.provider, base_url: row.base_url.as_deref() };
    let opened = context.open_secret(tenant, place, &row.sealed);
    let base_url = row.base_url.as_deref().map(url::Url::parse).transpose();
    let (Ok(secret), Ok(base_url)) = (opened, base_url) else {
        let message = format!("the stored {} key {} cannot be opened; store it again", provider.name, row.id);
        return Err(Refusal { class: ErrorClass::ProviderKeyUndecryptable, message });
    };
    let target = Target { provider, base_url, private_hosts: tenant.private_hosts.clone() };
    Ok(Route { target, key: row.clone(), secret })
}

/// A call to nobody.
pub(super) fn unknown_provider(call: &Call) -> Refusal {
    missing(format!("{} is not a provider that this version knows", call.provider))
}

fn missing(message: String) -> Refusal {
    Refusal { class: ErrorClass::ProviderKeyMissing, message }
}
