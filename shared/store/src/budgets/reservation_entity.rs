//! The table `budget_reservations`: what a run has reserved in a budget, and once it has ended what it is counted with. Only
//! `budgets` functions see it.

#![expect(unreachable_pub, reason = "the derived code is pub, so its parts must be")]

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budget_reservations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub budget_id: Uuid,
    pub starts_at: ChronoDateTimeUtc,
    pub amount: i64,
    pub baseline: i64,
    pub settled: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
