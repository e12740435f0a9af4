//! A real HTTP server that behaves as an LLM provider, for tests, demos, docs and benches.
//! Called by the CLI (`acm2 sandbox`, and the embedded default) and by tests of any crate; it knows nothing of ACM2's
//! own types, stores or configuration, so that what it sees and says is evidence from outside.
//! Start one with [`Sandbox::start`]; what it then answers is chosen by the model name. The rest of this page is the
//! crate's README.
#![doc = include_str!("../README.md")]

mod behaviour;
mod brand;
mod connection;
mod fault;
mod generate;
mod judge;
mod key;
mod log;
mod own_pages;
mod picture;
mod plan;
mod rate;
mod reply;
mod researcher;
mod search;
mod send;
mod server;
mod web;
mod wire;

pub use behaviour::{BEHAVIOURS, Behaviour};
pub use log::{CallRecord, Event};
pub use reply::Usage;
pub use server::{Options, Sandbox};
pub use wire::Wire;
