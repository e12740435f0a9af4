//! The index of unfinished work (PROTOCOL rules 1–3): a row is written before and deleted after what it points to. Called by
//! whoever submits, by the sweeper and by the tail of an end. It opens no tenant store.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use acm2_domain::ids::JobId;
use acm2_domain::job::{Job, Work};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::job_batches::{self, NewJob};
use super::job_entity::{Column, Entity, Model};
use super::tenant_entity;
use super::tenants::weight_of;
use crate::database_clock;
use crate::error::StoreError;
use crate::store::Store;

/// A job that the sweeper is to push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueJob {
    /// The job.
    pub job: Job,
    /// How often it was swept, this time included.
    pub tries: u32,
}

/// The index of unfinished work.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'a>(&'a Store);

impl<'a> Jobs<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self(store)
    }

    /// Writes a row that the sweeper pushes after `due_in`, or at `deadline` if that is earlier. The job as it is to be pushed,
    /// with its tenant's weight; `None` if a row with that id stands there already. Rows that come at the same time are written in one
    /// statement; a row is committed once this returns, whether or not the caller waits for that, and outlives a crash of the server if
    /// anything does that is committed later.
    pub async fn insert(
        &self,
        job: &Job,
        due_in: Duration,
        deadline: Option<DateTime<Utc>>,
    ) -> Result<Option<Job>, StoreError> {
        let store = self.0.clone();
        let insert = move |jobs: Vec<NewJob>| {
            let store = store.clone();
            async move { job_batches::insert(store.job_index(), &jobs).await }
        };
        self.0.new_jobs().hand_in((), NewJob { job: *job, due_in, deadline }, insert).await
    }

    /// Writes a row that nothing rests on which is committed later: it outlives a crash once this returns.
    pub async fn insert_alone(&self, job: &Job, due_in: Duration) -> Result<(), StoreError> {
        let new = NewJob { job: *job, due_in, deadline: None };
        job_batches::insert(self.0.control(), &[new]).await.map(|_| ())
    }

    /// Deletes a row by its own id, which is never used again, in one statement with what others delete at the moment. Tells
    /// whether it was there. After a crash of the server it may be there again.
    pub async fn delete(&self, id: JobId) -> Result<bool, StoreError> {
        let store = self.0.clone();
        let delete = move |ids: Vec<JobId>| {
            let store = store.clone();
            async move { job_batches::delete(store.job_index(), &ids).await }
        };
        self.0.done_jobs().hand_in((), id, delete).await
    }

    /// Deletes a row whose subject is missing, if it has stood for `older_than`: until then its writer may yet commit.
    /// Tells whether it did.
    pub async fn delete_orphan(&self, id: JobId, older_than: Duration) -> Result<bool, StoreError> {
        let db = self.0.control();
        let old = database_clock::ago(db.get_database_backend(), older_than);
        let delete =
            Entity::delete_many().filter(Column::Id.eq(id.uuid())).filter(Expr::col(Column::CreatedAt).lt(old));
        Ok(delete.exec(db).await?.rows_affected == 1)
    }

    /// Moves the time at which the sweeper pushes a row to `due_in` from now and starts its back-off anew. Tells whether the row
    /// was there.
    pub async fn reschedule(&self, id: JobId, due_in: Duration) -> Result<bool, StoreError> {
        let db = self.0.control();
        let update = Entity::update_many()
            .col_expr(Column::DueAt, database_clock::from_now(db.get_database_backend(), due_in))
            .col_expr(Column::Tries, Expr::value(0))
            .filter(Column::Id.eq(id.uuid()));
        Ok(update.exec(db).await?.rows_affected == 1)
    }

    /// Leaves a row alone until its deadline, for work that waits for a command. Tells whether it was there; one whose deadline
    /// has passed stays as it is.
    pub async fn park(&self, id: JobId) -> Result<bool, StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::DueAt, Expr::col(Column::DeadlineAt))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::DeadlineAt.is_not_null());
        Ok(update.exec(self.0.control()).await?.rows_affected == 1)
    }

    /// The sweeper's page: up to `limit` rows whose due time or deadline has passed, oldest first. The same statement moves their
    /// due time on: by `first`, twice that, … up to `longest`. A passed deadline is reported once, starts the
    /// back-off anew and gives the job the priority `i16::MIN`.
    pub async fn take_due(&self, limit: u64, first: Duration, longest: Duration) -> Result<Vec<DueJob>, StoreError> {
        let db = self.0.control();
        let backend = db.get_database_backend();
        let now = || database_clock::now(backend);
        let deadline_passed = || Expr::col(Column::DeadlineAt).lte(now());
        let due = Query::select()
            .column(Column::Id)
            .from(Entity)
            .cond_where(Expr::col(Column::DueAt).lte(now()).or(deadline_passed()))
            .order_by(Column::DueAt, sea_orm::Order::Asc)
            .limit(limit)
            // Another sweeper's rows are left to it.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        let update = Query::update()
            .table(Entity)
            .value(
                Column::DueAt,
                Expr::case(deadline_passed(), database_clock::from_now(backend, first))
                    .finally(database_clock::backed_off(backend, "tries", first, longest)),
            )
            .value(
                Column::Tries,
                Expr::case(deadline_passed(), Expr::value(1)).finally(Expr::col(Column::Tries).add(1)),
            )
            // Whoever is past its deadline is only to be ended: it goes before all others of its tenant.
            .value(
                Column::Priority,
                Expr::case(deadline_passed(), Expr::value(i16::MIN)).finally(Expr::col(Column::Priority)),
            )
            .value(
                Column::DeadlineAt,
                Expr::case(deadline_passed(), Expr::null()).finally(Expr::col(Column::DeadlineAt)),
            )
            .and_where(Expr::col(Column::Id).in_subquery(due))
            .returning_all()
            .to_owned();
        let rows = db.query_all(&update).await?;
        let mut models = rows.iter().map(|row| Model::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?;
        models.sort_by_key(|model| model.id);
        let tries = |model: &Model| u32::try_from(model.tries).unwrap_or(u32::MAX);
        let weights = self.weights(&models).await?;
        Ok(models.iter().filter_map(|model| Some(DueJob { job: job(model, &weights)?, tries: tries(model) })).collect())
    }

    /// All rows by id after `after`, for the push at start.
    pub async fn list(&self, after: Option<JobId>, limit: u64) -> Result<Vec<Job>, StoreError> {
        let mut query = Entity::find().order_by_asc(Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after.uuid()));
        }
        let models = query.all(self.0.control()).await?;
        let weights = self.weights(&models).await?;
        Ok(models.iter().filter_map(|model| job(model, &weights)).collect())
    }

    /// The weights of the tenants of these rows.
    async fn weights(&self, rows: &[Model]) -> Result<HashMap<Uuid, u8>, StoreError> {
        let tenants: HashSet<Uuid> = rows.iter().map(|row| row.tenant_id).collect();
        if tenants.is_empty() {
            return Ok(HashMap::new());
        }
        let found: Vec<(Uuid, i16)> = tenant_entity::Entity::find()
            .select_only()
            .columns([tenant_entity::Column::Id, tenant_entity::Column::Weight])
            .filter(tenant_entity::Column::Id.is_in(tenants))
            .into_tuple()
            .all(self.0.control())
            .await?;
        Ok(found.into_iter().map(|(tenant, weight)| (tenant, weight_of(weight))).collect())
    }
}

/// `None` for a kind that a newer program wrote: such a program will do it.
fn job(row: &Model, weights: &HashMap<Uuid, u8>) -> Option<Job> {
    let work = Work::from_parts(&row.kind, row.subject_id);
    if work.is_none() {
        tracing::warn!(job.id = %JobId::from(row.id), kind = row.kind, "a job of a kind that this version does not know");
    }
    let weight = weights.get(&row.tenant_id).copied();
    Some(Job { id: row.id.into(), tenant: row.tenant_id.into(), work: work?, priority: row.priority, weight })
}
