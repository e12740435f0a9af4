//! What all answers to a task cost that came, not only the one that stands.

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use super::attempt_entity::{Column, Entity};
use crate::column::{to_word, unsigned};
use crate::{StoreError, TenantTx};

/// What the answers to a task cost that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CostsOfTask {
    /// The task's key.
    pub(super) task_key: String,
    /// The sum of the known ones.
    pub(super) known: Usd,
    /// Of how many it is not known.
    pub(super) unknown: u64,
}

/// What answers cost, those included that could not be used, came late or were taken away by a retry; only of tasks that may have
/// another one than that which stands.
pub(super) async fn list_costs(tx: &TenantTx, run: RunId) -> Result<Vec<CostsOfTask>, StoreError> {
    let came = Condition::any()
        .add(Column::Status.is_in(["answered", "late"]))
        .add(Column::ErrorClass.eq(to_word(ErrorClass::UnusableAnswer)))
        .add(Column::Cost.is_not_null());
    let has_others = "COUNT(*) > 1 OR MAX(error_class) IS NOT NULL OR task_key IN \
                      (SELECT key FROM tasks WHERE tasks.run_id = attempts.run_id AND tasks.status = 'failed')";
    let rows: Vec<(String, Option<i64>, i64)> = Entity::find()
        .select_only()
        .column(Column::TaskKey)
        .expr_as(Expr::cust("CAST(SUM(cost) AS bigint)"), "known")
        .expr_as(Expr::cust("COUNT(*) - COUNT(cost)"), "unknown")
        .filter(Column::RunId.eq(run.uuid()))
        .filter(came)
        .group_by(Column::RunId)
        .group_by(Column::TaskKey)
        .having(Expr::cust(has_others))
        .into_tuple()
        .all(tx)
        .await?;
    let costs = |(task_key, known, unknown): (String, Option<i64>, i64)| CostsOfTask {
        task_key,
        known: Usd::from_pico(known.unwrap_or(0)),
        unknown: unsigned(unknown),
    };
    Ok(rows.into_iter().map(costs).collect())
}
