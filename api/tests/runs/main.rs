//! Runs and what can go wrong with them: the real binary over SQLite + memory and over PostgreSQL + Redis, against a sandbox
//! provider in this process, whose log says what was really called.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod aftermath;
mod basics;
mod budgets;
mod canaries;
mod clocks;
mod commands;
mod control;
mod cuts;
mod database;
mod documents;
mod durability;
mod event_source;
mod fairness;
mod first_minute;
#[expect(dead_code, unused_imports, unused_macros, reason = "the other test binary uses the rest of it")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod house;
mod housekeeping;
mod idle_proxy;
mod isolation;
mod ledger;
mod ledger_planted;
mod outages;
mod own_postgres;
mod own_redis;
mod owned;
mod presets;
mod proxy;
mod queue;
mod receiver;
mod repeats;
mod rotation;
mod sealed_columns;
mod secrets;
mod streams;
mod upgrade;
mod waits;
mod webhooks;
