//! The worker.

mod backend;
pub mod consume;
