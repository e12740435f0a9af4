//! SQLite: `control.db`, and one file for each tenant in a bounded cache of open files. Only `store` and `tenants` call it.
//!
//! A file has one connection, so one writer. A file in use is never closed; when the cache is full of such files, the next
//! tenant waits for one to fall idle.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acm2_domain::ids::TenantId;
use acm2_migrations::{ControlMigrator, TenantMigrator};
use sea_orm::{ConnectionTrait, DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};
use tokio::sync::{Notify, OnceCell};

use crate::error::StoreError;
use crate::schema;
use crate::tenant_tx::TenantTx;

/// How long SQLite itself waits for another connection's lock on a file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads, then writes: taking the write lock at once avoids a refusal in the middle.
pub(crate) const IMMEDIATE: TransactionOptions = TransactionOptions {
    isolation_level: None,
    access_mode: None,
    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
};

/// The files of the tenants.
#[derive(Debug)]
pub(crate) struct Files {
    cache: Arc<Cache>,
    dir: PathBuf,
    acquire_timeout: Duration,
}

#[derive(Debug)]
struct Cache {
    open: Mutex<Open>,
    idle: Notify,
    max: usize,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<TenantId, (Arc<OpenFile>, u64)>,
    uses: u64,
}

/// One file; the pool appears with its first use.
#[derive(Debug, Default)]
struct OpenFile {
    pool: OnceCell<SqlitePool>,
}

/// Keeps a file from being closed.
#[derive(Debug)]
pub(crate) struct FileInUse {
    file: Option<Arc<OpenFile>>,
    cache: Arc<Cache>,
}

impl Drop for FileInUse {
    fn drop(&mut self) {
        self.file = None;
        self.cache.idle.notify_one();
    }
}

/// What `open` makes.
pub(crate) struct Opened {
    pub(crate) control: DatabaseConnection,
    pub(crate) heartbeats: DatabaseConnection,
    pub(crate) files: Files,
}

/// Makes the folders and the pools; no file of a tenant is opened yet.
pub(crate) fn open(dir: &Path, max_open_files: usize, acquire_timeout: Duration) -> Result<Opened, StoreError> {
    let tenants = dir.join("tenants");
    make_private_dir(&tenants)
        .map_err(|error| StoreError::Setup(format!("cannot make the folder {}: {error}", tenants.display())))?;
    let path = dir.join("control.db");
    make_private_file(&path).map_err(|error| StoreError::Setup(format!("cannot make {}: {error}", path.display())))?;
    let control = || {
        // Overwrites what is deleted: a destroyed data key must not linger in free pages.
        let options = connect_options(&path, true).pragma("secure_delete", "ON");
        pool_options(acquire_timeout).connect_lazy_with(options)
    };
    let cache = Cache { open: Mutex::default(), idle: Notify::new(), max: max_open_files.max(1) };
    Ok(Opened {
        control: control().into(),
        heartbeats: control().into(),
        files: Files { cache: Arc::new(cache), dir: tenants, acquire_timeout },
    })
}

fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes the file if it is not there, and takes it from everyone but its owner: `SQLite` itself would let others read it. Its
/// log takes over the rights of the file. A file that exists is not opened: closing it would let go of `SQLite`'s own locks.
pub(crate) fn make_private_file(path: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => return made.map(drop),
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

fn connect_options(path: &Path, create: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        // What was answered must survive a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

fn pool_options(acquire_timeout: Duration) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

pub(crate) async fn migrate_control(control: &DatabaseConnection) -> Result<bool, StoreError> {
    up::<ControlMigrator>(control).await
}

/// Moves the write-ahead log into the file and empties it: a destroyed data key must not linger there.
pub(crate) async fn checkpoint(control: &DatabaseConnection) -> Result<(), StoreError> {
    control.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    Ok(())
}

async fn up<M: MigratorTrait>(db: &DatabaseConnection) -> Result<bool, StoreError> {
    let tx = db.begin_with_options(IMMEDIATE).await?;
    let changed = schema::up::<M>(&tx).await?;
    tx.commit().await?;
    Ok(changed)
}

impl Files {
    pub(crate) async fn begin(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        let (pool, in_use) = self.pool(tenant, false).await?;
        let tx = pool.begin_with("BEGIN IMMEDIATE").await?;
        Ok(TenantTx::sqlite(tenant, tx, in_use))
    }

    pub(crate) async fn create(&self, tenant: TenantId) -> Result<(), StoreError> {
        let (pool, _in_use) = self.pool(tenant, true).await?;
        up::<TenantMigrator>(&pool.into()).await?;
        Ok(())
    }

    pub(crate) async fn migrate(&self, tenant: TenantId) -> Result<bool, StoreError> {
        let (pool, _in_use) = self.pool(tenant, false).await?;
        up::<TenantMigrator>(&pool.into()).await
    }

    pub(crate) async fn destroy(&self, tenant: TenantId) -> Result<(), StoreError> {
        let file = self.cache.lock().files.remove(&tenant);
        if let Some(pool) = file.as_ref().and_then(|(file, _)| file.pool.get()) {
            // Waits for those who use it; whoever comes later is told that it is closed.
            pool.close().await;
        }
        let path = self.path(tenant);
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            match tokio::fs::remove_file(&name).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::Setup(format!("cannot remove the file of tenant {tenant}: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) async fn close(&self) {
        let files = std::mem::take(&mut self.cache.lock().files);
        for (file, _) in files.into_values() {
            if let Some(pool) = file.pool.get() {
                pool.close().await;
            }
        }
    }

    /// Whose files are open now.
    #[cfg(test)]
    fn open_now(&self) -> Vec<TenantId> {
        let mut tenants: Vec<_> = self.cache.lock().files.keys().copied().collect();
        tenants.sort();
        tenants
    }

    fn path(&self, tenant: TenantId) -> PathBuf {
        self.dir.join(format!("{}.db", tenant.uuid().simple()))
    }

    /// The tenant's pool with what keeps it open.
    async fn pool(&self, tenant: TenantId, create: bool) -> Result<(SqlitePool, FileInUse), StoreError> {
        let waiting = tokio::time::timeout(self.acquire_timeout, self.cache.take(tenant));
        let (file, in_use) =
            waiting.await.map_err(|_| StoreError::Unavailable("too many tenants' files are in use".to_owned()))?;
        let opening = file.pool.get_or_try_init(|| async {
            let path = self.path(tenant);
            if !create && !tokio::fs::try_exists(&path).await.unwrap_or(true) {
                return Err(StoreError::Corrupt(format!("the file of tenant {tenant} is missing")));
            }
            make_private_file(&path).map_err(|error| {
                StoreError::Unavailable(format!("cannot open the file of tenant {tenant}: {error}"))
            })?;
            let pool = pool_options(self.acquire_timeout).connect_with(connect_options(&path, create)).await?;
            Ok(pool)
        });
        let pool = opening.await?.clone();
        Ok((pool, in_use))
    }
}

impl Cache {
    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a tenant, in use; waits while the cache is full of files in use.
    async fn take(self: &Arc<Self>, tenant: TenantId) -> (Arc<OpenFile>, FileInUse) {
        loop {
            if let Some(file) = self.try_take(tenant) {
                let in_use = FileInUse { file: Some(Arc::clone(&file)), cache: Arc::clone(self) };
                return (file, in_use);
            }
            self.idle.notified().await;
        }
    }

    fn try_take(&self, tenant: TenantId) -> Option<Arc<OpenFile>> {
        let mut open = self.lock();
        open.uses += 1;
        let now = open.uses;
        if let Some((file, used)) = open.files.get_mut(&tenant) {
            *used = now;
            return Some(Arc::clone(file));
        }
        while open.files.len() >= self.max {
            // Only the cache holds it: nobody uses it, and nobody can begin to without this lock.
            let idle = open.files.iter().filter(|(_, (file, _))| Arc::strong_count(file) == 1);
            let oldest = *idle.min_by_key(|(_, (_, used))| *used)?.0;
            if let Some((file, _)) = open.files.remove(&oldest)
                && let Some(pool) = file.pool.get().cloned()
            {
                tokio::spawn(async move { pool.close().await });
            }
        }
        let file = Arc::new(OpenFile::default());
        open.files.insert(tenant, (Arc::clone(&file), now));
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[tokio::test(flavor = "multi_thread")]
    async fn files_are_for_their_owner_alone_whatever_the_folder_is() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::TempDir::new().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        // As earlier versions left it.
        std::fs::write(folder.path().join("control.db"), "").unwrap();
        std::fs::set_permissions(folder.path().join("control.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
        let opened = open(folder.path(), 2, Duration::from_secs(5)).unwrap();
        migrate_control(&opened.control).await.unwrap();
        opened.files.create(TenantId::generate()).await.unwrap();
        let _lock = crate::data_dir::DataDirLock::acquire(folder.path()).unwrap();
        let mut seen = 0;
        for dir in [folder.path().to_owned(), folder.path().join("tenants")] {
            for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    seen += 1;
                    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
                }
            }
        }
        assert!(seen >= 3, "{seen}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_files_are_open_than_allowed_and_the_longest_idle_goes_first() {
        let folder = tempfile::TempDir::new().unwrap();
        let files = open(folder.path(), 2, Duration::from_secs(5)).unwrap().files;
        let [a, b, c] = [(); 3].map(|()| TenantId::generate());
        for tenant in [a, b, c] {
            files.create(tenant).await.unwrap();
            assert!(files.open_now().len() <= 2);
        }
        files.begin(b).await.unwrap().commit().await.unwrap();
        files.begin(a).await.unwrap().commit().await.unwrap();
        let mut expected = [a, b];
        expected.sort();
        assert_eq!(files.open_now(), expected);
        let held = files.begin(b).await.unwrap();
        files.begin(c).await.unwrap().commit().await.unwrap();
        let mut expected = [b, c];
        expected.sort();
        assert_eq!(files.open_now(), expected);
        held.commit().await.unwrap();
    }
}
