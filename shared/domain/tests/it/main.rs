//! Tests of what the domain promises to others, by its public interface alone.

#![expect(clippy::unwrap_used, reason = "tests")]

mod judged;
mod ranking;
