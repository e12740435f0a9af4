//! Testing a provider key: a real, cheap call, and its verdict in the key's row. Called by `routes::provider_keys`.

use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::ProviderKeyId;
use acm2_domain::providers::find_provider;
use acm2_outbound::{KeyTestOutcome, Target};
use acm2_store::provider_keys::{self, KeyStatus};
use url::Url;

use crate::auth::Caller;
use crate::problem::Failure;
use crate::routes::{ProviderKeyStatus, ProviderKeyTest};
use crate::sealing;

/// Tests a key and stores the verdict. Where the provider gives none, the status stays and only the reason is new.
pub(crate) async fn run(caller: &Caller, id: ProviderKeyId) -> Result<ProviderKeyTest, Failure> {
    let (tenant, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
    let tx = caller.store().begin().await?;
    let row = provider_keys::get(&tx, id).await?;
    // No transaction stays open over a call to a provider.
    tx.commit().await?;
    let key = sealing::open_provider_key(&data_key, caller.tenant, &row).ok_or_else(|| {
        let detail = "the stored key cannot be opened; store it again";
        Error::new(Kind::Conflict, "provider_key_undecryptable", detail)
    })?;
    let provider = find_provider(&row.provider).ok_or_else(|| {
        Error::new(Kind::Conflict, "provider_unknown", "this version does not know the provider of the key")
    })?;
    let base_url = row.base_url.as_deref().and_then(|text| Url::parse(text).ok());
    let target = Target { provider, base_url, private_hosts: tenant.private_hosts };
    let test = caller.app.outbound.test_key(&target, key).await;
    let status = match test.outcome {
        KeyTestOutcome::Valid => KeyStatus::Valid,
        KeyTestOutcome::Invalid => KeyStatus::Invalid,
        KeyTestOutcome::Quota => KeyStatus::Quota,
        KeyTestOutcome::Unreachable => row.status,
    };
    let tx = caller.store().begin().await?;
    provider_keys::mark_status(&tx, &row, status, Some(&test.detail), caller.app.clock.now()).await?;
    tx.commit().await?;
    let told = match test.outcome {
        KeyTestOutcome::Unreachable => ProviderKeyStatus::Untested,
        _ => ProviderKeyStatus::from(status),
    };
    let latency_ms = u64::try_from(test.latency.as_millis()).unwrap_or(u64::MAX);
    Ok(ProviderKeyTest { status: told, detail: Some(test.detail), latency_ms })
}
