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
mod crowd;
mod cuts;
mod database;
mod documents;
mod durability;
mod event_source;
mod fairness;
mod first_minute;
mod going_on;
mod harmless;
#[expect(dead_code, unused_imports, unused_macros, reason = "the other test binary uses the rest of it")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod hostile;
mod hostile_sizes;
mod house;
mod housekeeping;
mod idle_proxy;
mod images;
mod isolation;
mod large;
mod ledger;
mod ledger_planted;
mod opinions;
mod outages;
mod outcome;
mod own_postgres;
mod own_redis;
mod owned;
mod presets;
mod proxy;
mod queue;
mod receiver;
mod repeats;
mod research;
mod rotation;
mod sealed_columns;
mod secrets;
mod streams;
mod upgrade;
mod waits;
mod webhooks;
