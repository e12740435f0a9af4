//! Reports and exports of runs whose models and callers are hostile.

#![expect(clippy::unwrap_used, reason = "tests")]

mod archive;
mod page;
mod sample;
mod tables;
