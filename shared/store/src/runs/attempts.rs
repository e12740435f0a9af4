//! Attempts: the intent to call, written before the provider hears of it, and what came of it.

use acm2_domain::call::{Answer, ErrorClass};
use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::{AttemptId, ProviderKeyId, RunId};
use acm2_domain::journal::TaskKey;
use acm2_domain::money::Usd;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};

use super::artifacts::{self, StoredArtifact};
use super::attempt_entity::{ActiveModel, Column, Entity, Model};
use super::fence::Fence;
use super::outcomes::AttemptOutcome;
use crate::column::{from_json, from_word, to_json, to_word};
use crate::{StoreError, TenantTx, budgets};

/// The intent to make a call.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// Its id; the provider is sent it where it takes one.
    pub id: AttemptId,
    /// The task that it is a try of.
    pub task: TaskKey,
    /// Counted from 1 over all claims of the run.
    pub number: u32,
    /// The provider's slug.
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
    /// The provider key that is used.
    pub provider_key: ProviderKeyId,
    /// Whose key it is: `tenant`, or `platform` where the operator lends one.
    pub key_source: &'static str,
    /// What the call may cost; `None` where the price is unknown.
    pub reserved: Option<Usd>,
}

/// An attempt as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// Its id.
    pub id: AttemptId,
    /// The task's key.
    pub task_key: String,
    /// Counted from 1.
    pub number: u32,
    /// The claim under which it was made.
    pub claim: i64,
    /// `open`, `answered`, `failed`, `in_doubt` or `late`.
    pub status: String,
    /// The provider key that was used.
    pub provider_key: ProviderKeyId,
    /// What it may have cost.
    pub reserved: Option<Usd>,
    /// What it cost.
    pub cost: Option<Usd>,
    /// The class of its failure.
    pub error_class: Option<ErrorClass>,
    /// When the next attempt of the task may be made at the earliest.
    pub retry_at: Option<DateTime<Utc>>,
    /// When the intent was written.
    pub started_at: DateTime<Utc>,
    /// When it was settled.
    pub finished_at: Option<DateTime<Utc>>,
}

/// An answer as it is stored, with its cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// The answer's text.
    pub text: String,
    /// The files that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<StoredArtifact>,
    /// What it was asked, where that follows from earlier answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<ContentHash>,
    /// Why the model stopped.
    pub finish_reason: acm2_domain::call::FinishReason,
    /// Tokens.
    pub usage: Option<acm2_domain::call::Usage>,
    /// The cost, where known.
    pub cost: Option<Usd>,
    /// How the cost is known.
    pub cost_source: acm2_domain::call::CostSource,
    /// The model that answered.
    pub provider_model: Option<String>,
    /// The provider's id of the request.
    pub provider_request_id: Option<String>,
    /// From sending to the last byte.
    pub latency_ms: u64,
}

impl StoredAnswer {
    /// What is kept of an answer. No database keeps U+0000, so that nobody may see it either: what is asked about the text is told
    /// from other questions by its hash.
    pub fn of(answer: &Answer, cost: acm2_domain::call::Cost) -> Self {
        Self {
            text: answer.text.replace('\0', "\u{fffd}"),
            artifacts: answer.artifacts.iter().map(StoredArtifact::new).collect(),
            question: None,
            finish_reason: answer.finish_reason,
            usage: answer.usage,
            cost: cost.amount,
            cost_source: cost.source,
            provider_model: answer.provider_model.clone(),
            provider_request_id: answer.provider_request_id.clone(),
            latency_ms: u64::try_from(answer.latency.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// How many bytes writing it takes, about.
    pub fn held_bytes(&self) -> usize {
        self.text.len() + self.artifacts.iter().map(|artifact| artifact.bytes as usize).sum::<usize>()
    }
}

/// Writes intents. The fence must have been passed in the same transaction.
pub async fn open_attempts(
    tx: &TenantTx,
    fence: Fence,
    attempts: &[NewAttempt],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if attempts.is_empty() {
        return Ok(());
    }
    let rows = attempts.iter().map(|attempt| ActiveModel {
        id: Set(attempt.id.uuid()),
        run_id: Set(fence.run.uuid()),
        task_key: Set(attempt.task.to_string()),
        number: Set(attempt.number as i32),
        claim: Set(fence.claim),
        status: Set("open".to_owned()),
        provider: Set(attempt.provider.clone()),
        model: Set(attempt.model.clone()),
        provider_key_id: Set(attempt.provider_key.uuid()),
        key_source: Set(attempt.key_source.to_owned()),
        reserved: Set(attempt.reserved.map(Usd::pico)),
        started_at: Set(now),
        ..Default::default()
    });
    Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(())
}

/// What an attempt of this id has reserved, if there is one: then its transaction was applied.
pub async fn find_reserved(tx: &TenantTx, attempt: AttemptId) -> Result<Option<Option<Usd>>, StoreError> {
    let row = Entity::find_by_id(attempt.uuid()).one(tx).await?;
    Ok(row.map(|row| row.reserved.map(Usd::from_pico)))
}

/// Keeps an answer whose worker has lost the run: whoever holds it now uses it instead of calling again. Passes no fence, for
/// it changes nothing but the attempt and the money, which was spent whoever holds the run. `defect`: why the answer cannot be
/// used, where that is so; its cost then counts as that of any such answer, whether the task comes to use it or not. Whether the
/// attempt was in doubt; where it was not, nothing may be committed.
pub async fn settle_late(
    tx: &TenantTx,
    run: RunId,
    attempt: AttemptId,
    answer: &StoredAnswer,
    defect: Option<&AttemptOutcome>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Some(doubtful) = find_in_doubt(tx, attempt).await? else { return Ok(false) };
    move_late_money(tx, run, doubtful.reserved, answer.cost).await?;
    let update = Query::update()
        .table("attempts")
        .value("status", "late")
        .value("cost", answer.cost.map(Usd::pico))
        .value("provider_request_id", answer.provider_request_id.clone())
        .value("late_answer", to_json(answer))
        .value("error_class", defect.and_then(|defect| defect.error_class).map(to_word))
        .value("error_message", defect.and_then(|defect| defect.error_message.clone()))
        .value("finished_at", now)
        .and_where(Expr::col("id").eq(attempt.uuid()))
        .and_where(Expr::col("status").eq("in_doubt"))
        .to_owned();
    if tx.execute(&update).await?.rows_affected() != 1 {
        return Ok(false);
    }
    artifacts::write(tx, run, &doubtful.task_key, &answer.artifacts, now).await?;
    Ok(true)
}

/// Takes the doubt off an attempt that failed, after its run was lost, in a way that cannot have cost anything, or with an answer
/// that cannot be used, at its cost. Like
/// `settle_late` it passes no fence; where it answers `false`, nothing may be committed.
pub async fn settle_late_failure(
    tx: &TenantTx,
    run: RunId,
    attempt: AttemptId,
    outcome: &AttemptOutcome,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Some(doubtful) = find_in_doubt(tx, attempt).await? else { return Ok(false) };
    let cost = match outcome.error_class {
        Some(ErrorClass::UnusableAnswer) => outcome.cost,
        _ => Some(Usd::ZERO),
    };
    move_late_money(tx, run, doubtful.reserved, cost).await?;
    let update = Query::update()
        .table("attempts")
        .value("status", "failed")
        .value("cost", outcome.cost.map(Usd::pico))
        .value("error_class", outcome.error_class.map(to_word))
        .value("error_message", outcome.error_message.clone())
        .value("http_status", outcome.http_status.map(i32::from))
        .value("finished_at", now)
        .and_where(Expr::col("id").eq(attempt.uuid()))
        .and_where(Expr::col("status").eq("in_doubt"))
        .to_owned();
    Ok(tx.execute(&update).await?.rows_affected() == 1)
}

/// Moves the money of an attempt that is in doubt no longer, and corrects what a run that has ended is counted with in its budgets.
/// Where nobody knows the `cost` the worst case goes on counting.
async fn move_late_money(
    tx: &TenantTx,
    run: RunId,
    doubtful: Option<i64>,
    cost: Option<Usd>,
) -> Result<(), StoreError> {
    let settled = cost.map_or(0, |_| doubtful.unwrap_or(0));
    // The run's row first, as everywhere: two transactions that take the same locks in one order cannot block each other.
    let money = Query::update()
        .table("runs")
        .value("in_doubt", Expr::col("in_doubt").sub(settled))
        .value("unknown_doubts", Expr::col("unknown_doubts").sub(i32::from(doubtful.is_none())))
        .value("spent", Expr::col("spent").add(cost.map_or(0, Usd::pico)))
        .value("unknown_costs", Expr::col("unknown_costs").add(i32::from(cost.is_none())))
        .and_where(Expr::col("id").eq(run.uuid()))
        .returning(Query::returning().columns(["spent", "in_doubt", "max_cost"]))
        .to_owned();
    let Some(row) = tx.query_one(&money).await? else { return Ok(()) };
    if row.try_get_by::<Option<i64>, _>("max_cost")?.is_none() {
        return Ok(());
    }
    let consumed = row.try_get_by::<i64, _>("spent")?.saturating_add(row.try_get_by("in_doubt")?);
    budgets::correct(tx, run, Usd::from_pico(consumed)).await
}

/// An attempt, where it is in doubt.
async fn find_in_doubt(tx: &TenantTx, attempt: AttemptId) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(attempt.uuid()).filter(Column::Status.eq("in_doubt")).one(tx).await?)
}

/// A late answer of a task to this question, with its attempt and that one's number. One that is known to be of no use counts where
/// it was asked for after claim `retried`: a retry asks anew for what failed before it.
pub async fn find_late_answer(
    tx: &TenantTx,
    run: RunId,
    task: &TaskKey,
    question: Option<ContentHash>,
    retried: i64,
) -> Result<Option<(AttemptId, u32, StoredAnswer)>, StoreError> {
    let rows = Entity::find()
        .filter(Column::RunId.eq(run.uuid()))
        .filter(Column::TaskKey.eq(task.as_str()))
        .filter(Column::Status.eq("late"))
        .filter(Column::ErrorClass.is_null().or(Column::Claim.gt(retried)))
        .order_by_asc(Column::Number)
        .all(tx)
        .await?;
    for row in rows {
        let Some(answer) = row.late_answer else { continue };
        let answer: StoredAnswer = from_json("attempts.late_answer", &answer)?;
        if answer.question == question {
            return Ok(Some((row.id.into(), u32::try_from(row.number).unwrap_or(0), answer)));
        }
    }
    Ok(None)
}

/// Notes that a late answer cannot be used: it is paid for, and no answer any more.
pub async fn refuse_late_answer(
    tx: &TenantTx,
    attempt: AttemptId,
    class: ErrorClass,
    message: &str,
) -> Result<(), StoreError> {
    let update = Query::update()
        .table("attempts")
        .value("status", "failed")
        .value("error_class", to_word(class))
        .value("error_message", message)
        .value("late_answer", Option::<String>::None)
        .and_where(Expr::col("id").eq(attempt.uuid()))
        .and_where(Expr::col("status").eq("late"))
        .to_owned();
    tx.execute(&update).await?;
    Ok(())
}

/// What was wrong with the task's last answer that could not be used, of those that were asked for after claim `retried`.
pub async fn find_defect(
    tx: &TenantTx,
    run: RunId,
    task: &TaskKey,
    retried: i64,
) -> Result<Option<String>, StoreError> {
    let message: Option<Option<String>> = Entity::find()
        .select_only()
        .column(Column::ErrorMessage)
        .filter(Column::RunId.eq(run.uuid()))
        .filter(Column::TaskKey.eq(task.as_str()))
        .filter(Column::ErrorClass.eq(to_word(ErrorClass::UnusableAnswer)))
        .filter(Column::Claim.gt(retried))
        .order_by_desc(Column::Number)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(message.flatten())
}

/// All attempts of a run, oldest first.
pub async fn list_attempts(tx: &TenantTx, run: RunId) -> Result<Vec<AttemptRow>, StoreError> {
    // Without its texts, which may be large and many.
    let texts = |column: &Column| matches!(column, Column::ErrorMessage | Column::LateAnswer);
    let columns = Column::iter().filter(|column| !texts(column));
    let no_text = || Expr::value(Option::<String>::None);
    let rows = Entity::find()
        .select_only()
        .columns(columns)
        .expr_as(no_text(), "error_message")
        .expr_as(no_text(), "late_answer")
        .filter(Column::RunId.eq(run.uuid()))
        .order_by_asc(Column::Id)
        .all(tx)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AttemptRow {
                id: row.id.into(),
                task_key: row.task_key,
                number: u32::try_from(row.number).unwrap_or(0),
                claim: row.claim,
                status: row.status,
                provider_key: row.provider_key_id.into(),
                reserved: row.reserved.map(Usd::from_pico),
                cost: row.cost.map(Usd::from_pico),
                error_class: row
                    .error_class
                    .as_deref()
                    .map(|text| from_word("attempts.error_class", text))
                    .transpose()?,
                retry_at: row.retry_at,
                started_at: row.started_at,
                finished_at: row.finished_at,
            })
        })
        .collect()
}

/// An attempt that nobody will settle any more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Doubtful {
    /// Its id.
    pub(super) id: AttemptId,
    /// The task's key.
    pub(super) task_key: String,
    /// What it may have cost.
    pub(super) reserved: Option<Usd>,
}

/// Turns open attempts of claims up to `claim` in doubt.
pub(super) async fn doubt_open_attempts(
    tx: &TenantTx,
    run: RunId,
    claim: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Doubtful>, StoreError> {
    let update = Query::update()
        .table("attempts")
        .value("status", "in_doubt")
        .value("finished_at", now)
        .and_where(Expr::col("run_id").eq(run.uuid()))
        .and_where(Expr::col("status").eq("open"))
        .and_where(Expr::col("claim").lte(claim))
        .returning(Query::returning().columns(["id", "task_key", "reserved"]))
        .to_owned();
    let mut doubtful = Vec::new();
    for row in tx.query_all(&update).await? {
        doubtful.push(Doubtful {
            id: AttemptId::from(row.try_get_by::<uuid::Uuid, _>("id")?),
            task_key: row.try_get_by("task_key")?,
            reserved: row.try_get_by::<Option<i64>, _>("reserved")?.map(Usd::from_pico),
        });
    }
    Ok(doubtful)
}
