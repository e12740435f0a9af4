//! The table `tasks`: one row for each settled task, written once. Only `runs` functions see it.

#![expect(unreachable_pub, reason = "the derived code is pub, so its parts must be")]

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub status: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub text: Option<String>,
    pub finish_reason: Option<String>,
    pub input_tokens: Option<i64>,
    pub cached_input_tokens: Option<i64>,
    pub cache_write_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    pub cost: Option<i64>,
    pub cost_source: Option<String>,
    pub latency_ms: Option<i64>,
    pub provider_model: Option<String>,
    pub provider_request_id: Option<String>,
    pub attempts: i32,
    pub error_class: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    pub error_http_status: Option<i32>,
    pub error_provider_code: Option<String>,
    pub finished_at: ChronoDateTimeUtc,
    #[sea_orm(column_type = "Text", nullable)]
    pub artifacts: Option<String>,
    pub image_tokens: Option<i64>,
    pub question: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
