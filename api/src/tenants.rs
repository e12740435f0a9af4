//! Making a tenant: its data key, wrapped, and its row. Called by the admin commands and the first start.

use acm2_domain::ids::TenantId;
use acm2_store::StoreError;
use acm2_store::control::TenantRow;
use acm2_vault::data_key::DataKey;

use crate::app::{App, stored};

/// Makes a tenant with a fresh data key.
pub(crate) async fn create(app: &App, name: &str) -> Result<TenantRow, StoreError> {
    let id = TenantId::generate();
    let wrapped = app.keyring.master_keys().wrap(&DataKey::generate(), id);
    app.store.tenants().create(id, name, stored(wrapped), app.clock.now()).await
}
