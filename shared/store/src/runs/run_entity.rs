//! The table `runs`: the truth about every run. Only `runs` functions see it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "runs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub job_id: Uuid,
    pub api_key_id: Option<Uuid>,
    pub status: String,
    pub requested: Option<String>,
    pub claim: i64,
    pub claimed_by: Option<Uuid>,
    pub poison: i32,
    #[sea_orm(column_type = "Text")]
    pub spec: String,
    #[sea_orm(column_type = "Text")]
    pub metadata: String,
    #[sea_orm(column_type = "Text")]
    pub tags: String,
    pub tasks_expected: i32,
    pub tasks_completed: i32,
    pub tasks_failed: i32,
    pub spent: i64,
    pub reserved: i64,
    pub in_doubt: i64,
    pub unknown_costs: i32,
    pub unknown_doubts: i32,
    pub max_cost: Option<i64>,
    pub last_event: i64,
    pub problem_code: Option<String>,
    pub problem_detail: Option<String>,
    pub created_at: ChronoDateTimeUtc,
    pub started_at: Option<ChronoDateTimeUtc>,
    pub finished_at: Option<ChronoDateTimeUtc>,
    pub deadline_at: ChronoDateTimeUtc,
    pub retry_claim: i64,
    pub skips: i32,
    pub spec_hash: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
