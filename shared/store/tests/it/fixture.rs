//! A fresh store for a test, of either kind.

use std::str::FromStr;
use std::time::Duration;

use acm2_domain::clock::{Clock, SystemClock};
use acm2_domain::ids::TenantId;
use acm2_store::control::StoredDataKey;
use acm2_store::{Database, Options, Store, StoreError};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// Runs each of the named functions, which take a `&Fixture`, over both kinds of store.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod over_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::fixture::Fixture::sqlite().await).await;
            })+
        }
        mod over_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(fixture) = crate::fixture::Fixture::postgres(stringify!($name)).await {
                    super::$name(&fixture).await;
                    fixture.remove().await;
                }
            })+
        }
    };
}
pub(crate) use on_both;

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) options: Options,
    place: Place,
}

enum Place {
    Folder(TempDir),
    Server { admin: Box<PgConnectOptions>, database: String },
}

pub(crate) fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// The server for tests, if there is one.
#[expect(clippy::disallowed_methods, reason = "the wrapper of the tests says where its server is")]
pub(crate) fn test_server(test: &str) -> Option<PgConnectOptions> {
    let url = std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty());
    let Some(url) = url else {
        eprintln!("SKIPPED over PostgreSQL, for want of TEST_DATABASE_URL: {test}");
        return None;
    };
    Some(PgConnectOptions::from_str(&url).unwrap())
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::Sqlite { dir: folder.path().join("data") };
        Self::open(database, Place::Folder(folder)).await
    }

    /// A new database on the server for tests; `None`, said aloud, without a server.
    pub(crate) async fn postgres(test: &str) -> Option<Self> {
        let admin = test_server(test)?;
        let database = format!("acm2_it_{}", uuid::Uuid::now_v7().simple());
        execute(&admin, &format!("CREATE DATABASE {database}")).await;
        let url = url_of(&admin.clone().database(&database));
        Some(
            Self::open(
                Database::Postgres { url, migrate_url: None },
                Place::Server { admin: Box::new(admin), database },
            )
            .await,
        )
    }

    async fn open(database: Database, place: Place) -> Self {
        let options = Options { tenant_connections: 8, control_connections: 4, ..Options::new(database) };
        let store = Store::open(options.clone()).await.unwrap();
        assert!(store.migrate_control().await.unwrap());
        Self { store, options, place }
    }

    /// What another process would have: the same data, nothing remembered.
    pub(crate) async fn another_process(&self) -> Store {
        Store::open(self.options.clone()).await.unwrap()
    }

    pub(crate) async fn new_tenant(&self) -> TenantId {
        let id = TenantId::generate();
        self.store.tenants().create(id, "somebody", data_key(1), now()).await.unwrap();
        id
    }

    /// Runs a statement in the control store behind the store's back.
    pub(crate) async fn in_control(&self, sql: &str) {
        match &self.place {
            Place::Folder(folder) => {
                let options = SqliteConnectOptions::new().filename(folder.path().join("data/control.db"));
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
                connection.close().await.unwrap();
            }
            Place::Server { admin, database } => {
                let options = PgConnectOptions::clone(admin).database(database).options([("search_path", "acm2")]);
                execute(&options, sql).await;
            }
        }
    }

    /// The connection of an administrator to the test's own database.
    pub(crate) fn admin(&self) -> PgConnectOptions {
        match &self.place {
            Place::Folder(_) => panic!("there is no server"),
            Place::Server { admin, database } => PgConnectOptions::clone(admin).database(database),
        }
    }

    pub(crate) async fn remove(self) {
        self.store.close().await;
        if let Place::Server { admin, database } = &self.place {
            execute(admin, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
        }
    }
}

pub(crate) async fn execute(options: &PgConnectOptions, sql: &str) {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

pub(crate) fn url_of(options: &PgConnectOptions) -> SecretString {
    options.to_url_lossy().to_string().into()
}

pub(crate) fn data_key(byte: u8) -> StoredDataKey {
    StoredDataKey { master_key_id: "a".into(), bytes: vec![byte; 61] }
}

/// Tries until it holds, for what happens after a while.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    for _ in 0..1_200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within 30 s: {what}");
}

pub(crate) fn is_not_found<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound(_)))
}
