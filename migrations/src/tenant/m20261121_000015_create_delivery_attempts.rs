//! What came of each try of a delivery.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer, integer_null, text_null, timestamp_with_time_zone, uuid};

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
                    .table("delivery_attempts")
                    .col(uuid("delivery_id"))
                    .col(integer("number"))
                    .col(timestamp_with_time_zone("at"))
                    .col(integer_null("status_code"))
                    .col(big_integer("duration_ms"))
                    .col(text_null("excerpt"))
                    .col(text_null("error"))
                    .primary_key(Index::create().col("delivery_id").col("number"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("delivery_attempts_delivery")
                            .from("delivery_attempts", "delivery_id")
                            .to("deliveries", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("delivery_attempts").to_owned()).await
    }
}
