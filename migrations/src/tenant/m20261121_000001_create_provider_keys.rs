//! The tenant's secrets for LLM providers, sealed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    blob, boolean, pk_uuid, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
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
                    .table("provider_keys")
                    .col(pk_uuid("id"))
                    .col(text("provider"))
                    .col(text("label"))
                    .col(blob("sealed"))
                    .col(text("prefix"))
                    .col(text("last4"))
                    .col(text_null("base_url"))
                    .col(boolean("is_default").default(false))
                    .col(boolean("is_active").default(true))
                    .col(
                        text("status")
                            .default("untested")
                            .check(Expr::col("status").is_in(["untested", "valid", "invalid", "quota"])),
                    )
                    .col(text_null("status_detail"))
                    .col(timestamp_with_time_zone_null("tested_at"))
                    .col(timestamp_with_time_zone_null("last_used_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        // At most one default for each provider, whoever writes.
        manager
            .create_index(
                Index::create()
                    .name("provider_keys_default")
                    .table("provider_keys")
                    .col("provider")
                    .unique()
                    .and_where(Expr::col("is_default"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("provider_keys").to_owned()).await
    }
}
