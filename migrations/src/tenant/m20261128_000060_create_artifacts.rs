//! Files that tasks made, with their bytes, which nothing but a download reads. What a settled task has of them stands with it,
//! so that looking at a run does not touch this table. They go with their run.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, pk_uuid, string, string_len, text_null, timestamp_with_time_zone, uuid,
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
                    .table("artifacts")
                    .col(pk_uuid("id"))
                    .col(uuid("run_id"))
                    .col(string("task_key"))
                    .col(string("content_type"))
                    .col(big_integer("bytes"))
                    .col(string_len("sha256", 64))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(blob("data"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("artifacts_run")
                            .from("artifacts", "run_id")
                            .to("runs", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(Index::create().name("artifacts_of_run").table("artifacts").col("run_id").to_owned())
            .await?;
        for column in [text_null("artifacts"), big_integer_null("image_tokens")] {
            manager.alter_table(Table::alter().table("tasks").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["image_tokens", "artifacts"] {
            manager.alter_table(Table::alter().table("tasks").drop_column(column).to_owned()).await?;
        }
        manager.drop_table(Table::drop().table("artifacts").to_owned()).await
    }
}
