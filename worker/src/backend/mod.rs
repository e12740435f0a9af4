//! The seam between apalis and our queue: apalis runs the worker, `acm2_broker::dispatch` says what is to be done.
//! `consume.rs` calls it. Knows nothing of runs and deliveries, nor which broker it talks to.

mod layer;
mod line;
mod seats;
mod source;

pub use seats::Held;
pub(crate) use seats::{Desk, renew};
pub(crate) use source::{Source, fetch};
