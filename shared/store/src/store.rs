//! The store of a process: opened once, cloned freely. `api` and `worker` hold one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use acm2_domain::ids::{JobId, TenantId};
use acm2_domain::job::Job;
use acm2_migrations::TenantMigrator;
use chrono::{DateTime, Utc};
use moka::future::Cache;
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, TransactionTrait};

use crate::control::{self, ApiKeys, Jobs, Leases, NewJob, Tenants, Workers};
use crate::data_dir::DataDirLock;
use crate::database_clock;
use crate::error::StoreError;
use crate::gather::Gather;
use crate::options::Options;
use crate::patience::Patient;
use crate::schema::{self, Standing};
use crate::tenant::Tenant;
use crate::tenants::{self, Opened, TenantStores};

/// How long this process relies on a tenant's existing and being migrated before it looks again.
const READY_FOR: Duration = Duration::from_mins(1);
/// Tenants of which it remembers that.
const READY_CAPACITY: u64 = 100_000;

/// The store of a process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    control: Patient,
    job_index: Patient,
    heartbeats: DatabaseConnection,
    tenants: TenantStores,
    /// Jobs rows to be written, and to be deleted.
    new_jobs: Gather<(), NewJob, Option<Job>>,
    done_jobs: Gather<(), JobId, bool>,
    /// Tenants that exist and are migrated, as seen lately.
    ready: Cache<TenantId, ()>,
    data_dir: Option<PathBuf>,
}

impl Store {
    /// Opens the store. It does not migrate and takes no lock.
    ///
    /// # Errors
    /// `Setup` for a URL or folder that cannot be right, `Unavailable` if the server does not answer.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let Opened { control, jobs: job_index, heartbeats, tenants, data_dir } = tenants::open(options).await?;
        let ready = Cache::builder().max_capacity(READY_CAPACITY).time_to_live(READY_FOR).build();
        let (new_jobs, done_jobs) = (Gather::default(), Gather::default());
        Ok(Self(Arc::new(Inner { control, job_index, heartbeats, tenants, new_jobs, done_jobs, ready, data_dir })))
    }

    /// Takes the lock on the data folder, so that one process serves from it; `None` where there is no folder.
    ///
    /// # Errors
    /// `Setup` if another process holds it.
    pub fn lock_data_dir(&self) -> Result<Option<DataDirLock>, StoreError> {
        self.0.data_dir.as_deref().map(DataDirLock::acquire).transpose()
    }

    /// The only door to a tenant's data. Whether there is such a tenant shows when a transaction begins.
    pub fn tenant(&self, id: TenantId) -> Tenant {
        Tenant::new(self.clone(), id)
    }

    /// Accounts.
    pub const fn tenants(&self) -> Tenants<'_> {
        Tenants::new(self)
    }

    /// Keys that authenticate callers.
    pub const fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys::new(self)
    }

    /// The index of unfinished work.
    pub const fn jobs(&self) -> Jobs<'_> {
        Jobs::new(self)
    }

    /// Live processes.
    pub const fn workers(&self) -> Workers<'_> {
        Workers::new(self)
    }

    /// Locks of which one process at a time holds each.
    pub const fn leases(&self) -> Leases<'_> {
        Leases::new(self)
    }

    /// Whether the control store answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.control().ping().await?)
    }

    /// The time of the database's clock.
    pub async fn time(&self) -> Result<DateTime<Utc>, StoreError> {
        let db = self.control();
        let select = Query::select().expr_as(database_clock::now(db.get_database_backend()), "now").to_owned();
        let row = db.query_one(&select).await?.ok_or(StoreError::NotFound("time"))?;
        Ok(row.try_get("", "now")?)
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        self.0.tenants.close().await;
        for pool in [self.0.control.pool(), self.0.job_index.pool(), &self.0.heartbeats] {
            if let Err(error) = pool.close_by_ref().await {
                tracing::warn!(%error, "closing a pool failed");
            }
        }
    }

    pub(crate) fn control(&self) -> &Patient {
        &self.0.control
    }

    /// The control store for rows of the index of unfinished work that are added and deleted: where the server crashes, what was
    /// written so stands if anything does that was committed later, in whichever store.
    pub(crate) fn job_index(&self) -> &Patient {
        &self.0.job_index
    }

    /// A transaction in the control store that may read first and then write.
    pub(crate) async fn begin_control(&self) -> Result<DatabaseTransaction, StoreError> {
        Ok(self.control().pool().begin_with_options(tenants::READ_THEN_WRITE).await?)
    }

    pub(crate) fn heartbeats(&self) -> &DatabaseConnection {
        &self.0.heartbeats
    }

    pub(crate) fn new_jobs(&self) -> &Gather<(), NewJob, Option<Job>> {
        &self.0.new_jobs
    }

    pub(crate) fn done_jobs(&self) -> &Gather<(), JobId, bool> {
        &self.0.done_jobs
    }

    pub(crate) fn tenant_stores(&self) -> &TenantStores {
        &self.0.tenants
    }

    /// Sees to it that the tenant exists and its schema is one that this program can work with.
    pub(crate) async fn make_ready(&self, tenant: TenantId) -> Result<(), StoreError> {
        let look = async { self.bring_up_to_date(tenant).await.map(|_changed| ()) };
        self.0.ready.try_get_with(tenant, look).await.map_err(|error| StoreError::clone(&error))
    }

    /// Forgets that a tenant was seen.
    pub(crate) async fn forget_ready(&self, tenant: TenantId) {
        self.0.ready.invalidate(&tenant).await;
    }

    /// Migrates an existing tenant where needed. Tells whether anything was.
    pub(crate) async fn bring_up_to_date(&self, tenant: TenantId) -> Result<bool, StoreError> {
        let min_binary = control::min_binary(self, tenant).await?;
        if let Some(need) = min_binary.filter(|need| !schema::is_new_enough(schema::THIS_BINARY, need)) {
            return Err(StoreError::Newer(format!("tenant {tenant} asks for version {need} or later")));
        }
        let applied = self.0.tenants.applied(tenant).await?;
        match schema::standing::<TenantMigrator>(&applied)? {
            Standing::Current | Standing::Ahead => Ok(false),
            Standing::Behind => self.0.tenants.migrate(tenant).await,
        }
    }
}
