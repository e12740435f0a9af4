//! A database of its own on the test server, and one of the sixteen databases of the test Redis, held by a file lock so that
//! tests in other processes take others.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

/// Where the test servers are, if there are any.
#[expect(clippy::disallowed_methods, reason = "the wrapper of the tests says where its servers are")]
pub(super) fn urls(test: &str) -> Option<(String, String)> {
    let set = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
    let both = set("TEST_DATABASE_URL").zip(set("TEST_BROKER_URL"));
    if both.is_none() {
        eprintln!("SKIPPED over PostgreSQL + Redis, for want of TEST_DATABASE_URL and TEST_BROKER_URL: {test}");
    }
    both
}

/// A database of the test server.
#[derive(Debug)]
pub(super) struct Database {
    server: String,
    name: String,
}

impl Database {
    pub(super) async fn create(server: &str) -> Self {
        let name = format!("acm2_api_{}", uuid::Uuid::now_v7().simple());
        execute(server, format!("CREATE DATABASE {name}")).await;
        Self { server: server.to_owned(), name }
    }

    pub(super) fn url(&self) -> String {
        let options: PgConnectOptions = self.server.parse().unwrap();
        options.database(&self.name).to_url_lossy().to_string()
    }

    pub(super) async fn remove(&self) {
        execute(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn execute(server: &str, statement: String) {
    let options: PgConnectOptions = server.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}

/// One of the databases of the test Redis, emptied; held while this lives.
#[derive(Debug)]
pub(super) struct Redis {
    url: String,
    _lock: File,
}

impl Redis {
    pub(super) fn take(server: &str) -> Self {
        let mut url = url::Url::parse(server).unwrap();
        let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(6379));
        loop {
            // 0 is left to those who know nothing of these locks.
            for number in 1..16_u8 {
                let path =
                    std::env::temp_dir().join(format!("acm2-test-redis-{}-{number}.lock", address.replace(':', "-")));
                let lock = File::create(path).unwrap();
                if lock.try_lock().is_ok() {
                    flush(&address, number);
                    url.set_path(&format!("/{number}"));
                    return Self { url: url.to_string(), _lock: lock };
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }
}

fn flush(address: &str, number: u8) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(format!("SELECT {number}\r\nFLUSHDB\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.matches("+OK").count(), 3, "{answer}");
}
