//! The control store: what all tenants share. Schema `acm2` or file `control.db`.

mod m20261121_000001_create_tenants;
mod m20261121_000002_create_api_keys;
mod m20261121_000003_create_jobs;
mod m20261121_000004_create_workers;
mod m20261121_000005_create_leases;
mod m20261127_000001_add_tenants_weight;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Migrations of the control store, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct ControlMigrator;

impl MigratorTrait for ControlMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_tenants::Migration),
            Box::new(m20261121_000002_create_api_keys::Migration),
            Box::new(m20261121_000003_create_jobs::Migration),
            Box::new(m20261121_000004_create_workers::Migration),
            Box::new(m20261121_000005_create_leases::Migration),
            Box::new(m20261127_000001_add_tenants_weight::Migration),
        ]
    }
}
