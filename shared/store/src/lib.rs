//! Everything that is stored. `api` and `worker` call it; it knows no HTTP, no broker and no provider, and it cannot open a
//! sealed secret.
//!
//! - [`Store`]: opened once per process; [`Store::tenant`] is the only door to a tenant's data
//! - [`TenantTx`]: one transaction in one tenant's store; every function on tenant data takes a `&TenantTx`
//! - [`control`]: what all tenants share: tenants, API keys, the index of unfinished work, live processes, leases
//! - [`provider_keys`], [`webhook_endpoints`], [`webhook_secret`], [`idempotency`]: tenant data
//! - [`library`]: documents, templates, criteria sets, presets; [`conversations`]: with their messages
//! - [`budgets`]: what runs may cost, reserved and settled with them
//! - [`runs`], [`deliveries`]: the run protocol's writes and reads
//! - [`Gather`]: small transactions that come at the same time, made one
//! - [`database_clock`]: the database's time, for leases and heartbeats

pub mod budgets;
pub mod control;
pub mod conversations;
pub mod database_clock;
pub mod deliveries;
pub mod idempotency;
pub mod library;
pub mod provider_keys;
pub mod runs;
pub mod webhook_endpoints;
pub mod webhook_secret;

mod column;
mod connections;
mod data_dir;
mod entities;
mod error;
mod gather;
mod migrate;
mod options;
mod patience;
mod postgres;
mod postgres_pools;
mod schema;
mod shares;
mod sqlite;
mod store;
mod tenant;
mod tenant_tx;
mod tenants;

pub use data_dir::DataDirLock;
pub use error::StoreError;
pub use gather::Gather;
pub use migrate::{MigrateReport, Migrated};
pub use options::{Database, Options};
pub use store::Store;
pub use tenant::Tenant;
pub use tenant_tx::TenantTx;
