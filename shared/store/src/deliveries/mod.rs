//! Deliveries of webhooks (PROTOCOL rule 11): written in the transaction that makes their event, claimed like runs, every try
//! recorded. Called by `runs::end`, the worker, and the api for looking and redelivering.

mod attempt_entity;
mod claim;
mod create;
mod delivery_entity;
mod read;
mod record;

pub use claim::{DeliveryClaim, claim};
pub use create::{create, insert, pending_of_run};
pub use read::{DeliveryAttemptRow, DeliveryRow, DeliveryStatus, find, list, list_attempts, lock};
pub(crate) use record::forget_payloads;
pub use record::{Next, Tried, record, redeliver};
