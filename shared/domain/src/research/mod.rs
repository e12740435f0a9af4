//! What research on the web is made of, without the asking: the queries that a model plans, the words that models are asked with,
//! and sources with their citations. Pure. `stages::research` puts it together.
//!
//! Whatever a page says is hostile: it stands in frames, numbers that it makes a model cite count only where they are its own, and
//! the list of sources is ours.

mod citations;
pub mod prompt;
mod queries;
mod sources;

pub use queries::{MOST_QUERY_BYTES, Queries};
pub(crate) use sources::only;
pub use sources::{Source, Sources};
