//! The words and rules of ACM2, without input or output: ids, money, prices, the provider list, what a run is and how its
//! stages go. Every other crate knows this one; this one knows none of them and no async runtime.

pub mod artifact;
pub mod budget;
pub mod call;
pub mod clock;
pub mod combining;
pub mod content_hash;
pub mod criteria;
mod draw;
pub mod error;
pub mod estimate;
mod families;
mod frame;
pub mod ids;
pub mod image;
pub mod job;
pub mod journal;
pub mod judged;
pub mod judging;
pub mod money;
#[cfg(feature = "openapi")]
mod openapi;
pub mod prices;
pub mod providers;
pub mod ranking;
pub mod rates;
pub mod research;
pub mod retry;
pub mod run;
pub mod stages;
pub mod standing;
pub mod template;
pub mod timing;
pub mod web;
pub mod webhook;

pub use error::{Error, FieldError, Kind};
