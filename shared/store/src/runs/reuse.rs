//! Taking over the answers of another run: its rows are copied in the transaction that writes the new run, so that each of the two
//! can be deleted without the other. Called by the api; `command` asks which tasks are answers.

use std::collections::BTreeMap;

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::RunId;
use acm2_domain::run::TaskError;
use acm2_domain::stages;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Iterable, QueryFilter, QuerySelect};

use super::command::lock;
use super::events::unbalanced;
use super::row::{RunRow, find};
use super::task_entity::{Column, Entity};
use super::tasks::{NewTask, TaskOutcome, insert_tasks};
use crate::column::{to_word, unsigned};
use crate::{StoreError, TenantTx};

/// So many rows are written in one statement: each has a parameter for every column.
const ROWS_AT_ONCE: usize = 500;

/// Whether the answers of a run can be taken over.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswersOf {
    /// There is no such run.
    Missing,
    /// It has not ended.
    NotEnded,
    /// It has no answer.
    Unanswered,
    /// They can.
    Run(Box<RunRow>),
}

/// Looks for a run whose answers are wanted.
pub async fn find_answers(tx: &TenantTx, run: RunId) -> Result<AnswersOf, StoreError> {
    let seen = find(tx, run).await?;
    look_at(tx, seen).await
}

/// The same, with the run's row locked until the end of the transaction: it is neither retried nor deleted before.
pub async fn hold_answers(tx: &TenantTx, run: RunId) -> Result<AnswersOf, StoreError> {
    let seen = lock(tx, run).await?;
    look_at(tx, seen).await
}

async fn look_at(tx: &TenantTx, seen: Option<RunRow>) -> Result<AnswersOf, StoreError> {
    let Some(seen) = seen else { return Ok(AnswersOf::Missing) };
    if !seen.status.is_terminal() {
        return Ok(AnswersOf::NotEnded);
    }
    let settled = settled_answers(tx, seen.id).await?;
    let is_completed = |key: &str| settled.get(key).is_some_and(|(status, _)| status == "completed");
    let plan = stages::plan(&seen.spec);
    let mut answers = plan.iter().filter(|task| task.stage == stages::GENERATE && task.is_result);
    let is_answered = answers.any(|task| is_completed(task.key.as_str()));
    drop(plan);
    Ok(if is_answered { AnswersOf::Run(Box::new(seen)) } else { AnswersOf::Unanswered })
}

/// The bytes of the longest answer of a run.
pub async fn find_longest_answer(tx: &TenantTx, run: &RunRow) -> Result<Option<u64>, StoreError> {
    let plan = stages::plan(&run.spec);
    let answers = plan.iter().filter(|task| task.stage == stages::GENERATE && task.is_result);
    let keys: Vec<&str> = answers.map(|task| task.key.as_str()).collect();
    let longest: Option<Option<i64>> = Entity::find()
        .select_only()
        .expr_as(Expr::cust("CAST(MAX(octet_length(text)) AS bigint)"), "longest")
        .filter(Column::RunId.eq(run.id.uuid()))
        .filter(Column::Key.is_in(keys))
        .into_tuple()
        .one(tx)
        .await?;
    Ok(longest.flatten().map(unsigned))
}

/// Copies the answers that a run which this transaction has written takes over, if it takes any over, at no cost; one that is not
/// there is written as failed. The run they are of must be held. The run as it stands then.
pub async fn take_over(tx: &TenantTx, run: RunRow, now: DateTime<Utc>) -> Result<RunRow, StoreError> {
    let Some(source) = run.spec.answers_of else { return Ok(run) };
    let mut rows = Query::select();
    for column in Column::iter() {
        match column {
            Column::RunId => rows.expr(Expr::value(run.id.uuid())),
            Column::Cost => rows.expr(Expr::value(0_i64)),
            Column::Attempts => rows.expr(Expr::value(0_i32)),
            kept => rows.column(kept),
        };
    }
    rows.from(Entity).and_where(Column::RunId.eq(source.uuid())).and_where(is_answer());
    let mut copy = Query::insert();
    copy.into_table(Entity).columns(Column::iter()).select_from(rows).map_err(|error| unbalanced(&error))?;
    tx.execute(&copy).await?;

    let copied = settled_answers(tx, run.id).await?;
    let error = TaskError {
        class: ErrorClass::InputMissing,
        message: "the run that the answers were taken over from ended without this one".to_owned(),
        http_status: None,
        provider_code: None,
    };
    let plan = stages::plan(&run.spec).into_iter();
    let lacking = plan.filter(|task| task.stage == stages::GENERATE && !copied.contains_key(task.key.as_str()));
    let lacking: Vec<NewTask> = lacking
        .map(|task| NewTask { key: task.key, outcome: TaskOutcome::Failed(error.clone()), attempts: 0 })
        .collect();
    for some in lacking.chunks(ROWS_AT_ONCE) {
        insert_tasks(tx, run.id, some, now).await?;
    }

    let skipped = to_word(ErrorClass::Skipped);
    let count = |is: &dyn Fn(&str, Option<&str>) -> bool| {
        let those = copied.values().filter(|(status, class)| is(status, class.as_deref()));
        u32::try_from(those.count()).unwrap_or(u32::MAX)
    };
    let tasks_completed = count(&|status, _| status == "completed");
    let failed = count(&|status, _| status != "completed");
    let skips = count(&|_, class| class == Some(skipped.as_str()));
    let tasks_failed = failed + u32::try_from(lacking.len()).unwrap_or(u32::MAX);
    let update = Query::update()
        .table("runs")
        .value("tasks_completed", tasks_completed as i32)
        .value("tasks_failed", tasks_failed as i32)
        .value("skips", skips as i32)
        .and_where(Expr::col("id").eq(run.id.uuid()))
        .to_owned();
    tx.execute(&update).await?;
    Ok(RunRow { tasks_completed, tasks_failed, skips, ..run })
}

/// The tasks that write answers, steps of research among them.
pub(super) fn is_answer() -> SimpleExpr {
    Column::Key.like(format!("{}/%", stages::GENERATE))
}

/// The settled ones of these, by key: status and class of the error.
async fn settled_answers(tx: &TenantTx, run: RunId) -> Result<BTreeMap<String, (String, Option<String>)>, StoreError> {
    let rows: Vec<(String, String, Option<String>)> = Entity::find()
        .select_only()
        .columns([Column::Key, Column::Status, Column::ErrorClass])
        .filter(Column::RunId.eq(run.uuid()))
        .filter(is_answer())
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|(key, status, class)| (key, (status, class))).collect())
}
