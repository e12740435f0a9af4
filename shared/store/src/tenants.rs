//! THE match between a schema of PostgreSQL and a file of SQLite for each tenant. `Tenant`, `migrate` and
//! `control::tenants` call it; nothing else in the house asks which of the two it is.

use acm2_domain::ids::TenantId;
use sea_orm::DatabaseConnection;

use crate::error::StoreError;
use crate::postgres::Schemas;
use crate::sqlite::{self, Files};
use crate::tenant_tx::TenantTx;

/// Where tenants' data is.
#[derive(Debug)]
pub(crate) enum TenantStores {
    Postgres(Schemas),
    Sqlite(Files),
}

impl TenantStores {
    /// Begins a transaction that sees this tenant and no other. The tenant must exist and be migrated.
    pub(crate) async fn begin(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        match self {
            Self::Postgres(schemas) => schemas.begin(tenant).await,
            Self::Sqlite(files) => files.begin(tenant).await,
        }
    }

    /// The migrations that an existing tenant's store has seen.
    pub(crate) async fn applied(&self, tenant: TenantId) -> Result<Vec<String>, StoreError> {
        let tx = self.begin(tenant).await?;
        crate::schema::applied(&tx)
            .await?
            .ok_or_else(|| StoreError::Corrupt(format!("the data of tenant {tenant} is missing")))
    }

    /// Makes an empty store with the newest schema; one that exists is kept.
    pub(crate) async fn create(&self, tenant: TenantId) -> Result<(), StoreError> {
        match self {
            Self::Postgres(schemas) => schemas.create(tenant).await,
            Self::Sqlite(files) => files.create(tenant).await,
        }
    }

    /// Applies what is pending, one process at a time. Tells whether anything was.
    pub(crate) async fn migrate(&self, tenant: TenantId) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(schemas) => schemas.migrate(tenant).await,
            Self::Sqlite(files) => files.migrate(tenant).await,
        }
    }

    /// Brings the control store beside them up to date. Tells whether anything was pending.
    pub(crate) async fn migrate_control(&self, control: &DatabaseConnection) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(schemas) => schemas.migrate_control().await,
            Self::Sqlite(_) => sqlite::migrate_control(control).await,
        }
    }

    /// Destroys the tenant's data; doing it twice is no error.
    pub(crate) async fn destroy(&self, tenant: TenantId) -> Result<(), StoreError> {
        match self {
            Self::Postgres(schemas) => schemas.destroy(tenant).await,
            Self::Sqlite(files) => files.destroy(tenant).await,
        }
    }

    /// Sees to it that what was just deleted in the control store leaves its log as well.
    pub(crate) async fn after_delete(&self, control: &DatabaseConnection) -> Result<(), StoreError> {
        match self {
            Self::Postgres(_) => Ok(()),
            Self::Sqlite(_) => sqlite::checkpoint(control).await,
        }
    }

    /// Closes what is open.
    pub(crate) async fn close(&self) {
        match self {
            Self::Postgres(schemas) => schemas.close().await,
            Self::Sqlite(files) => files.close().await,
        }
    }
}
