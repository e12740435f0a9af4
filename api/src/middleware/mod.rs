//! What every request passes, outermost first: `leave` (at the end of the process), `observe` (id, log, metrics, security headers), `cors`,
//! `large_answers` (bytes that are yet to be fetched), `compress`, `problems` (every failure and panic becomes problem+json), `paths` (405 with Allow, unknown query parameters), `bodies`
//! (size, time, decompression), `in_flight`: last, so that who has not sent its body yet takes nobody's place. `stack` puts
//! them together.

mod bodies;
mod compress;
mod cors;
mod in_flight;
mod large_answers;
mod leave;
mod metrics;
mod observe;
mod paths;
mod problems;
mod stack;

pub use in_flight::InFlightPermit;
pub(crate) use large_answers::{SLOWEST, STALLED};
pub use metrics::Metrics;
pub use observe::RequestContext;
pub use paths::Paths;
pub use stack::stack;
