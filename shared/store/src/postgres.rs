//! PostgreSQL: the pools, and one schema for each tenant. Only `store` and `tenants` call it.
//!
//! The pool for tenants has an empty search path, so code that forgot the tenant finds no table.

use std::sync::Arc;
use std::time::Duration;

use acm2_domain::ids::TenantId;
use acm2_migrations::{ControlMigrator, TenantMigrator};
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres, Transaction};
use tokio::time::{Instant, timeout_at};

use crate::connections::{Connections, Taken};
use crate::error::StoreError;
use crate::options::Options;
use crate::patience::{Patient, SIGN_OF_LIFE, Silence, silent};
use crate::postgres_pools::{open_beforehand, parse, pool_options};
use crate::schema;
use crate::shares::Shares;
use crate::tenant_tx::TenantTx;

/// The schema of the control store.
const CONTROL_SCHEMA: &str = "acm2";
/// How long opening the store waits for the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Tenants that are migrated at a time by this process.
const MIGRATE_CONNECTIONS: u32 = 4;
/// Of the connections to the control store so many write the index of unfinished work: one statement that adds and one that
/// deletes are under way at most.
pub(crate) const JOB_CONNECTIONS: u32 = 2;

/// The schemas of the tenants.
#[derive(Debug)]
pub(crate) struct Schemas {
    tenants: Arc<Connections>,
    shares: Arc<Shares>,
    acquire_timeout: Duration,
    silence: Silence,
    migrations: PgPool,
    /// The role that works with the data, where another owns the schemas.
    grant_to: Option<String>,
}

/// What `open` makes.
pub(crate) struct Opened {
    pub(crate) control: Patient,
    pub(crate) jobs: Patient,
    pub(crate) heartbeats: DatabaseConnection,
    pub(crate) schemas: Schemas,
}

/// Connects once, for a clear error, and makes the pools.
pub(crate) async fn open(
    url: &SecretString,
    migrate_url: Option<&SecretString>,
    sizes: &Options,
) -> Result<Opened, StoreError> {
    let acquire_timeout = sizes.acquire_timeout;
    let options = parse(url, "the database URL")?;
    let migrate_options = migrate_url.map(|url| parse(url, "the database URL for migrations")).transpose()?;
    let mut has_one_log = true;
    for options in [Some(&options), migrate_options.as_ref()].into_iter().flatten() {
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, options.connect())
            .await
            .map_err(|_| StoreError::Unavailable("PostgreSQL does not answer".to_owned()))?;
        let mut connection = connection.map_err(refused)?;
        has_one_log &= !is_spread(&mut connection).await.map_err(refused)?;
        connection.close().await.map_err(refused)?;
    }
    let silence = Silence::default();
    let pool = |options: &PgConnectOptions, path: &str, size: u32, least: u32| {
        let options = options.clone().options([("search_path", path)]);
        pool_options(size, acquire_timeout, silence.clone(), false).min_connections(least).connect_lazy_with(options)
    };
    // Signing in takes seconds on a busy runtime (sqlx yields hundreds of times over it), so a process that serves opens its
    // connections beforehand.
    let least = |size: u32| if sizes.keep_open { size } else { 0 };
    let for_jobs = JOB_CONNECTIONS.min(sizes.control_connections / 2).max(1);
    let for_others = sizes.control_connections.saturating_sub(for_jobs).max(1);
    let control = pool(&options, CONTROL_SCHEMA, for_others, least(for_others));
    // A server that crashes forgets the last of what was committed so, but only together with all that was committed later, for it
    // has one log: a run stands only where its jobs row does, and that row is gone only where what came before its deletion stands.
    let in_the_log = options.clone().options([("synchronous_commit", "off")]);
    let for_the_log = if has_one_log { &in_the_log } else { &options };
    let jobs = pool(for_the_log, CONTROL_SCHEMA, for_jobs, least(for_jobs));
    let tenants = (0..sizes.tenant_connections).map(|_| pool(&options, "", 1, least(1))).collect();
    let tenants = Connections::new(tenants);
    if sizes.keep_open {
        // Before anything is served: the first flood must not wait for sign-ins that it slows down itself.
        let of_control = (0..for_others).map(|_| &control).chain((0..for_jobs).map(|_| &jobs));
        let all = of_control.chain(tenants.pools());
        open_beforehand(all).await;
    }
    let owner = migrate_options.as_ref().unwrap_or(&options);
    let grant_to = (owner.get_username() != options.get_username()).then(|| options.get_username().to_owned());
    Ok(Opened {
        control: Patient::new(control.into(), silence.clone()),
        jobs: Patient::new(jobs.into(), silence.clone()),
        heartbeats: heartbeats(for_the_log, acquire_timeout, silence.clone()).into(),
        schemas: Schemas {
            tenants,
            shares: Shares::of_pool(sizes.tenant_connections),
            acquire_timeout,
            silence: silence.clone(),
            migrations: pool(owner, "", MIGRATE_CONNECTIONS, 0),
            grant_to,
        },
    })
}

/// Whether schemas may stand on other servers than the one that is connected to, each with a log of its own.
async fn is_spread(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let citus = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')";
    sqlx::query_scalar(citus).fetch_one(connection).await
}

fn refused(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(cause) => {
            StoreError::Setup(format!("PostgreSQL refuses the connection: {}", cause.message()))
        }
        error => StoreError::Unavailable(error.to_string()),
    }
}

/// The one connection of the heartbeats. It is never renewed for its age: a sign-in that takes long would make this process look
/// dead, and so would a busy disk, if each heartbeat waited for it. What a crash of the server forgets, the next one repairs.
fn heartbeats(options: &PgConnectOptions, acquire_timeout: Duration, silence: Silence) -> PgPool {
    let options = options.clone().options([("search_path", CONTROL_SCHEMA)]);
    pool_options(1, acquire_timeout, silence, true).max_lifetime(None).idle_timeout(None).connect_lazy_with(options)
}

/// The schema of a tenant: letters, digits and an underscore, so that it needs no escaping.
fn schema_of(tenant: TenantId) -> String {
    format!("t_{}", tenant.uuid().simple())
}

impl Schemas {
    /// `begin`: the statement that begins it.
    pub(crate) async fn begin(&self, tenant: TenantId, begin: &str) -> Result<TenantTx, StoreError> {
        let asked = Instant::now();
        let place = self.shares.place(tenant, asked + self.acquire_timeout).await?;
        let connection = self.tenants.take(tenant, asked + self.acquire_timeout).await?;
        // Both waits and the statement together take no longer than the pool's own wait and a sign of life may.
        let deadline = asked + self.acquire_timeout + SIGN_OF_LIFE;
        let (tx, connection) = match self.begin_on(connection, tenant, begin, deadline).await {
            // Where this one cannot be opened, as while the server has too many, another that is open may serve. Nothing was done yet.
            Err(error) if error.is_unavailable() && Instant::now() < deadline && self.tenants.has_ready() => {
                let on_another = async {
                    let other = self.tenants.take(tenant, deadline).await?;
                    self.begin_on(other, tenant, begin, deadline).await
                };
                Box::pin(on_another).await?
            }
            begun => begun?,
        };
        Ok(TenantTx::postgres(tenant, tx, connection, place))
    }

    async fn begin_on(
        &self,
        mut connection: Taken,
        tenant: TenantId,
        begin: &str,
        deadline: Instant,
    ) -> Result<(Transaction<'static, Postgres>, Taken), StoreError> {
        // One round trip.
        let begin = format!("{begin}; SET LOCAL search_path = \"{}\"", schema_of(tenant));
        let mut beginning = Box::pin(connection.pool().begin_with(AssertSqlSafe(begin)));
        let unanswered = self.silence.begin();
        let tx = timeout_at(deadline, &mut beginning).await.unwrap_or_else(|_| Err(silent().into()))?;
        unanswered.end();
        drop(beginning);
        connection.note_served(tenant);
        Ok((tx, connection))
    }

    pub(crate) async fn create(&self, tenant: TenantId) -> Result<(), StoreError> {
        self.up::<TenantMigrator>(&schema_of(tenant), true).await.map(|_| ())
    }

    pub(crate) async fn migrate(&self, tenant: TenantId) -> Result<bool, StoreError> {
        self.up::<TenantMigrator>(&schema_of(tenant), false).await
    }

    pub(crate) async fn migrate_control(&self) -> Result<bool, StoreError> {
        self.up::<ControlMigrator>(CONTROL_SCHEMA, true).await
    }

    pub(crate) async fn destroy(&self, tenant: TenantId) -> Result<(), StoreError> {
        let drop = format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", schema_of(tenant));
        DatabaseConnection::from(self.migrations.clone()).execute_unprepared(&drop).await?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        futures_util::future::join_all(self.tenants.pools().iter().map(PgPool::close)).await;
        self.migrations.close().await;
    }

    /// Everything in one transaction under an advisory lock: another process waits and then finds nothing to do.
    async fn up<M: MigratorTrait>(&self, schema: &str, create: bool) -> Result<bool, StoreError> {
        let tx = DatabaseConnection::from(self.migrations.clone()).begin().await?;
        let create = if create { format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\";") } else { String::new() };
        tx.execute_unprepared(&format!(
            "SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0; \
             SELECT pg_advisory_xact_lock(hashtextextended('acm2:{schema}', 0)); \
             {create} SET LOCAL search_path = \"{schema}\""
        ))
        .await?;
        let changed = schema::up::<M>(&tx).await?;
        if let Some(role) = &self.grant_to {
            let role = role.replace('"', "\"\"");
            tx.execute_unprepared(&format!(
                "GRANT USAGE ON SCHEMA \"{schema}\" TO \"{role}\"; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \"{schema}\" TO \"{role}\""
            ))
            .await?;
        }
        tx.commit().await?;
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Database;

    #[expect(clippy::disallowed_methods, reason = "the wrapper of the tests says where its server is")]
    fn test_url() -> Option<SecretString> {
        let url = std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty());
        if url.is_none() {
            eprintln!("SKIPPED, for want of TEST_DATABASE_URL: a test of the pools of PostgreSQL");
        }
        url.map(SecretString::from)
    }

    fn options(url: &SecretString) -> Options {
        let database = Database::Postgres { url: url.clone(), migrate_url: None };
        Options { tenant_connections: 2, control_connections: 2, ..Options::new(database) }
    }

    #[tokio::test]
    async fn without_a_tenant_transaction_no_table_is_found() {
        let Some(url) = test_url() else { return };
        let opened = open(&url, None, &options(&url)).await.unwrap();
        let tenant = TenantId::generate();
        opened.schemas.create(tenant).await.unwrap();
        let count = "SELECT count(*) FROM provider_keys";
        // The same connections serve a tenant before and after: nothing of it must stay.
        for _ in 0..3 {
            let tx = opened.schemas.begin(tenant, "BEGIN").await.unwrap();
            tx.execute_unprepared(count).await.unwrap();
            tx.commit().await.unwrap();
            drop(opened.schemas.begin(tenant, "BEGIN").await.unwrap());
            let bare = DatabaseConnection::from(opened.schemas.tenants.pools()[0].clone());
            let error = bare.execute_unprepared(count).await.unwrap_err();
            assert!(error.to_string().contains("does not exist"), "{error}");
            let error = opened.control.execute_unprepared(count).await.unwrap_err();
            assert!(error.to_string().contains("does not exist"), "{error}");
        }
        opened.schemas.destroy(tenant).await.unwrap();
    }

    #[tokio::test]
    async fn a_tenant_is_served_by_the_connection_that_served_it_last() {
        let Some(url) = test_url() else { return };
        let opened = open(&url, None, &Options { keep_open: true, ..options(&url) }).await.unwrap();
        let tenants = [(); 2].map(|()| TenantId::generate());
        let mut served = Vec::new();
        for tenant in tenants {
            opened.schemas.create(tenant).await.unwrap();
        }
        for round in 0..6 {
            let tx = opened.schemas.begin(tenants[round % 2], "BEGIN").await.unwrap();
            let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, "SELECT pg_backend_pid()");
            let row = tx.query_one_raw(statement).await.unwrap().unwrap();
            served.push(row.try_get_by_index::<i32>(0).unwrap());
            // Given back with its work undone, too.
            if round < 2 {
                tx.commit().await.unwrap();
            }
        }
        assert_ne!(served[0], served[1]);
        assert_eq!(served[2..], [served[0], served[1], served[0], served[1]]);
        for tenant in tenants {
            opened.schemas.destroy(tenant).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_opened_stops_nobody_while_another_is_open() {
        let Some(url) = test_url() else { return };
        let mut opened = open(&url, None, &options(&url)).await.unwrap();
        let tenant = TenantId::generate();
        opened.schemas.create(tenant).await.unwrap();
        let pool =
            |options| pool_options(1, Duration::from_secs(2), Silence::default(), false).connect_lazy_with(options);
        let works = parse(&url, "the URL").unwrap();
        let pools = vec![pool(works.clone().host("127.0.0.1").port(1)), pool(works)];
        let good = pools[1].clone();
        opened.schemas.tenants = Connections::new(pools);
        // None is open yet, so that the first is tried; as soon as it has failed, it is not asked again.
        assert!(opened.schemas.begin(tenant, "BEGIN").await.is_err());
        for _ in 0..3 {
            opened.schemas.begin(tenant, "BEGIN").await.unwrap().commit().await.unwrap();
        }
        // The other tenant's first comes upon the broken one only where all others are in use.
        let held = opened.schemas.begin(tenant, "BEGIN").await.unwrap();
        let (waiting, ()) = tokio::join!(opened.schemas.begin(TenantId::generate(), "BEGIN"), async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            held.commit().await.unwrap();
        });
        waiting.unwrap();
        assert_eq!(good.size(), 1);
        opened.schemas.destroy(tenant).await.unwrap();
    }

    #[tokio::test]
    async fn only_the_index_of_unfinished_work_and_heartbeats_are_committed_before_they_are_on_the_disk() {
        let Some(url) = test_url() else { return };
        let opened = open(&url, None, &Options { control_connections: 1, ..options(&url) }).await.unwrap();
        let shown = async |db: &DatabaseConnection| {
            let show = "SELECT current_setting('synchronous_commit') = 'off'";
            let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, show);
            db.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index::<bool>(0).unwrap()
        };
        assert!(shown(opened.jobs.pool()).await);
        assert!(shown(&opened.heartbeats).await);
        assert!(!shown(opened.control.pool()).await);
        for pool in opened.schemas.tenants.pools() {
            assert!(!shown(&pool.clone().into()).await);
        }
    }

    #[tokio::test]
    async fn a_statement_does_not_last_for_ever() {
        let Some(url) = test_url() else { return };
        let opened = open(&url, None, &options(&url)).await.unwrap();
        for pool in opened.schemas.tenants.pools().iter().chain([&opened.schemas.migrations]) {
            let show = "SELECT current_setting('statement_timeout') || current_setting('lock_timeout')";
            let limits: String = sqlx::query_scalar(show).fetch_one(pool).await.unwrap();
            assert_eq!(limits, "1min10s");
        }
    }
}
