//! Writing a new run (PROTOCOL rule 2).

use std::collections::{BTreeMap, HashSet};

use acm2_domain::ids::{ApiKeyId, JobId, RunId};
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, NewEvent, RunSpec, RunStatus};
use acm2_domain::stages;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait, InsertStatement, Query, SelectStatement, UnionType, WithClause,
};
use sea_orm::{ConnectionTrait, DbBackend, Iterable, ModelTrait};
use serde_json::json;
use uuid::Uuid;

use super::events::{insert_of, unbalanced, write_events, write_firsts};
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

/// Does that for several runs, each with its time; for each of them its row, or `None` where a budget applies.
pub async fn insert_all_unless_bound(
    tx: &TenantTx,
    runs: &[(&NewRunRow, DateTime<Utc>)],
) -> Result<Vec<Option<RunRow>>, StoreError> {
    let mut written = Vec::with_capacity(runs.len());
    let mut left = runs;
    while !left.is_empty() {
        // 1, 2, 4, 8, …: a connection prepares a statement for a few lengths only.
        let (some, rest) = left.split_at(1 << left.len().ilog2());
        match some {
            [(run, now)] => written.push(insert_unless_bound(tx, run, *now).await?),
            some => written.extend(insert_some(tx, some).await?),
        }
        left = rest;
    }
    Ok(written)
}

async fn insert_some(tx: &TenantTx, runs: &[(&NewRunRow, DateTime<Utc>)]) -> Result<Vec<Option<RunRow>>, StoreError> {
    let rows: Vec<Model> = runs.iter().map(|(run, now)| queued(run, *now)).collect();
    let mut values =
        rows.iter().zip(runs).map(|(row, (run, _))| values_of(row, Some(budgets::applying(tx, run.api_key))));
    let Some(mut all) = values.next() else { return Ok(Vec::new()) };
    for values in values {
        all.union(UnionType::All, values);
    }
    let mut insert = insert_from(all)?;
    insert.returning_col(Column::Id);
    let mut inserted = HashSet::new();
    for row in tx.query_all(&insert).await? {
        inserted.insert(row.try_get_by_index::<Uuid>(0)?);
    }
    let firsts = rows.iter().filter(|row| inserted.contains(&row.id));
    write_firsts(tx, firsts.map(|row| (row.id.into(), queued_event(row), row.created_at))).await?;
    let read = |row: Model| inserted.contains(&row.id).then(|| RunRow::try_from(row)).transpose();
    rows.into_iter().map(read).collect()
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
    insert_from(values_of(row, unless))
}

fn values_of(row: &Model, unless: Option<SelectStatement>) -> SelectStatement {
    let mut values = Query::select();
    values.exprs(Column::iter().map(|column| Expr::value(row.get(column))));
    if let Some(unless) = unless {
        values.and_where(Expr::exists(unless).not());
    }
    values
}

fn insert_from(values: SelectStatement) -> Result<InsertStatement, StoreError> {
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(Column::iter()).select_from(values).map_err(|error| unbalanced(&error))?;
    Ok(insert)
}

fn queued_event(row: &Model) -> NewEvent {
    NewEvent::new(EventType::RunQueued, json!({"tasks_expected": row.tasks_expected}))
}

/// Carries the insertion out, with the run's first event: in one statement where the database can do that. Whether anything was
/// inserted.
async fn write(tx: &TenantTx, row: &Model, insert: InsertStatement, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let event = queued_event(row);
    if tx.get_database_backend() != DbBackend::Postgres {
        let inserted = tx.execute(&insert).await?.rows_affected() == 1;
        if inserted {
            write_events(tx, row.id.into(), 1, &[event], now).await?;
        }
        return Ok(inserted);
    }
    let mut insert = insert;
    insert.returning(Query::returning().columns([Column::Id, Column::LastEvent]));
    let insert_event = insert_of(&event, "inserted", Expr::col(Column::LastEvent), now)?;
    let inserted = CommonTableExpression::new().table_name("inserted").query(insert).to_owned();
    let both = insert_event.with(WithClause::new().cte(inserted).to_owned());
    Ok(tx.execute(&both).await?.rows_affected() == 1)
}
