//! Reading pages of the web: guarded as webhooks are, redirects followed one by one, at a pace that sites bear, and only what a site
//! lets robots read. Knows
//! no task and no parser: what comes back are bytes, whose text `acm2-extract` finds in a process of its own.

mod content;
mod fetch;
mod hosts_pace;
mod robots;
mod robots_cache;

pub use content::PageKind;
pub(crate) use fetch::Fetch;
pub use fetch::{FetchedPage, PageLimits, Unavailable};
pub(crate) use hosts_pace::HostsPace;
pub(crate) use robots_cache::RobotsCache;
