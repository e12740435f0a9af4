//! The table `attempts`: written before the provider is called, settled after. Only `runs` functions see it.

#![expect(unreachable_pub, reason = "the derived code is pub, so its parts must be")]

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub run_id: Uuid,
    pub task_key: String,
    pub number: i32,
    pub claim: i64,
    pub status: String,
    pub provider: String,
    pub model: String,
    pub provider_key_id: Uuid,
    pub key_source: String,
    pub reserved: Option<i64>,
    pub cost: Option<i64>,
    pub error_class: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    pub http_status: Option<i32>,
    pub provider_code: Option<String>,
    pub provider_request_id: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub late_answer: Option<String>,
    pub retry_at: Option<ChronoDateTimeUtc>,
    pub started_at: ChronoDateTimeUtc,
    pub finished_at: Option<ChronoDateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
