//! What every step here gives back: a value, or a sentence for the person who runs the benchmark.

use std::error::Error;

/// A value, or what went wrong.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
