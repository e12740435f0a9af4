//! The rest of the library: templates, criteria sets and presets, in one table, because each table costs every tenant; and the
//! versions of those that have versions.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{integer, pk_uuid, string, text, timestamp_with_time_zone, uuid};

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
                    .table("library_items")
                    .col(pk_uuid("id"))
                    // No check of the word: kinds are added without touching what is stored.
                    .col(string("kind"))
                    .col(string("name"))
                    .col(integer("version"))
                    .col(text("description"))
                    .col(text("body"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        let one = Index::create()
            .name("library_items_name")
            .table("library_items")
            .col("kind")
            .col("name")
            .unique()
            .to_owned();
        manager.create_index(one).await?;
        manager
            .create_table(
                Table::create()
                    .table("library_versions")
                    .col(uuid("item_id"))
                    .col(integer("version"))
                    .col(string("name"))
                    .col(text("description"))
                    .col(text("body"))
                    .col(timestamp_with_time_zone("created_at"))
                    .primary_key(Index::create().col("item_id").col("version"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("library_versions_item")
                            .from("library_versions", "item_id")
                            .to("library_items", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["library_versions", "library_items"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
