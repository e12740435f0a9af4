//! The door to one tenant's data. `Store::tenant` hands it out; it holds no connection, only an id.

use acm2_domain::ids::TenantId;

use crate::error::StoreError;
use crate::store::Store;
use crate::tenant_tx::TenantTx;

/// The door to one tenant's data; cheap to make and to clone.
#[derive(Debug, Clone)]
pub struct Tenant {
    store: Store,
    id: TenantId,
}

impl Tenant {
    pub(crate) const fn new(store: Store, id: TenantId) -> Self {
        Self { store, id }
    }

    /// Whose door it is.
    pub const fn id(&self) -> TenantId {
        self.id
    }

    /// Begins a transaction, after bringing the tenant's schema up to date where this process has not seen to it yet.
    /// Hold it for one step and never across a call over the network; never begin a second one while holding one.
    ///
    /// # Errors
    /// `NotFound` for a tenant that does not exist or is being deleted; `Newer` where its schema asks for a newer program.
    pub async fn begin(&self) -> Result<TenantTx, StoreError> {
        self.migrate().await?;
        self.store.tenant_stores().begin(self.id).await
    }

    /// Begins a transaction that writes nothing and all of whose statements see the store as it is at the first: what is put together
    /// of several agrees. Else as `begin`.
    ///
    /// # Errors
    /// As `begin`.
    pub async fn look(&self) -> Result<TenantTx, StoreError> {
        self.migrate().await?;
        self.store.tenant_stores().look(self.id).await
    }

    /// Brings the tenant's schema up to date, unless this process has seen to it lately.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.store.make_ready(self.id).await
    }
}
