//! How a budget stands in the period that a time is in.

use acm2_domain::money::Usd;
use chrono::{DateTime, Utc};
use sea_orm::EntityTrait;

use super::period_entity::Entity;
use super::row::BudgetRow;
use crate::{StoreError, TenantTx};

/// How a budget stands in one of its periods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The budget.
    pub budget: BudgetRow,
    /// What ended runs have cost, attempts in doubt at their worst case.
    pub spent: Usd,
    /// What runs that have not ended have reserved.
    pub reserved: Usd,
    /// When the period began.
    pub starts_at: DateTime<Utc>,
    /// When it ends.
    pub resets_at: DateTime<Utc>,
}

impl Standing {
    /// What a new run may reserve.
    pub fn left(&self) -> Usd {
        Ord::max(self.budget.limit - self.spent - self.reserved, Usd::ZERO)
    }
}

/// How the budget stands at `now`.
pub async fn standing(tx: &TenantTx, budget: BudgetRow, now: DateTime<Utc>) -> Result<Standing, StoreError> {
    let starts_at = budget.period.starts_at(now);
    let resets_at = budget.period.resets_at(now);
    let row = Entity::find_by_id((budget.id.uuid(), starts_at)).one(tx).await?;
    let (spent, reserved) =
        row.map_or((Usd::ZERO, Usd::ZERO), |row| (Usd::from_pico(row.spent), Usd::from_pico(row.reserved)));
    Ok(Standing { budget, spent, reserved, starts_at, resets_at })
}
