//! A tenant's store: schema `t_<id>` or file `tenants/<id>.db`. Nothing in it refers to another store.

mod m20261121_000001_create_provider_keys;
mod m20261121_000002_create_webhook_endpoints;
mod m20261121_000003_create_signing_secrets;
mod m20261121_000004_create_idempotency_keys;
mod m20261121_000010_create_runs;
mod m20261121_000011_create_tasks;
mod m20261121_000012_create_attempts;
mod m20261121_000013_create_events;
mod m20261121_000014_create_deliveries;
mod m20261121_000015_create_delivery_attempts;
mod m20261127_000010_add_runs_retry_claim;
mod m20261127_000020_create_budgets;
mod m20261128_000010_create_documents;
mod m20261128_000020_add_runs_spec_hash;
mod m20261128_000030_create_library_items;
mod m20261128_000040_create_conversations;
mod m20261128_000060_create_artifacts;
mod m20261128_000090_add_messages_run_id;
mod m20261128_000100_add_tasks_question;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Migrations of a tenant's store, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct TenantMigrator;

impl MigratorTrait for TenantMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_provider_keys::Migration),
            Box::new(m20261121_000002_create_webhook_endpoints::Migration),
            Box::new(m20261121_000003_create_signing_secrets::Migration),
            Box::new(m20261121_000004_create_idempotency_keys::Migration),
            Box::new(m20261121_000010_create_runs::Migration),
            Box::new(m20261121_000011_create_tasks::Migration),
            Box::new(m20261121_000012_create_attempts::Migration),
            Box::new(m20261121_000013_create_events::Migration),
            Box::new(m20261121_000014_create_deliveries::Migration),
            Box::new(m20261121_000015_create_delivery_attempts::Migration),
            Box::new(m20261127_000010_add_runs_retry_claim::Migration),
            Box::new(m20261127_000020_create_budgets::Migration),
            Box::new(m20261128_000010_create_documents::Migration),
            Box::new(m20261128_000020_add_runs_spec_hash::Migration),
            Box::new(m20261128_000030_create_library_items::Migration),
            Box::new(m20261128_000040_create_conversations::Migration),
            Box::new(m20261128_000060_create_artifacts::Migration),
            Box::new(m20261128_000090_add_messages_run_id::Migration),
            Box::new(m20261128_000100_add_tasks_question::Migration),
        ]
    }
}
