//! What is known of the tasks of a run: how those that are settled ended, and what all that came for them cost. Whoever shows a run
//! reads this; views are put together from it.

use std::collections::BTreeMap;

use acm2_domain::call::CostSource;
use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use acm2_domain::stages;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait};

use super::costs::{CostOfTask, list_costs};
use super::row::RunRow;
use super::task_entity::Column;
use super::task_texts::list_some_tasks;
use super::tasks::{TaskOutcome, TaskRow, list_tasks, list_with};
use crate::{StoreError, TenantTx};

/// Settled tasks, and what all answers cost that came for a task, settled or not, where that is not what those cost that stand: some
/// could not be used, came late or were taken away by a retry.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    /// By key.
    pub tasks: BTreeMap<String, TaskRow>,
    costs: BTreeMap<String, CostOfTask>,
}

/// Tasks for which no other answers came.
impl From<BTreeMap<String, TaskRow>> for Settled {
    fn from(tasks: BTreeMap<String, TaskRow>) -> Self {
        Self { tasks, costs: BTreeMap::new() }
    }
}

impl Settled {
    async fn with_costs(tx: &TenantTx, row: &RunRow, tasks: BTreeMap<String, TaskRow>) -> Result<Self, StoreError> {
        // What the answers that stand cost is mostly all.
        let of = |task| CostOfTask::of_standing(Some(task));
        let known: i128 = tasks.values().map(|task| i128::from(of(task).known.pico())).sum();
        let unknown: u64 = tasks.values().map(|task| of(task).unknown).sum();
        if known == i128::from(row.spent.pico()) && unknown == u64::from(row.unknown_costs) {
            return Ok(tasks.into());
        }
        let costs = list_costs(tx, row.id, None).await?;
        Ok(Self { tasks, costs })
    }

    /// What a task cost and how that is known.
    pub(super) fn cost(&self, key: &str) -> (Option<Usd>, Option<CostSource>) {
        let (task, all) = (self.tasks.get(key), self.costs.get(key));
        match task.map(|task| &task.outcome) {
            Some(TaskOutcome::Answered(answer)) => {
                let own = CostOfTask::of_standing(task);
                let all = all.copied().unwrap_or(own);
                match Ord::max(own.unknown, all.unknown) {
                    // An answer that was taken over from another run has no attempt here.
                    0 => (Some(Ord::max(own.known, all.known)), Some(answer.cost_source)),
                    _ => (None, Some(CostSource::Unknown)),
                }
            }
            Some(TaskOutcome::Failed(_)) | None => all.copied().unwrap_or_default().seen(),
        }
    }
}

/// The settled tasks of a run, without the texts of those whose answers are no results: what judges said, and pages that were read,
/// is much more than the answers are.
pub async fn list_results(tx: &TenantTx, row: &RunRow) -> Result<Settled, StoreError> {
    if row.spec.has_answers_alone() {
        return Settled::with_costs(tx, row, list_tasks(tx, row.id).await?).await;
    }
    let plan = stages::plan(&row.spec);
    let results = plan.iter().filter(|task| task.is_result).map(|task| task.key.as_str());
    let text = CaseStatement::new()
        .case(Expr::col(Column::Key).is_in(results), Expr::col(Column::Text))
        .finally(Option::<String>::None);
    Settled::with_costs(tx, row, list_with(tx, row.id, text.into()).await?).await
}

/// The settled tasks of a run without any text: one that has an answer has an empty one.
pub async fn list_settled_without_texts(tx: &TenantTx, row: &RunRow) -> Result<Settled, StoreError> {
    Settled::with_costs(tx, row, list_textless(tx, row.id).await?).await
}

/// The same without what other answers cost that came for them.
pub async fn list_textless(tx: &TenantTx, run: RunId) -> Result<BTreeMap<String, TaskRow>, StoreError> {
    list_with(tx, run, Expr::value(Option::<String>::None)).await
}

/// Those of these tasks of a run that are settled, with their texts.
pub async fn list_settled_of<'a>(
    tx: &TenantTx,
    run: RunId,
    keys: impl IntoIterator<Item = &'a str>,
) -> Result<Settled, StoreError> {
    let keys: Vec<&str> = keys.into_iter().collect();
    let tasks = list_some_tasks(tx, run, keys.iter().copied()).await?;
    Ok(Settled { tasks, costs: list_costs(tx, run, Some(&keys)).await? })
}
