//! The schema of the two kinds of store, as migrations that serve PostgreSQL and SQLite alike. Only `store` calls this.
//!
//! One file per change, never edited after a release; a change is additive (expand, backfill, contract), keeps the type of
//! a column, and runs in a transaction on both databases. Words are text with a CHECK, ids are UUIDs, money is a count of
//! pico-USD, JSON is text, times are UTC with microseconds.

pub mod control;
pub mod tenant;

pub use control::ControlMigrator;
pub use tenant::TenantMigrator;
