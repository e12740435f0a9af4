//! Making a tenant: its data key, wrapped, its row, and the presets that it finds. Called by the admin commands and the first start.

use acm2_domain::ids::TenantId;
use acm2_store::StoreError;
use acm2_store::control::TenantRow;
use acm2_vault::data_key::DataKey;

use crate::app::{App, stored};
use crate::starter_presets;

/// Makes a tenant with a fresh data key and three presets.
pub(crate) async fn create(app: &App, name: &str) -> Result<TenantRow, StoreError> {
    let id = TenantId::generate();
    let wrapped = app.keyring.master_keys().wrap(&DataKey::generate(), id);
    let tenant = app.store.tenants().create(id, name, stored(wrapped), app.clock.now()).await?;
    if let Err(error) = starter_presets::add(app, id).await {
        // The tenant is there and whole without them.
        tracing::warn!(%error, tenant.id = %id, "the tenant begins without presets");
    }
    Ok(tenant)
}
