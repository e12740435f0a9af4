//! The worker: takes jobs from the broker and does them. `api`'s embedded.rs starts it; it knows no HTTP API and no SQL.

mod accounts;
mod answer_room;
mod backend;
mod call_permits;
pub mod consume;
mod context;
mod jobs;
mod lanes;
mod liveness;
mod meter;
mod page_reader;
mod process;
mod progress;
mod receivers;
mod sweeper;
mod text_room;

pub use page_reader::PageReader;
pub use process::{Parts, Permits, run};
