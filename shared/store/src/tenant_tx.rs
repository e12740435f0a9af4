//! One transaction in one tenant's store. `Tenant::begin` makes it; all functions on tenant data take a reference to it.
//!
//! On PostgreSQL it is the only thing that ever sets a tenant's search path, and that only until its end.

use acm2_domain::ids::TenantId;
use futures_util::TryFutureExt;
use sea_orm::sea_query::Values;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Executor, Postgres, Sqlite, Transaction};
use tokio::sync::Mutex;

use crate::connections::Taken;
use crate::error::StoreError;
use crate::patience::patiently;
use crate::shares::Place;
use crate::sqlite::FileInUse;

/// One transaction in one tenant's store. Dropping it rolls back.
#[derive(Debug)]
pub struct TenantTx {
    tenant: TenantId,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    // The transaction stands before its connection, its place and the file, so that it is dropped first.
    Postgres(Mutex<Transaction<'static, Postgres>>, Taken, Place),
    Sqlite(Mutex<Transaction<'static, Sqlite>>, FileInUse),
}

impl TenantTx {
    pub(crate) fn postgres(
        tenant: TenantId,
        tx: Transaction<'static, Postgres>,
        connection: Taken,
        place: Place,
    ) -> Self {
        Self { tenant, inner: Inner::Postgres(Mutex::new(tx), connection, place) }
    }

    pub(crate) fn sqlite(tenant: TenantId, tx: Transaction<'static, Sqlite>, file: FileInUse) -> Self {
        Self { tenant, inner: Inner::Sqlite(Mutex::new(tx), file) }
    }

    /// Whose data it sees.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// `Unavailable` leaves open whether it was applied: the connection may have died after the server did it.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.inner {
            Inner::Postgres(tx, _connection, _place) => patiently(tx.into_inner().commit()).await?,
            Inner::Sqlite(tx, _file) => tx.into_inner().commit().await?,
        }
        Ok(())
    }
}

fn values(statement: &Statement) -> SqlxValues {
    SqlxValues(statement.values.clone().unwrap_or_else(|| Values(Vec::new())))
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

/// The same statement, a future, for the transaction of either database.
macro_rules! on_either {
    ($self:ident, $tx:ident => $body:expr) => {
        match &$self.inner {
            Inner::Postgres(tx, ..) => {
                let $tx = &mut **tx.lock().await;
                patiently($body).await
            }
            Inner::Sqlite(tx, _) => {
                let $tx = &mut **tx.lock().await;
                $body.await
            }
        }
    };
}

#[async_trait::async_trait]
impl ConnectionTrait for TenantTx {
    fn get_database_backend(&self) -> DbBackend {
        match &self.inner {
            Inner::Postgres(..) => DbBackend::Postgres,
            Inner::Sqlite(..) => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let arguments = values(&statement);
        let done = on_either!(self, tx => sqlx::query_with(AssertSqlSafe(statement.sql), arguments).execute(tx).map_ok(ExecResult::from));
        done.map_err(exec_error)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let done = on_either!(self, tx => tx.execute(AssertSqlSafe(sql.to_owned())).map_ok(ExecResult::from));
        done.map_err(exec_error)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let arguments = values(&statement);
        let found = on_either!(self, tx => {
            let found = sqlx::query_with(AssertSqlSafe(statement.sql), arguments).fetch_optional(tx);
            found.map_ok(|row| row.map(QueryResult::from))
        });
        found.map_err(query_error)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let arguments = values(&statement);
        let found = on_either!(self, tx => {
            let found = sqlx::query_with(AssertSqlSafe(statement.sql), arguments).fetch_all(tx);
            found.map_ok(|rows| rows.into_iter().map(QueryResult::from).collect())
        });
        found.map_err(query_error)
    }
}
