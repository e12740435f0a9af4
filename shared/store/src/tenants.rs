//! THE match between a schema of PostgreSQL and a file of SQLite for each tenant. `store`, `tenant`, `migrate` and
//! `control::tenants` call it; nothing else in the house asks which of the two it is.

use std::path::PathBuf;

use acm2_domain::ids::TenantId;
use sea_orm::DatabaseConnection;

use crate::error::StoreError;
use crate::options::{Database, Options};
use crate::patience::{Patient, Silence};
use crate::postgres::{self, Schemas};
use crate::sqlite::{self, Files};
use crate::tenant_tx::TenantTx;

/// Takes the write lock at once where there is one for the whole store: a transaction that reads first is not refused in its
/// middle.
pub(crate) use crate::sqlite::IMMEDIATE as READ_THEN_WRITE;

/// What `open` makes.
pub(crate) struct Opened {
    pub(crate) control: Patient,
    /// To the same data, for the index of unfinished work: what is written so stands where anything does that is committed later.
    pub(crate) jobs: Patient,
    /// To the same data as `control`, so that a heartbeat never waits for other work.
    pub(crate) heartbeats: DatabaseConnection,
    pub(crate) tenants: TenantStores,
    /// The folder that one process at a time serves from.
    pub(crate) data_dir: Option<PathBuf>,
}

/// Opens the back-end that the options name.
pub(crate) async fn open(options: Options) -> Result<Opened, StoreError> {
    match &options.database {
        Database::Postgres { url, migrate_url } => {
            let opened = postgres::open(url, migrate_url.as_ref(), &options).await?;
            let tenants = TenantStores::Postgres(opened.schemas);
            let (control, jobs) = (opened.control, opened.jobs);
            Ok(Opened { control, jobs, heartbeats: opened.heartbeats, tenants, data_dir: None })
        }
        Database::Sqlite { dir } => {
            let opened = sqlite::open(dir, options.max_open_files, options.acquire_timeout)?;
            let tenants = TenantStores::Sqlite(opened.files);
            let control = Patient::new(opened.control, Silence::default());
            let (jobs, data_dir) = (control.clone(), Some(dir.clone()));
            Ok(Opened { control, jobs, heartbeats: opened.heartbeats, tenants, data_dir })
        }
    }
}

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
            Self::Postgres(schemas) => schemas.begin(tenant, "BEGIN").await,
            Self::Sqlite(files) => files.begin(tenant).await,
        }
    }

    /// The same for a transaction that writes nothing and sees one moment.
    pub(crate) async fn look(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        match self {
            Self::Postgres(schemas) => schemas.begin(tenant, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await,
            // There nobody else writes meanwhile.
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
