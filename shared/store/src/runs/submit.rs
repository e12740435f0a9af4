//! Writing a new run (PROTOCOL rule 2).

use std::collections::BTreeMap;

use acm2_domain::ids::{ApiKeyId, JobId, RunId};
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, NewEvent, RunSpec, RunStatus};
use acm2_domain::stages;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{CommonTableExpression, Expr, ExprTrait, InsertStatement, Query, SelectStatement, WithClause};
use sea_orm::{ConnectionTrait, DbBackend, Iterable, ModelTrait};
use serde_json::json;

use super::event_entity;
use super::events::write_events;
use super::row::RunRow;
use super::run_entity::{Column, Entity, Model};
use crate::column::to_json;
use crate::{StoreError, TenantTx, budgets};

/// What a submission says.
#[derive(Debug, Clone)]
pub struct NewRunRow {
    /// The run's id, made by the caller.
    pub id: RunId,
    /// The job that will work on it; its row is in the control store already.
    pub job: JobId,
    /// Who submits.
    pub api_key: Option<ApiKeyId>,
    /// What it does.
    pub spec: RunSpec,
    /// The caller's notes.
    pub metadata: BTreeMap<String, String>,
    /// The caller's tags.
    pub tags: Vec<String>,
    /// What it has reserved in budgets. It may cost no more than that.
    pub reserved: Option<Usd>,
}

impl NewRunRow {
    /// When a run that is submitted at `now` ends at the latest.
    pub fn deadline(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + TimeDelta::seconds(i64::from(self.spec.deadline_seconds))
    }
}

/// Writes the run as queued, with its first event.
pub async fn insert(tx: &TenantTx, run: &NewRunRow, now: DateTime<Utc>) -> Result<RunRow, StoreError> {
    let row = queued(run, now);
    write(tx, &row, insert_run(&row, None)?, now).await?;
    RunRow::try_from(row)
}

/// Does the same, in one statement with the question, unless a budget applies to runs of the run's API key. `None` where one
/// does: then nothing is written, and the run has to reserve first.
pub async fn insert_unless_bound(
    tx: &TenantTx,
    run: &NewRunRow,
    now: DateTime<Utc>,
) -> Result<Option<RunRow>, StoreError> {
    let row = queued(run, now);
    let insert = insert_run(&row, Some(budgets::applying(tx, run.api_key)))?;
    Ok(if write(tx, &row, insert, now).await? { Some(RunRow::try_from(row)?) } else { None })
}

fn queued(run: &NewRunRow, now: DateTime<Utc>) -> Model {
    Model {
        id: run.id.uuid(),
        job_id: run.job.uuid(),
        api_key_id: run.api_key.map(ApiKeyId::uuid),
        status: RunStatus::Queued.as_str().to_owned(),
        requested: None,
        claim: 0,
        claimed_by: None,
        poison: 0,
        spec: to_json(&run.spec),
        metadata: to_json(&run.metadata),
        tags: to_json(&run.tags),
        tasks_expected: i32::try_from(stages::plan(&run.spec).len()).unwrap_or(i32::MAX),
        tasks_completed: 0,
        tasks_failed: 0,
        spent: 0,
        reserved: 0,
        in_doubt: 0,
        unknown_costs: 0,
        unknown_doubts: 0,
        max_cost: run.reserved.or(run.spec.max_cost_usd).map(Usd::pico),
        last_event: 1,
        problem_code: None,
        problem_detail: None,
        created_at: now,
        started_at: None,
        finished_at: None,
        deadline_at: run.deadline(now),
        retry_claim: 0,
        skips: 0,
        spec_hash: Some(run.spec.hash().to_string()),
    }
}

/// Inserts the row if there is nothing of the kind that `unless` selects.
fn insert_run(row: &Model, unless: Option<SelectStatement>) -> Result<InsertStatement, StoreError> {
    let mut values = Query::select();
    values.exprs(Column::iter().map(|column| Expr::value(row.get(column))));
    if let Some(unless) = unless {
        values.and_where(Expr::exists(unless).not());
    }
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(Column::iter()).select_from(values).map_err(|error| unbalanced(&error))?;
    Ok(insert)
}

/// Carries the insertion out, with the run's first event: in one statement where the database can do that. Whether anything was
/// inserted.
async fn write(tx: &TenantTx, row: &Model, insert: InsertStatement, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let event = NewEvent::new(EventType::RunQueued, json!({"tasks_expected": row.tasks_expected}));
    if tx.get_database_backend() != DbBackend::Postgres {
        let inserted = tx.execute(&insert).await?.rows_affected() == 1;
        if inserted {
            write_events(tx, row.id.into(), 1, &[event], now).await?;
        }
        return Ok(inserted);
    }
    let mut insert = insert;
    insert.returning_col(Column::Id);
    let mut values = Query::select();
    values.column(Column::Id).expr(Expr::value(row.last_event)).from("inserted");
    values.expr(Expr::value(event.event_type.as_str())).expr(Expr::value(to_json(&event.data))).expr(Expr::value(now));
    let mut insert_event = Query::insert();
    insert_event
        .into_table(event_entity::Entity)
        .columns(event_entity::Column::iter())
        .select_from(values)
        .map_err(|error| unbalanced(&error))?;
    let inserted = CommonTableExpression::new().table_name("inserted").query(insert).to_owned();
    let both = insert_event.with(WithClause::new().cte(inserted).to_owned());
    Ok(tx.execute(&both).await?.rows_affected() == 1)
}

/// A statement with fewer values than columns, which the lists above cannot give.
fn unbalanced(error: &sea_orm::sea_query::error::Error) -> StoreError {
    StoreError::Corrupt(format!("a new run cannot be written: {error}"))
}
