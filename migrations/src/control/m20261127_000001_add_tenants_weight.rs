//! How much of the workers' time a tenant's turn counts for, beside those of the others.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::small_integer;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let weight = small_integer("weight").default(1).check(Expr::col("weight").between(1, 100)).to_owned();
        manager.alter_table(Table::alter().table("tenants").add_column(weight).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("tenants").drop_column("weight").to_owned()).await
    }
}
