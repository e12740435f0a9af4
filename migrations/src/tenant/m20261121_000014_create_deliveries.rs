//! One event to one URL, with the exact bytes that are sent.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, integer, pk_uuid, string, text, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statuses = ["pending", "delivered", "failed"];
        manager
            .create_table(
                Table::create()
                    .table("deliveries")
                    .col(pk_uuid("id"))
                    .col(uuid_null("endpoint_id"))
                    .col(uuid_null("run_id"))
                    .col(string("event_type"))
                    .col(text("url"))
                    .col(text("payload"))
                    .col(string("status").check(Expr::col("status").is_in(statuses)))
                    .col(integer("attempts").default(0))
                    .col(timestamp_with_time_zone("next_attempt_at"))
                    .col(big_integer("claim").default(0))
                    .col(uuid_null("claimed_by"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("finished_at"))
                    .to_owned(),
            )
            .await?;
        for (name, column) in [("deliveries_endpoint", "endpoint_id"), ("deliveries_run", "run_id")] {
            let index = Index::create().name(name).table("deliveries").col(column).col("id").to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("deliveries").to_owned()).await
    }
}
