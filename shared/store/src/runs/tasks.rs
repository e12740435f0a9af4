//! Settled tasks: one row each, written once. A second row for the same key is a conflict of the primary key, so that an
//! answer can never be replaced.

use std::collections::{BTreeMap, HashSet};

use acm2_domain::call::{CostSource, ErrorClass, FinishReason, Usage};
use acm2_domain::ids::RunId;
use acm2_domain::journal::TaskKey;
use acm2_domain::money::Usd;
use acm2_domain::run::TaskError;
use acm2_domain::stages;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, Iterable, QueryFilter, QuerySelect};

use super::artifacts;
use super::attempts::StoredAnswer;
use super::row::RunRow;
use super::task_entity::{ActiveModel, Column, Entity, Model};
use crate::column::{from_json, from_word, signed, to_json, to_word, unsigned, usage, usage_columns};
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

/// How a task ended, to be written.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Its key.
    pub key: TaskKey,
    /// With an answer or without.
    pub outcome: TaskOutcome,
    /// How many attempts were made.
    pub attempts: u32,
}

/// Writes how tasks ended. The fence must have been passed in the same transaction.
///
/// # Errors
/// `Conflict` where one of them is settled already: none may be committed then.
pub async fn insert_tasks<'a>(
    tx: &TenantTx,
    run: RunId,
    tasks: impl IntoIterator<Item = &'a NewTask>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let tasks: Vec<&NewTask> = tasks.into_iter().collect();
    let rows: Vec<ActiveModel> = tasks.iter().map(|task| row_of(run, task, now)).collect();
    if !rows.is_empty() {
        Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    for task in tasks {
        if let TaskOutcome::Answered(answer) = &task.outcome {
            artifacts::write(tx, run, task.key.as_str(), &answer.artifacts, now).await?;
        }
    }
    Ok(())
}

/// Writes how one task ended, as `insert_tasks` does.
pub async fn insert_task(
    tx: &TenantTx,
    run: RunId,
    key: &TaskKey,
    outcome: &TaskOutcome,
    attempts: u32,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let task = NewTask { key: key.clone(), outcome: outcome.clone(), attempts };
    insert_tasks(tx, run, [&task], now).await
}

/// A row with every column, so that rows of both outcomes can stand in one statement.
fn row_of(run: RunId, task: &NewTask, now: DateTime<Utc>) -> ActiveModel {
    let (answer, error) = match &task.outcome {
        TaskOutcome::Answered(answer) => (Some(answer), None),
        TaskOutcome::Failed(error) => (None, Some(error)),
    };
    let text = |text: &String| text.replace('\0', "\u{fffd}");
    let [input, cached_input, cache_write, output, reasoning, image] =
        usage_columns(answer.and_then(|answer| answer.usage));
    ActiveModel {
        run_id: Set(run.uuid()),
        key: Set(task.key.to_string()),
        status: Set(if answer.is_some() { "completed" } else { "failed" }.to_owned()),
        text: Set(answer.map(|answer| text(&answer.text))),
        finish_reason: Set(answer.map(|answer| to_word(answer.finish_reason))),
        input_tokens: Set(input),
        cached_input_tokens: Set(cached_input),
        cache_write_tokens: Set(cache_write),
        output_tokens: Set(output),
        reasoning_tokens: Set(reasoning),
        cost: Set(answer.and_then(|answer| answer.cost).map(Usd::pico)),
        cost_source: Set(answer.map(|answer| to_word(answer.cost_source))),
        latency_ms: Set(answer.map(|answer| signed(answer.latency_ms))),
        provider_model: Set(answer.and_then(|answer| answer.provider_model.clone())),
        provider_request_id: Set(answer.and_then(|answer| answer.provider_request_id.clone())),
        attempts: Set(task.attempts as i32),
        error_class: Set(error.map(|error| to_word(error.class))),
        error_message: Set(error.map(|error| text(&error.message))),
        error_http_status: Set(error.and_then(|error| error.http_status).map(i32::from)),
        error_provider_code: Set(error.and_then(|error| error.provider_code.clone())),
        finished_at: Set(now),
        artifacts: Set(answer.filter(|answer| !answer.artifacts.is_empty()).map(|answer| to_json(&answer.artifacts))),
        image_tokens: Set(image),
        question: Set(answer.and_then(|answer| answer.question).map(|question| question.to_string())),
    }
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

/// The keys of the settled tasks of a run.
pub async fn list_settled(tx: &TenantTx, run: RunId) -> Result<Vec<String>, StoreError> {
    let keys = Entity::find().select_only().column(Column::Key).filter(Column::RunId.eq(run.uuid()));
    Ok(keys.into_tuple().all(tx).await?)
}

/// Whether one of the run's answers is there.
pub(super) async fn has_answer(tx: &TenantTx, run: &RunRow) -> Result<bool, StoreError> {
    if run.spec.has_answers_alone() {
        return Ok(run.tasks_completed > 0);
    }
    let keys = Entity::find()
        .select_only()
        .column(Column::Key)
        .filter(Column::RunId.eq(run.id.uuid()))
        .filter(Column::Status.eq("completed"));
    let done: HashSet<String> = keys.into_tuple().all(tx).await?.into_iter().collect();
    Ok(stages::plan(&run.spec).iter().any(|task| task.is_answer() && done.contains(task.key.as_str())))
}

/// The settled tasks of a run, with this in place of their texts.
pub(super) async fn list_with(tx: &TenantTx, run: RunId, text: Expr) -> Result<BTreeMap<String, TaskRow>, StoreError> {
    let rows = Entity::find()
        .select_only()
        .columns(Column::iter().filter(|column| !matches!(column, Column::Text)))
        .expr_as(text, "text")
        .filter(Column::RunId.eq(run.uuid()))
        .all(tx)
        .await?;
    rows.into_iter().map(|row| Ok((row.key.clone(), read(row)?))).collect()
}

pub(super) fn read(row: Model) -> Result<TaskRow, StoreError> {
    let tokens = [
        row.input_tokens,
        row.cached_input_tokens,
        row.cache_write_tokens,
        row.output_tokens,
        row.reasoning_tokens,
        row.image_tokens,
    ];
    let outcome = if row.status == "completed" {
        let finish_reason: FinishReason =
            from_word("tasks.finish_reason", row.finish_reason.as_deref().unwrap_or("other"))?;
        let cost_source: CostSource = from_word("tasks.cost_source", row.cost_source.as_deref().unwrap_or("unknown"))?;
        let usage: Option<Usage> = usage(tokens);
        TaskOutcome::Answered(StoredAnswer {
            text: row.text.unwrap_or_default(),
            artifacts: row.artifacts.map_or(Ok(Vec::new()), |artifacts| from_json("tasks.artifacts", &artifacts))?,
            question: row.question.map(|text| from_word("tasks.question", &text)).transpose()?,
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

/// Takes away the answer of a task that was asked something else, so that it can be asked again. The fence must have been passed in
/// the same transaction. Whether there was one.
pub async fn forget_task(tx: &TenantTx, run: RunId, task: &TaskKey) -> Result<bool, StoreError> {
    let gone = Entity::delete_many()
        .filter(Column::RunId.eq(run.uuid()))
        .filter(Column::Key.eq(task.as_str()))
        .filter(Column::Status.eq("completed"))
        .exec(tx)
        .await?;
    Ok(gone.rows_affected == 1)
}
