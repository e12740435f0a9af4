//! What commands leave on a run: from which claim on its attempts count towards its retries, and how many tasks were skipped.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut retry_claim = big_integer("retry_claim").default(0).take();
        let mut skips = integer("skips").default(0).take();
        for column in [&mut retry_claim, &mut skips] {
            manager.alter_table(Table::alter().table("runs").add_column(column.take()).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["retry_claim", "skips"] {
            manager.alter_table(Table::alter().table("runs").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
