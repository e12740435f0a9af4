//! Writing a new run (PROTOCOL rule 2).

use std::collections::BTreeMap;

use acm2_domain::ids::{ApiKeyId, JobId, RunId};
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, NewEvent, RunSpec, RunStatus};
use acm2_domain::stages;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::json;

use super::events::insert_events;
use super::row::RunRow;
use super::run_entity::{ActiveModel, Entity, Model};
use crate::column::to_json;
use crate::{StoreError, TenantTx};

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
    let row = Model {
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
    };
    Entity::insert(every_column(row.clone())).exec_without_returning(tx).await?;
    let queued = NewEvent::new(EventType::RunQueued, json!({"tasks_expected": row.tasks_expected}));
    insert_events(tx, run.id, 1, &[queued], now).await?;
    RunRow::try_from(row)
}

fn every_column(row: Model) -> ActiveModel {
    ActiveModel {
        id: Set(row.id),
        job_id: Set(row.job_id),
        api_key_id: Set(row.api_key_id),
        status: Set(row.status),
        requested: Set(row.requested),
        claim: Set(row.claim),
        claimed_by: Set(row.claimed_by),
        poison: Set(row.poison),
        spec: Set(row.spec),
        metadata: Set(row.metadata),
        tags: Set(row.tags),
        tasks_expected: Set(row.tasks_expected),
        tasks_completed: Set(row.tasks_completed),
        tasks_failed: Set(row.tasks_failed),
        spent: Set(row.spent),
        reserved: Set(row.reserved),
        in_doubt: Set(row.in_doubt),
        unknown_costs: Set(row.unknown_costs),
        unknown_doubts: Set(row.unknown_doubts),
        max_cost: Set(row.max_cost),
        last_event: Set(row.last_event),
        problem_code: Set(row.problem_code),
        problem_detail: Set(row.problem_detail),
        created_at: Set(row.created_at),
        started_at: Set(row.started_at),
        finished_at: Set(row.finished_at),
        deadline_at: Set(row.deadline_at),
        retry_claim: Set(row.retry_claim),
        skips: Set(row.skips),
        spec_hash: Set(row.spec_hash),
    }
}
