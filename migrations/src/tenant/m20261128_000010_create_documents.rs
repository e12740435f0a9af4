//! Documents, the texts that they and runs are about, and which run is about which text. A text is stored once, under the
//! SHA-256 of what it says, and stays while a document or a run names it: deleting a document changes no run.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, integer, pk_uuid, string, string_len, text, timestamp_with_time_zone, uuid,
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
                Table::create().table("texts").col(string_len("hash", 64).primary_key()).col(text("text")).to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("documents")
                    .col(pk_uuid("id"))
                    .col(string("name"))
                    .col(string_len("text_hash", 64))
                    .col(big_integer("text_bytes"))
                    .col(string("content_type"))
                    .col(big_integer("bytes"))
                    .col(string_len("sha256", 64))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(&mut of_text("documents_text", "documents"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(Index::create().name("documents_of_text").table("documents").col("text_hash").to_owned())
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("run_documents")
                    .col(uuid("run_id"))
                    .col(integer("position"))
                    .col(string_len("text_hash", 64))
                    .primary_key(Index::create().col("run_id").col("position"))
                    .foreign_key(&mut of_text("run_documents_text", "run_documents"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("run_documents_run")
                            .from("run_documents", "run_id")
                            .to("runs", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("run_documents_of_text").table("run_documents").col("text_hash").to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["run_documents", "documents", "texts"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// A text that is named cannot be deleted.
fn of_text(name: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, "text_hash")
        .to("texts", "hash")
        .on_delete(ForeignKeyAction::Restrict)
        .to_owned()
}
