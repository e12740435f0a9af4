//! Where a test's data and queue are: a folder and memory, or a database of its own on the test server and a namespace in Redis.

use std::str::FromStr;

use acm2_broker::{Broker, BrokerOptions, BrokerUrl};
use acm2_domain::timing::Timing;
use acm2_store::{Database, Options};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tempfile::TempDir;

/// Where the data and the queue of one test are.
pub(crate) struct BackEnds {
    place: Place,
    options: Options,
    broker_url: BrokerUrl,
    namespace: String,
}

enum Place {
    /// Removed when dropped.
    Folder {
        _folder: TempDir,
    },
    Server {
        admin: Box<PgConnectOptions>,
        database: String,
    },
}

impl BackEnds {
    pub(crate) fn files() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::Sqlite { dir: folder.path().join("data") };
        Self::new(Place::Folder { _folder: folder }, database, BrokerUrl::Memory)
    }

    /// `None`, said aloud, without servers.
    #[expect(clippy::disallowed_methods, reason = "the wrapper of the tests says where its servers are")]
    pub(crate) async fn servers(test: &str) -> Option<Self> {
        let set = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
        let Some((server, broker)) = set("TEST_DATABASE_URL").zip(set("TEST_BROKER_URL")) else {
            eprintln!("SKIPPED over PostgreSQL + Redis, for want of TEST_DATABASE_URL and TEST_BROKER_URL: {test}");
            return None;
        };
        let admin = PgConnectOptions::from_str(&server).unwrap();
        let database = format!("acm2_worker_{}", uuid::Uuid::now_v7().simple());
        execute(&admin, format!("CREATE DATABASE {database}")).await;
        let url = admin.clone().database(&database).to_url_lossy().to_string().into();
        let place = Place::Server { admin: Box::new(admin), database };
        Some(Self::new(place, Database::Postgres { url, migrate_url: None }, broker.parse().unwrap()))
    }

    fn new(place: Place, database: Database, broker_url: BrokerUrl) -> Self {
        let options = Options { tenant_connections: 6, control_connections: 4, ..Options::new(database) };
        Self { place, options, broker_url, namespace: format!("test:{}", uuid::Uuid::now_v7()) }
    }

    /// How a process opens the store.
    pub(crate) fn store_options(&self) -> Options {
        self.options.clone()
    }

    /// Opens the broker as a process does: over Redis the same queue each time, in memory one that is empty.
    pub(crate) fn open_broker(&self, timing: &Timing) -> Broker {
        let options = BrokerOptions { namespace: self.namespace.clone(), ..BrokerOptions::new(timing.lease) };
        acm2_broker::open(&self.broker_url, options).unwrap()
    }

    /// Whether the broker is this process's memory.
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.broker_url, BrokerUrl::Memory)
    }

    pub(crate) async fn remove(&self) {
        if let Place::Server { admin, database } = &self.place {
            execute(admin, format!("DROP DATABASE {database} WITH (FORCE)")).await;
        }
    }
}

async fn execute(server: &PgConnectOptions, statement: String) {
    let mut connection = server.connect().await.unwrap();
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}
