//! Tests of what leaves the house: the wire formats on bodies of the recorded shape, and real HTTP against a small local server.

#![expect(clippy::unwrap_used, reason = "tests")]

mod calls;
mod guard;
mod judging;
mod key_tests;
mod pages;
mod server;
mod webhooks;
mod wires;
