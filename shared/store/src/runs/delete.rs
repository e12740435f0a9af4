//! Deleting a run that has ended, with its tasks, artifacts, attempts, events, and the texts that nothing else names. What it cost stays counted in its budgets. Its deliveries stay: they are owed. Those that are
//! finished lose their text now, those that are pending when they are finished (`deliveries::record`).

use acm2_domain::ids::RunId;
use acm2_domain::run::RunStatus;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::documents::list_texts;
use super::row::find;
use super::run_entity::{Column, Entity};
use crate::{StoreError, TenantTx, budgets, deliveries, library};

/// What became of the wish to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// It is gone.
    Deleted,
    /// There is no such run.
    Missing,
    /// It has not ended; cancel it first.
    NotEnded(RunStatus),
}

/// Deletes the run if it has ended.
pub async fn delete(tx: &TenantTx, run: RunId) -> Result<DeleteOutcome, StoreError> {
    let texts = list_texts(tx, run).await?;
    let terminal = RunStatus::ALL.into_iter().filter(|status| status.is_terminal()).map(RunStatus::as_str);
    let deleted =
        Entity::delete_many().filter(Column::Id.eq(run.uuid())).filter(Column::Status.is_in(terminal)).exec(tx).await?;
    if deleted.rows_affected > 0 {
        deliveries::forget_payloads(tx, run).await?;
        budgets::forget(tx, run).await?;
        library::texts::drop_unnamed(tx, &texts).await?;
        return Ok(DeleteOutcome::Deleted);
    }
    Ok(find(tx, run).await?.map_or(DeleteOutcome::Missing, |row| DeleteOutcome::NotEnded(row.status)))
}
