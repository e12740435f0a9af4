//! Accounts, each with the wrapped key that seals its secrets.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{blob, pk_uuid, text, text_null, timestamp_with_time_zone};

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
                    .table("tenants")
                    .col(pk_uuid("id"))
                    .col(text("name"))
                    .col(blob("data_key"))
                    .col(text("data_key_master"))
                    .col(text("status").default("active").check(Expr::col("status").is_in(["active", "deleting"])))
                    .col(text("private_hosts").default("[]"))
                    .col(text_null("min_binary"))
                    .col(timestamp_with_time_zone("created_at"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("tenants").to_owned()).await
    }
}
