//! The sandbox through real HTTP: each test starts its own server and speaks to it over TCP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod client;
mod connections;
mod errors;
mod finishes;
mod images;
mod judges;
mod log;
mod search;
mod wires;
