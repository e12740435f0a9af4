//! The broker's tests: the same suite over memory and over Redis, a property test against a reference model, and faults of
//! a server that the test started itself. `TEST_BROKER_URL` names the Redis server; without it the half is skipped, loudly.

#![expect(clippy::unwrap_used, reason = "tests: what is not expected ends them")]

mod fairness;
mod faults;
mod home;
mod leases;
mod limits;
mod model;
mod order;
mod properties;
mod server;
mod signals;
mod stress;
mod waiting;
