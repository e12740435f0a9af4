//! The timeline of each run: append-only, numbered from 1 without gaps.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string, text, timestamp_with_time_zone, uuid};

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
                    .table("events")
                    .col(uuid("run_id"))
                    .col(big_integer("number"))
                    .col(string("event_type"))
                    .col(text("data"))
                    .col(timestamp_with_time_zone("at"))
                    .primary_key(Index::create().col("run_id").col("number"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("events_run")
                            .from("events", "run_id")
                            .to("runs", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("events").to_owned()).await
    }
}
