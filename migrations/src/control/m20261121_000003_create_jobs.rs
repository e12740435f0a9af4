//! The index of unfinished work: written before and deleted after what it points to.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    integer, pk_uuid, small_integer, text, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
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
                    .table("jobs")
                    .col(pk_uuid("id"))
                    .col(text("kind"))
                    .col(uuid("tenant_id"))
                    .col(uuid("subject_id"))
                    .col(small_integer("priority").default(0))
                    .col(timestamp_with_time_zone("due_at"))
                    .col(timestamp_with_time_zone_null("deadline_at"))
                    .col(integer("tries").default(0))
                    .col(timestamp_with_time_zone("created_at"))
                    .to_owned(),
            )
            .await?;
        for (name, columns) in [
            ("jobs_due", &["due_at"][..]),
            ("jobs_deadline", &["deadline_at"]),
            ("jobs_of_subject", &["tenant_id", "subject_id"]),
        ] {
            let mut index = Index::create().name(name).table("jobs").take();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("jobs").to_owned()).await
    }
}
