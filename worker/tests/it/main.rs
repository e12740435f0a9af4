//! What the worker makes of runs and deliveries, through its one public door, with real parts: stores, broker, outbound and vault;
//! a sandbox provider in this process whose log says what was really called. The same suite runs over SQLite with the broker in
//! memory and, where the test servers are, over PostgreSQL with Redis.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod account;
mod back_ends;
mod ceiling;
mod commands;
mod council;
mod death;
mod deliveries;
mod failures;
mod house;
mod images;
mod judging;
mod keys;
mod lanes;
mod newer;
mod once;
mod outbox;
mod outcomes;
mod poison;
mod process;
mod receiver;
mod research;
mod rooms;
mod shutdown;
mod timeline;
mod writes;
