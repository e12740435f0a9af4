//! One row for each settled task of a run, written once.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer_null, integer, integer_null, string, string_null, text_null, timestamp_with_time_zone, uuid,
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("tasks")
                    .col(uuid("run_id"))
                    .col(string("key"))
                    .col(string("status").check(Expr::col("status").is_in(["completed", "failed"])))
                    .col(text_null("text"))
                    .col(string_null("finish_reason"))
                    .col(big_integer_null("input_tokens"))
                    .col(big_integer_null("cached_input_tokens"))
                    .col(big_integer_null("cache_write_tokens"))
                    .col(big_integer_null("output_tokens"))
                    .col(big_integer_null("reasoning_tokens"))
                    .col(big_integer_null("cost"))
                    .col(string_null("cost_source"))
                    .col(big_integer_null("latency_ms"))
                    .col(string_null("provider_model"))
                    .col(string_null("provider_request_id"))
                    .col(integer("attempts"))
                    .col(string_null("error_class"))
                    .col(text_null("error_message"))
                    .col(integer_null("error_http_status"))
                    .col(string_null("error_provider_code"))
                    .col(timestamp_with_time_zone("finished_at"))
                    .primary_key(Index::create().col("run_id").col("key"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("tasks_run")
                            .from("tasks", "run_id")
                            .to("runs", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("tasks").to_owned()).await
    }
}
