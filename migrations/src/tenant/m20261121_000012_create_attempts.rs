//! One row for each try of a task, written before the provider is called.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, integer_null, pk_uuid, string, string_null, text_null,
    timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statuses = ["open", "answered", "failed", "in_doubt", "late"];
        manager
            .create_table(
                Table::create()
                    .table("attempts")
                    .col(pk_uuid("id"))
                    .col(uuid("run_id"))
                    .col(string("task_key"))
                    .col(integer("number"))
                    .col(big_integer("claim"))
                    .col(string("status").check(Expr::col("status").is_in(statuses)))
                    .col(string("provider"))
                    .col(string("model"))
                    .col(uuid("provider_key_id"))
                    .col(string("key_source"))
                    .col(big_integer_null("reserved"))
                    .col(big_integer_null("cost"))
                    .col(string_null("error_class"))
                    .col(text_null("error_message"))
                    .col(integer_null("http_status"))
                    .col(string_null("provider_code"))
                    .col(string_null("provider_request_id"))
                    .col(text_null("late_answer"))
                    .col(timestamp_with_time_zone_null("retry_at"))
                    .col(timestamp_with_time_zone("started_at"))
                    .col(timestamp_with_time_zone_null("finished_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("attempts_run")
                            .from("attempts", "run_id")
                            .to("runs", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("attempts_run_task").table("attempts").col("run_id").col("task_key").to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("attempts").to_owned()).await
    }
}
