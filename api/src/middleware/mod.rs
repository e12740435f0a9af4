//! What every request passes, outermost first: `observe` (id, log, metrics, security headers), `cors`, `compress`,
//! `problems` (every failure and panic becomes problem+json), `in_flight`, `paths` (405 with Allow, unknown query
//! parameters), `bodies` (size, decompression). `stack` puts them together.

mod bodies;
mod compress;
mod cors;
mod in_flight;
mod metrics;
mod observe;
mod paths;
mod problems;
mod stack;

pub use metrics::Metrics;
pub use observe::RequestContext;
pub use paths::Paths;
pub use stack::stack;
