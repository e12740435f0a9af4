//! What all answers to a task cost that came, not only the one that stands.

use std::collections::BTreeMap;

use acm2_domain::call::{CostSource, ErrorClass};
use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use super::attempt_entity::{Column, Entity};
use super::tasks::{TaskOutcome, TaskRow};
use crate::column::{to_word, unsigned};
use crate::{StoreError, TenantTx};

/// What the answers to a task cost that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CostOfTask {
    /// The sum of the known ones.
    pub(super) known: Usd,
    /// Of how many it is not known.
    pub(super) unknown: u64,
}

impl CostOfTask {
    /// What the answer cost that stands, if any does.
    pub(super) fn of_standing(task: Option<&TaskRow>) -> Self {
        match task.map(|task| &task.outcome) {
            Some(TaskOutcome::Answered(answer)) => {
                Self { known: answer.cost.unwrap_or(Usd::ZERO), unknown: u64::from(answer.cost.is_none()) }
            }
            Some(TaskOutcome::Failed(_)) | None => Self::default(),
        }
    }

    /// What a task cost and how that is known, where it is not the answer that stands which tells it; of nothing neither is told.
    pub(super) fn seen(self) -> (Option<Usd>, Option<CostSource>) {
        match self {
            Self { unknown: 1.., .. } => (None, Some(CostSource::Unknown)),
            Self { known, .. } => (Some(known).filter(|known| *known > Usd::ZERO), None),
        }
    }
}

/// What answers cost by the task that they are of, those included that could not be used, came late or were taken away by a retry.
/// `keys`: of these tasks alone.
pub(super) async fn list_costs(
    tx: &TenantTx,
    run: RunId,
    keys: Option<&[&str]>,
) -> Result<BTreeMap<String, CostOfTask>, StoreError> {
    let came = Condition::any()
        .add(Column::Status.is_in(["answered", "late"]))
        .add(Column::ErrorClass.eq(to_word(ErrorClass::UnusableAnswer)))
        .add(Column::Cost.is_not_null());
    let of = Condition::all().add_option(keys.map(|keys| Column::TaskKey.is_in(keys.iter().copied())));
    let rows: Vec<(String, Option<i64>, i64)> = Entity::find()
        .select_only()
        .column(Column::TaskKey)
        .expr_as(Expr::cust("CAST(SUM(cost) AS bigint)"), "known")
        .expr_as(Expr::cust("COUNT(*) - COUNT(cost)"), "unknown")
        .filter(Column::RunId.eq(run.uuid()))
        .filter(of.add(came))
        .group_by(Column::TaskKey)
        .into_tuple()
        .all(tx)
        .await?;
    let cost = |(task, known, unknown): (String, Option<i64>, i64)| {
        (task, CostOfTask { known: Usd::from_pico(known.unwrap_or(0)), unknown: unsigned(unknown) })
    };
    Ok(rows.into_iter().map(cost).collect())
}
