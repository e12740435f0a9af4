//! Live processes (PROTOCOL rule 4): one row each, with a heartbeat by the database's clock on a connection of its own.

use std::time::Duration;

use acm2_domain::ids::WorkerId;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::worker_entity::{Column, Entity};
use crate::column::{from_json, to_json};
use crate::database_clock;
use crate::error::StoreError;
use crate::store::Store;

/// A process that begins to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorker {
    /// Its id, new at each start.
    pub id: WorkerId,
    /// `serve`, `api` or `worker`.
    pub role: String,
    /// The machine.
    pub host: String,
    /// The process on that machine.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// The master keys that it holds, newest first.
    pub master_key_ids: Vec<String>,
}

/// A process as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerRow {
    /// What it said of itself.
    pub worker: NewWorker,
    /// How long ago its last heartbeat was.
    pub age: Duration,
}

#[derive(FromQueryResult)]
struct Listed {
    id: Uuid,
    role: String,
    host: String,
    pid: i64,
    version: String,
    master_key_ids: String,
    age: f64,
}

/// Live processes.
#[derive(Debug, Clone, Copy)]
pub struct Workers<'a>(&'a Store);

impl<'a> Workers<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self(store)
    }

    /// Writes or renews a process's row; it counts as a heartbeat.
    pub async fn register(&self, worker: &NewWorker) -> Result<(), StoreError> {
        let db = self.0.heartbeats();
        let now = || database_clock::now(db.get_database_backend());
        let insert = Query::insert()
            .into_table(Entity)
            .columns([
                Column::Id,
                Column::Role,
                Column::Host,
                Column::Pid,
                Column::Version,
                Column::MasterKeyIds,
                Column::StartedAt,
                Column::HeartbeatAt,
            ])
            .values_panic([
                Expr::value(worker.id.uuid()),
                Expr::value(worker.role.clone()),
                Expr::value(worker.host.clone()),
                Expr::value(i64::from(worker.pid)),
                Expr::value(worker.version.clone()),
                Expr::value(to_json(&worker.master_key_ids)),
                now(),
                now(),
            ])
            .on_conflict(
                OnConflict::column(Column::Id).update_columns([Column::MasterKeyIds, Column::HeartbeatAt]).to_owned(),
            )
            .to_owned();
        db.execute(&insert).await?;
        Ok(())
    }

    /// Writes a heartbeat. `false` if the row is gone: register again.
    pub async fn beat(&self, id: WorkerId) -> Result<bool, StoreError> {
        let db = self.0.heartbeats();
        let update = Entity::update_many()
            .col_expr(Column::HeartbeatAt, database_clock::now(db.get_database_backend()))
            .filter(Column::Id.eq(id.uuid()));
        Ok(update.exec(db).await?.rows_affected == 1)
    }

    /// Takes a process's row away: it holds nothing any more.
    pub async fn remove(&self, id: WorkerId) -> Result<(), StoreError> {
        Entity::delete_by_id(id.uuid()).exec(self.0.heartbeats()).await?;
        Ok(())
    }

    /// Takes all rows away; for the one process that holds the lock on the data folder.
    pub async fn delete_all(&self) -> Result<(), StoreError> {
        Entity::delete_many().exec(self.0.heartbeats()).await?;
        Ok(())
    }

    /// Takes away the rows of processes whose last heartbeat is older than `age`. Tells how many.
    pub async fn delete_older_than(&self, age: Duration) -> Result<u64, StoreError> {
        let db = self.0.control();
        let old = database_clock::ago(db.get_database_backend(), age);
        let delete = Entity::delete_many().filter(Expr::col(Column::HeartbeatAt).lt(old));
        Ok(delete.exec(db).await?.rows_affected)
    }

    /// All rows, the oldest process first.
    pub async fn list(&self) -> Result<Vec<WorkerRow>, StoreError> {
        let db = self.0.control();
        let columns = [Column::Id, Column::Role, Column::Host, Column::Pid, Column::Version, Column::MasterKeyIds];
        let query = Entity::find()
            .select_only()
            .columns(columns)
            .expr_as(database_clock::seconds_since(db.get_database_backend(), "heartbeat_at"), "age")
            .order_by_asc(Column::Id);
        let rows = query.into_model::<Listed>().all(db).await?;
        rows.into_iter()
            .map(|row| {
                Ok(WorkerRow {
                    worker: NewWorker {
                        id: row.id.into(),
                        role: row.role,
                        host: row.host,
                        pid: u32::try_from(row.pid).unwrap_or(0),
                        version: row.version,
                        master_key_ids: from_json("workers.master_key_ids", &row.master_key_ids)?,
                    },
                    age: Duration::try_from_secs_f64(row.age.max(0.0)).unwrap_or(Duration::MAX),
                })
            })
            .collect()
    }

    /// Whether a process has a row. One that ends takes its own away; one that dies leaves it.
    pub async fn is_registered(&self, id: WorkerId) -> Result<bool, StoreError> {
        Ok(Entity::find_by_id(id.uuid()).one(self.0.control()).await?.is_some())
    }

    /// Whether a process's last heartbeat is older than `stale`. A missing row is stale.
    pub async fn is_stale(&self, id: WorkerId, stale: Duration) -> Result<bool, StoreError> {
        let db = self.0.control();
        let fresh_since = database_clock::ago(db.get_database_backend(), stale);
        let fresh =
            Entity::find_by_id(id.uuid()).filter(Expr::col(Column::HeartbeatAt).gte(fresh_since)).one(db).await?;
        Ok(fresh.is_none())
    }
}
