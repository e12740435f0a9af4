//! Jobs rows of several callers written and deleted in one statement each (`gather` calls it for `jobs`).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use acm2_domain::ids::JobId;
use acm2_domain::job::Job;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, StatementBuilder};
use uuid::Uuid;

use super::job_entity::{Column, Entity};
use super::tenant_entity;
use super::tenants::weight_of;
use crate::database_clock;
use crate::error::{StoreError, was_cut};
use crate::gather::filled_up;
use crate::patience::Patient;
use crate::postgres::JOB_CONNECTIONS;

/// A row that is to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewJob {
    pub(super) job: Job,
    pub(super) due_in: Duration,
    pub(super) deadline: Option<DateTime<Utc>>,
}

/// Writes the rows. For each its job as it is to be pushed, with its tenant's weight; `None` where a row with that id stood there
/// already.
pub(super) async fn insert(db: &Patient, jobs: &[NewJob]) -> Result<Vec<Option<Job>>, StoreError> {
    let backend = db.get_database_backend();
    let mut insert = Query::insert();
    insert.into_table(Entity).columns([
        Column::Id,
        Column::Kind,
        Column::TenantId,
        Column::SubjectId,
        Column::Priority,
        Column::DueAt,
        Column::DeadlineAt,
        Column::CreatedAt,
    ]);
    for NewJob { job, due_in, deadline } in filled_up(jobs) {
        insert.values_panic([
            Expr::value(job.id.uuid()),
            Expr::value(job.work.kind()),
            Expr::value(job.tenant.uuid()),
            Expr::value(job.work.subject()),
            Expr::value(job.priority),
            database_clock::from_now(backend, due_in),
            Expr::value(deadline),
            database_clock::now(backend),
        ]);
    }
    let weight = Query::select()
        .column(tenant_entity::Column::Weight)
        .from(tenant_entity::Entity)
        .and_where(Expr::col((tenant_entity::Entity, tenant_entity::Column::Id)).equals((Entity, Column::TenantId)))
        .to_owned();
    insert
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .returning(Query::returning().exprs([Expr::col(Column::Id), Expr::SubQuery(None, Box::new(weight.into()))]));
    let mut weights: HashMap<Uuid, Option<i16>> = HashMap::new();
    for row in query(db, &insert).await? {
        weights.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    }
    // Of two rows with one id the first was written.
    let inserted = |job: &Job| {
        let weight = weights.remove(&job.id.uuid())?;
        Some(Job { weight: weight.map(weight_of), ..*job })
    };
    Ok(jobs.iter().map(|new| &new.job).map(inserted).collect())
}

/// Makes a statement that changes nothing when it is made twice, also where the server has gone and come back since the last one:
/// nothing else uses these connections, so that nobody else would find out that they were cut.
async fn query(db: &Patient, statement: &impl StatementBuilder) -> Result<Vec<QueryResult>, DbErr> {
    for _ in 0..JOB_CONNECTIONS {
        match db.query_all(statement).await {
            Err(error) if was_cut(&error) => {}
            done => return done,
        }
    }
    db.query_all(statement).await
}

/// Deletes rows by their ids. For each whether it was there.
pub(super) async fn delete(db: &Patient, ids: &[JobId]) -> Result<Vec<bool>, StoreError> {
    let delete = Query::delete()
        .from_table(Entity)
        .and_where(Expr::col(Column::Id).is_in(filled_up(ids).map(JobId::uuid)))
        .returning(Query::returning().column(Column::Id))
        .to_owned();
    let mut deleted: HashSet<Uuid> = HashSet::new();
    for row in query(db, &delete).await? {
        deleted.insert(row.try_get_by_index(0)?);
    }
    Ok(ids.iter().map(|id| deleted.remove(&id.uuid())).collect())
}
