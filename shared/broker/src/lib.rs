//! Dispatch state between processes: the fair queue, the lanes and signals. Rebuildable: the stores are the truth.
//! [`open()`] is the one place that chooses between Redis and memory. The api pushes and signals, the worker claims, the
//! doctor asks [`Broker::diagnose`]. Knows no SQL, no provider, no prompt: jobs are ids.

mod address;
mod charge;
pub mod dispatch;
mod finding;
pub mod limits;
mod memory;
mod open;
mod redis;
pub mod signals;

pub use address::{BrokerUrl, BrokerUrlError};
pub use finding::{Finding, Severity};
pub use open::{Broker, BrokerOptions, open};
