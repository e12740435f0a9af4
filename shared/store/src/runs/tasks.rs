//! Settled tasks: one row each, written once. A second row for the same key is a conflict of the primary key, so that an
//! answer can never be replaced.

use std::collections::BTreeMap;

use acm2_domain::call::{CostSource, ErrorClass, FinishReason, Usage};
use acm2_domain::ids::RunId;
use acm2_domain::journal::TaskKey;
use acm2_domain::money::Usd;
use acm2_domain::run::TaskError;
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::attempts::StoredAnswer;
use super::task_entity::{ActiveModel, Column, Entity, Model};
use crate::column::{from_word, signed, to_word, unsigned, usage, usage_columns};
use crate::{StoreError, TenantTx};

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskOutcome {
    /// With an answer.
    Answered(StoredAnswer),
    /// Without one.
    Failed(TaskError),
}

/// A settled task as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// How it ended.
    pub outcome: TaskOutcome,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it was settled.
    pub finished_at: DateTime<Utc>,
}

/// Writes how a task ended. The fence must have been passed in the same transaction.
pub async fn insert_task(
    tx: &TenantTx,
    run: RunId,
    task: &TaskKey,
    outcome: &TaskOutcome,
    attempts: u32,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut row = ActiveModel {
        run_id: Set(run.uuid()),
        key: Set(task.to_string()),
        attempts: Set(attempts as i32),
        finished_at: Set(now),
        ..Default::default()
    };
    match outcome {
        TaskOutcome::Answered(answer) => {
            let [input, cached_input, cache_write, output, reasoning] = usage_columns(answer.usage);
            row.status = Set("completed".to_owned());
            row.text = Set(Some(answer.text.replace('\0', "\u{fffd}")));
            row.finish_reason = Set(Some(to_word(answer.finish_reason)));
            row.input_tokens = Set(input);
            row.cached_input_tokens = Set(cached_input);
            row.cache_write_tokens = Set(cache_write);
            row.output_tokens = Set(output);
            row.reasoning_tokens = Set(reasoning);
            row.cost = Set(answer.cost.map(Usd::pico));
            row.cost_source = Set(Some(to_word(answer.cost_source)));
            row.latency_ms = Set(Some(signed(answer.latency_ms)));
            row.provider_model = Set(answer.provider_model.clone());
            row.provider_request_id = Set(answer.provider_request_id.clone());
        }
        TaskOutcome::Failed(error) => {
            row.status = Set("failed".to_owned());
            row.error_class = Set(Some(to_word(error.class)));
            row.error_message = Set(Some(error.message.replace('\0', "\u{fffd}")));
            row.error_http_status = Set(error.http_status.map(i32::from));
            row.error_provider_code = Set(error.provider_code.clone());
        }
    }
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// How a task was settled, if it was.
pub async fn find_task(tx: &TenantTx, run: RunId, task: &TaskKey) -> Result<Option<TaskRow>, StoreError> {
    Entity::find_by_id((run.uuid(), task.to_string())).one(tx).await?.map(read).transpose()
}

/// The settled tasks of a run, by key.
pub async fn list_tasks(tx: &TenantTx, run: RunId) -> Result<BTreeMap<String, TaskRow>, StoreError> {
    let rows = Entity::find().filter(Column::RunId.eq(run.uuid())).all(tx).await?;
    rows.into_iter().map(|row| Ok((row.key.clone(), read(row)?))).collect()
}

fn read(row: Model) -> Result<TaskRow, StoreError> {
    let tokens =
        [row.input_tokens, row.cached_input_tokens, row.cache_write_tokens, row.output_tokens, row.reasoning_tokens];
    let outcome = if row.status == "completed" {
        let finish_reason: FinishReason =
            from_word("tasks.finish_reason", row.finish_reason.as_deref().unwrap_or("other"))?;
        let cost_source: CostSource = from_word("tasks.cost_source", row.cost_source.as_deref().unwrap_or("unknown"))?;
        let usage: Option<Usage> = usage(tokens);
        TaskOutcome::Answered(StoredAnswer {
            text: row.text.unwrap_or_default(),
            finish_reason,
            usage,
            cost: row.cost.map(Usd::from_pico),
            cost_source,
            provider_model: row.provider_model,
            provider_request_id: row.provider_request_id,
            latency_ms: unsigned(row.latency_ms.unwrap_or(0)),
        })
    } else {
        let class: ErrorClass = from_word("tasks.error_class", row.error_class.as_deref().unwrap_or_default())?;
        TaskOutcome::Failed(TaskError {
            class,
            message: row.error_message.unwrap_or_default(),
            http_status: row.error_http_status.and_then(|status| u16::try_from(status).ok()),
            provider_code: row.error_provider_code,
        })
    };
    Ok(TaskRow { outcome, attempts: u32::try_from(row.attempts).unwrap_or(0), finished_at: row.finished_at })
}
