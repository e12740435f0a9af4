//! Budgets as they are set: made, listed, changed, deleted. Called by the api's `budgets` resource.

use acm2_domain::budget::BudgetPeriod;
use acm2_domain::ids::{ApiKeyId, BudgetId, TenantId};
use acm2_domain::money::Usd;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::budget_entity::{ActiveModel, Column, Entity, Model};
use crate::column::from_word;
use crate::{StoreError, TenantTx};

/// A budget as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRow {
    /// Its id.
    pub id: BudgetId,
    /// The API key whose runs it bounds; `None` for all runs of the tenant.
    pub api_key: Option<ApiKeyId>,
    /// For how long it counts.
    pub period: BudgetPeriod,
    /// What the runs may cost in a period.
    pub limit: Usd,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// A new budget.
#[derive(Debug, Clone, Copy)]
pub struct NewBudget {
    /// Its id.
    pub id: BudgetId,
    /// The API key whose runs it bounds; `None` for all runs of the tenant.
    pub api_key: Option<ApiKeyId>,
    /// For how long it counts.
    pub period: BudgetPeriod,
    /// What the runs may cost in a period.
    pub limit: Usd,
}

impl BudgetRow {
    pub(super) fn read(tenant: TenantId, row: &Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            api_key: (row.subject_id != tenant.uuid()).then(|| row.subject_id.into()),
            period: from_word("budgets.period", &row.period)?,
            limit: Usd::from_pico(row.limit),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// What a budget is kept under: the API key, or the tenant itself.
pub(super) fn subject(tx: &TenantTx, api_key: Option<ApiKeyId>) -> Uuid {
    api_key.map_or_else(|| tx.tenant().uuid(), ApiKeyId::uuid)
}

/// Writes a new budget. Nothing is spent of it: runs that were submitted before do not count.
///
/// # Errors
/// `Conflict` where the subject has one for this period.
pub async fn insert(tx: &TenantTx, budget: NewBudget, now: DateTime<Utc>) -> Result<BudgetRow, StoreError> {
    let values = ActiveModel {
        id: Set(budget.id.uuid()),
        subject_id: Set(subject(tx, budget.api_key)),
        period: Set(budget.period.as_str().to_owned()),
        limit: Set(budget.limit.pico()),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(values).exec_without_returning(tx).await?;
    get(tx, budget.id).await
}

/// How many budgets there are.
pub async fn count(tx: &TenantTx) -> Result<u64, StoreError> {
    Ok(Entity::find().count(tx).await?)
}

/// Whether the API key has a budget of its own.
pub async fn is_bound(tx: &TenantTx, api_key: ApiKeyId) -> Result<bool, StoreError> {
    Ok(Entity::find().filter(Column::SubjectId.eq(api_key.uuid())).count(tx).await? > 0)
}

/// A budget.
///
/// # Errors
/// `NotFound`.
pub async fn get(tx: &TenantTx, id: BudgetId) -> Result<BudgetRow, StoreError> {
    let row = Entity::find_by_id(id.uuid()).one(tx).await?;
    BudgetRow::read(tx.tenant(), &row.ok_or(StoreError::NotFound("budget"))?)
}

/// Budgets, newest first, made before `before`.
pub async fn list(tx: &TenantTx, before: Option<BudgetId>, limit: u64) -> Result<Vec<BudgetRow>, StoreError> {
    let mut query = Entity::find().order_by_desc(Column::Id).limit(limit);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.uuid()));
    }
    query.all(tx).await?.iter().map(|row| BudgetRow::read(tx.tenant(), row)).collect()
}

/// Changes the limit. It holds from the next submission on; what is reserved stays.
///
/// # Errors
/// `NotFound`.
pub async fn set_limit(tx: &TenantTx, id: BudgetId, limit: Usd, now: DateTime<Utc>) -> Result<BudgetRow, StoreError> {
    Entity::update_many()
        .col_expr(Column::Limit, Expr::value(limit.pico()))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .exec(tx)
        .await?;
    get(tx, id).await
}

/// Deletes a budget with all that was counted for it. Runs under way keep the ceiling that it gave them.
///
/// # Errors
/// `NotFound`.
pub async fn delete(tx: &TenantTx, id: BudgetId) -> Result<(), StoreError> {
    let deleted = Entity::delete_by_id(id.uuid()).exec(tx).await?;
    if deleted.rows_affected == 0 { Err(StoreError::NotFound("budget")) } else { Ok(()) }
}
