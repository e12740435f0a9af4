//! Dispatch state between processes: the fair queue and signals. Rebuildable: the stores are the truth.
//! `open` is the one place that chooses between Redis and memory.

pub mod dispatch;
pub mod signals;
