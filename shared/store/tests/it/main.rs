//! The store over SQLite and over PostgreSQL: the same tests for both.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod api_keys;
mod artifacts;
mod budgets;
mod budgets_model;
mod commands;
mod commands_model;
mod doubt;
mod fixture;
mod idempotency;
mod jobs;
mod library;
mod looks;
mod provider_keys;
mod runs;
mod sqlite;
mod task_texts;
mod tenants;
mod texts;
mod together;
mod webhooks;
mod workers;
