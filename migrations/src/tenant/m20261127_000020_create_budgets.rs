//! What runs may cost in a day or a month: budgets, how each stands in each period, and what each run has reserved in them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, pk_uuid, string, timestamp_with_time_zone, uuid};

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
                    .table("budgets")
                    .col(pk_uuid("id"))
                    // The tenant itself or one of its API keys.
                    .col(uuid("subject_id"))
                    .col(string("period").check(Expr::col("period").is_in(["day", "month"])))
                    .col(big_integer("limit"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        let one = Index::create()
            .name("budgets_subject")
            .table("budgets")
            .col("subject_id")
            .col("period")
            .unique()
            .to_owned();
        manager.create_index(one).await?;
        manager
            .create_table(
                Table::create()
                    .table("budget_periods")
                    .col(uuid("budget_id"))
                    .col(timestamp_with_time_zone("starts_at"))
                    .col(big_integer("reserved").default(0))
                    .col(big_integer("spent").default(0))
                    .primary_key(Index::create().col("budget_id").col("starts_at"))
                    .foreign_key(&mut of_budget("budget_periods_budget", "budget_periods"))
                    .to_owned(),
            )
            .await?;
        // No foreign key leads to the run: what a run reserves is written before the run is.
        manager
            .create_table(
                Table::create()
                    .table("budget_reservations")
                    .col(uuid("run_id"))
                    .col(uuid("budget_id"))
                    .col(timestamp_with_time_zone("starts_at"))
                    .col(big_integer("amount"))
                    .col(big_integer("baseline").default(0))
                    .col(big_integer_null("settled"))
                    .primary_key(Index::create().col("run_id").col("budget_id"))
                    .foreign_key(&mut of_budget("budget_reservations_budget", "budget_reservations"))
                    .to_owned(),
            )
            .await?;
        // For the cascade.
        let of_budget =
            Index::create().name("budget_reservations_of").table("budget_reservations").col("budget_id").to_owned();
        manager.create_index(of_budget).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["budget_reservations", "budget_periods", "budgets"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// A budget takes what belongs to it with it.
fn of_budget(name: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, "budget_id")
        .to("budgets", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
