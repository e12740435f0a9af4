//! The truth about every run: specification, status, fence, money.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, pk_uuid, string, string_null, text, text_null, timestamp_with_time_zone,
    timestamp_with_time_zone_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statuses = ["queued", "running", "paused", "completed", "completed_with_errors", "failed", "cancelled"];
        manager
            .create_table(
                Table::create()
                    .table("runs")
                    .col(pk_uuid("id"))
                    .col(uuid("job_id"))
                    .col(uuid_null("api_key_id"))
                    .col(string("status").check(Expr::col("status").is_in(statuses)))
                    .col(string_null("requested").check(Expr::col("requested").is_in(["pause", "cancel"])))
                    .col(big_integer("claim").default(0))
                    .col(uuid_null("claimed_by"))
                    .col(integer("poison").default(0))
                    .col(text("spec"))
                    .col(text("metadata"))
                    .col(text("tags"))
                    .col(integer("tasks_expected"))
                    .col(integer("tasks_completed").default(0))
                    .col(integer("tasks_failed").default(0))
                    .col(big_integer("spent").default(0))
                    .col(big_integer("reserved").default(0))
                    .col(big_integer("in_doubt").default(0))
                    .col(integer("unknown_costs").default(0))
                    .col(integer("unknown_doubts").default(0))
                    .col(big_integer_null("max_cost"))
                    .col(big_integer("last_event").default(0))
                    .col(string_null("problem_code"))
                    .col(text_null("problem_detail"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("started_at"))
                    .col(timestamp_with_time_zone_null("finished_at"))
                    .col(timestamp_with_time_zone("deadline_at"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(Index::create().name("runs_status").table("runs").col("status").col("id").to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("runs").to_owned()).await
    }
}
