//! How long the database is waited for. A server that hangs, or a network that swallows packets, says nothing: without a limit of
//! our own a statement would wait for a quarter of an hour, until the system gives the connection up. `postgres`, `store` and
//! `tenant_tx` use it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// What is known of the server's silence. Shared by its pools: what swallowed the packets of one connection may have swallowed
/// those of all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Silence(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// When the server was last found silent.
    found: Option<Instant>,
    /// When a statement was last left before its answer came, whatever the reason.
    doubted: Option<Instant>,
}

impl Silence {
    /// It is silent now.
    pub(crate) fn note(&self) {
        self.state().found = Some(Instant::now());
    }

    /// A statement begins. Unless its end is told, connections that come back are looked at more closely: one that was left in the
    /// middle of a statement looks like any other, and may lead nowhere.
    pub(crate) fn begin(&self) -> Unanswered {
        Unanswered(Some(self.clone()))
    }

    /// Whether there was a silence lately, or might have been one.
    pub(crate) fn is_recent(&self) -> bool {
        let state = self.state();
        let is_recent = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < WARY);
        is_recent(state.found) || is_recent(state.doubted)
    }

    /// Whether a connection has been idle since before the silence, so that nobody knows whether it still leads anywhere.
    pub(crate) fn began_within(&self, idle_for: Duration) -> bool {
        self.state().found.is_some_and(|found| found.elapsed() < idle_for)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement without an answer yet. It must be dropped before the statement.
#[derive(Debug)]
pub(crate) struct Unanswered(Option<Silence>);

impl Unanswered {
    /// The answer came.
    pub(crate) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(silence) = &self.0 {
            silence.state().doubted = Some(Instant::now());
        }
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

    /// Whether the server answers.
    pub(crate) async fn ping(&self) -> Result<(), DbErr> {
        self.wait(SIGN_OF_LIFE, self.pool.ping()).await
    }

    async fn wait<T>(&self, patience: Duration, answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        tokio::pin!(answer);
        let unanswered = self.silence.begin();
        if let Ok(answer) = timeout(patience, &mut answer).await {
            unanswered.end();
            return answer;
        }
        self.silence.note();
        Err(io_error(silent()))
    }
}

/// As the pools report a connection that broke.
fn io_error(error: std::io::Error) -> DbErr {
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
