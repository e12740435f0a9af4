//! How long the database is waited for. A server that hangs, or a network that swallows packets, says nothing: without a limit of
//! our own a statement would wait for a quarter of an hour, until the system gives the connection up. `postgres`, `store` and
//! `tenant_tx` use it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::time::{Instant, timeout};

/// How long a statement may take: longer than it may wait for a lock.
const STATEMENT: Duration = Duration::from_secs(15);
/// How long a connection may take to show that it lives.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long after a silence connections are looked at more closely.
const WARY: Duration = Duration::from_mins(1);

/// Waits for an answer of the database, but not for ever.
pub(crate) async fn patiently<T, E: From<std::io::Error>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(STATEMENT, answer).await.unwrap_or_else(|_| Err(silent().into()))
}

/// The error of a database that says nothing.
pub(crate) fn silent() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer")
}

/// When the server was last found silent. Shared by its pools: what swallowed the packets of one connection may have swallowed
/// those of all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Silence(Arc<Mutex<Option<Instant>>>);

impl Silence {
    /// It is silent now.
    pub(crate) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it was silent lately.
    pub(crate) fn is_recent(&self) -> bool {
        self.last().is_some_and(|last| last.elapsed() < WARY)
    }

    /// Whether a connection has been idle since before the silence, so that nobody knows whether it still leads anywhere.
    pub(crate) fn began_within(&self, idle_for: Duration) -> bool {
        self.last().is_some_and(|last| last.elapsed() < idle_for)
    }

    fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pool whose statements are waited for patiently.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    pool: DatabaseConnection,
    silence: Silence,
}

impl Patient {
    pub(crate) fn new(pool: DatabaseConnection, silence: Silence) -> Self {
        Self { pool, silence }
    }

    /// The pool itself, for migrations and transactions.
    pub(crate) const fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Whether the server answers. Asked to the end even where nobody waits for it any longer: a connection that is left in the
    /// middle of a question cannot be told from one that is well.
    pub(crate) async fn ping(&self) -> Result<(), DbErr> {
        let this = self.clone();
        let asked = tokio::spawn(async move { this.wait(SIGN_OF_LIFE, this.pool.ping()).await });
        asked.await.unwrap_or_else(|_| Err(io_error(silent())))
    }

    async fn wait<T>(&self, patience: Duration, answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        tokio::pin!(answer);
        if let Ok(answer) = timeout(patience, &mut answer).await {
            return answer;
        }
        // Before the connection goes back to the pool, which then looks at it more closely.
        self.silence.note();
        Err(io_error(silent()))
    }
}

/// As the pools report a connection that broke.
pub(crate) fn io_error(error: std::io::Error) -> DbErr {
    DbErr::Exec(sea_orm::RuntimeErr::SqlxError(sqlx::Error::Io(error).into()))
}

#[async_trait::async_trait]
impl ConnectionTrait for Patient {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.wait(STATEMENT, self.pool.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.wait(STATEMENT, self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.wait(STATEMENT, self.pool.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.wait(STATEMENT, self.pool.query_all_raw(statement)).await
    }
}
