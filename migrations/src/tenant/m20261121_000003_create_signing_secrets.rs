//! Sealed signing secrets of the tenant itself, by name: the default one signs webhooks to the URL of a run.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{blob, blob_null, text, timestamp_with_time_zone, timestamp_with_time_zone_null};

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
                    .table("signing_secrets")
                    .col(text("name").primary_key())
                    .col(blob("sealed"))
                    .col(blob_null("previous_sealed"))
                    .col(timestamp_with_time_zone_null("previous_until"))
                    .col(timestamp_with_time_zone("created_at"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("signing_secrets").to_owned()).await
    }
}
