//! Provider keys and signing secrets on their way into the store: sealed here, for the place where they will stand.
//! Called by `routes` and by the first start.

use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::{ProviderKeyId, TenantId};
use acm2_store::provider_keys::{ProviderKeyRow, SealedKey};
use acm2_store::webhook_endpoints::PreviousSecret;
use acm2_vault::data_key::DataKey;
use acm2_vault::mask::mask;
use acm2_vault::places::Place;
use acm2_vault::webhook_secret;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use crate::app::App;

/// Seals a provider key for its row.
pub(crate) fn provider_key(
    data_key: &DataKey,
    tenant: TenantId,
    id: ProviderKeyId,
    provider: &str,
    base_url: Option<&str>,
    key: &SecretString,
) -> SealedKey {
    let sealed = data_key.seal_at(tenant, Place::ProviderKey { id, provider, base_url }, key).into_bytes();
    let shown = mask(key);
    SealedKey { sealed, prefix: shown.prefix, last4: shown.last4, base_url: base_url.map(str::to_owned) }
}

/// Opens a stored provider key; `None` where it does not open.
pub(crate) fn open_provider_key(data_key: &DataKey, tenant: TenantId, row: &ProviderKeyRow) -> Option<SecretString> {
    let place = Place::ProviderKey { id: row.id, provider: &row.provider, base_url: row.base_url.as_deref() };
    data_key.open_at(tenant, place, &row.sealed).ok()
}

/// A rotated signing secret.
#[derive(Debug)]
pub(crate) struct Rotated {
    /// The new secret.
    pub secret: SecretString,
    /// The new secret, sealed for its place.
    pub sealed: Vec<u8>,
    /// The secret before it, sealed for the place of the previous one; `None` where it does not open.
    pub previous: Option<PreviousSecret>,
}

/// Makes a new signing secret; the present one moves to the place of the previous one until then, so it is sealed anew. One
/// that does not open signs nothing: the new one takes its place alone.
pub(crate) fn rotate(
    data_key: &DataKey,
    tenant: TenantId,
    (place, previous_place): (Place<'_>, Place<'_>),
    present: &[u8],
    until: DateTime<Utc>,
) -> Rotated {
    let previous = open_signing_secret(data_key, tenant, place, present).ok().map(|present| PreviousSecret {
        sealed: data_key.seal_at(tenant, previous_place, &present).into_bytes(),
        until,
    });
    let secret = webhook_secret::mint();
    Rotated { sealed: data_key.seal_at(tenant, place, &secret).into_bytes(), previous, secret }
}

/// Opens a stored signing secret.
pub(crate) fn open_signing_secret(
    data_key: &DataKey,
    tenant: TenantId,
    place: Place<'_>,
    sealed: &[u8],
) -> Result<SecretString, Error> {
    data_key.open_at(tenant, place, sealed).map_err(|error| {
        tracing::error!(tenant.id = %tenant, %error, "a signing secret does not open");
        Error::new(Kind::Conflict, "secret_undecryptable", "the stored secret cannot be opened; rotate it")
    })
}

/// How long a rotated secret still signs.
pub(crate) fn overlap(app: &App) -> TimeDelta {
    TimeDelta::from_std(app.timing.secret_overlap).unwrap_or(TimeDelta::zero())
}
