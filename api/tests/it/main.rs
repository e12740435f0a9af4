//! The real binary over its real HTTP: each test starts processes of its own, over SQLite + memory and over PostgreSQL + Redis
//! (`TEST_DATABASE_URL` and `TEST_BROKER_URL`; without them that half is skipped, loudly).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod answers;
mod auth;
mod commands;
mod conversations;
mod criteria_sets;
mod crowds;
mod documents;
mod files;
mod form;
mod harness;
mod http_quality;
mod provider_keys;
mod spec;
mod templates;
mod webhook_endpoints;
