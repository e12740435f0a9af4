//! The control store: what all tenants share. Reached through `Store`; nothing here sees tenant data.
//!
//! - [`Tenants`]: accounts, with the wrapped key that seals their secrets
//! - [`ApiKeys`]: keys that authenticate callers
//! - [`Jobs`]: the index of unfinished work
//! - [`Workers`]: live processes and their heartbeats
//! - [`Leases`]: locks of which one process at a time holds each

mod api_key_entity;
mod api_keys;
mod job_batches;
mod job_entity;
mod jobs;
mod lease_entity;
mod leases;
mod tenant_entity;
mod tenants;
mod worker_entity;
mod workers;

pub(crate) use job_batches::NewJob;
pub(crate) use tenants::min_binary;

pub use api_keys::{ApiKeyChange, ApiKeyRow, ApiKeys};
pub use jobs::{DueJob, Jobs};
pub use leases::Leases;
pub use tenants::{StoredDataKey, TenantRow, Tenants};
pub use workers::{NewWorker, WorkerRow, Workers};
