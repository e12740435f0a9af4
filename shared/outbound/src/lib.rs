//! Everything that leaves the house: calls of LLM providers and searches, tests of provider keys, reading of web pages, webhook
//! deliveries. `reqwest` lives here
//! alone. The worker's Journal and the API call `Outbound`; this crate knows neither the broker, the store nor the HTTP API.
//!
//! What holds for every request: no redirect is followed (but those of pages, each guarded anew), no proxy is used, no key stands in a URL, one call is one attempt,
//! and whatever comes back is bounded in time and size before anyone else sees it.

mod base_url;
mod clients;
mod exchange;
pub mod guard;
mod key_test;
mod options;
pub mod providers;
mod redact;
mod sender;
pub mod web;
pub mod webhooks;

pub use base_url::Target;
pub use clients::OpenError;
pub use key_test::{KeyTest, KeyTestOutcome};
pub use options::OutboundOptions;
pub use sender::Outbound;
pub use web::{FetchedPage, PageKind, PageLimits, Unavailable};
pub use webhooks::{WebhookOutcome, WebhookRequest};
