//! The runtime as its callers see it, and the rules that the whole work tree keeps (`tidy`, `compose`, `reference`).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod compose;
mod config;
mod error_codes;
mod logs;
mod panics;
mod protocol_tests;
mod reference;
mod signals;
mod tidy;
mod tree;
