//! The HTTP API of ACM2 and the command line `acm2`. `main` calls `cli::run`; the rest is public for tests.
//!
//! - [`cli`]: one file per command; [`admin`]: what operators do, here or in the process that serves
//! - [`app`], [`open`]: the parts of a process, and how they come about
//! - [`server`], `middleware`, [`routes`]: HTTP; [`auth`]: who calls; [`body`], [`reply`], [`problem`]: what goes in and out
//! - [`spec`]: the OpenAPI document and the docs page

pub mod admin;
mod answers;
mod api_keys;
pub mod app;
mod artifact_file;
pub mod auth;
pub mod body;
pub mod cli;
mod commands;
mod connections;
mod criteria_set_body;
mod download;
#[cfg(feature = "worker")]
pub mod embedded;
#[cfg(not(feature = "worker"))]
#[path = "embedded_absent.rs"]
pub mod embedded;
mod event_stream;
mod export_stream;
mod export_writer;
mod extraction;
pub mod first_start;
mod hearing;
pub mod idempotency;
mod key_rotation;
mod key_test;
mod material;
pub mod middleware;
pub mod open;
mod outcome;
pub mod plain_runs;
mod poll_hint;
mod presence;
mod preset_body;
pub mod problem;
mod queue_place;
mod reading;
pub mod reply;
pub mod routes;
mod runnable;
mod sealing;
mod secret_text;
pub mod server;
pub mod spec;
mod spending;
pub mod start_error;
mod starter_presets;
mod submit;
mod tail;
mod template_body;
mod tenants;
mod test_event;
mod timekeeping;
pub mod timelines;
mod turns;
pub mod waiters;
mod waiting;
