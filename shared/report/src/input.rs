//! What a report is made of.

use acm2_domain::judged::Judging;
use acm2_domain::run::{Event, Run, Task};
use acm2_domain::stages::CombineStrategy;
use chrono::{DateTime, Utc};

use crate::images::Images;

/// A run with everything that is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Reported<'a> {
    /// The run, with what it ended without.
    pub run: &'a Run,
    /// All its tasks, in its own order; of texts, only those of [`crate::page::texts`] are looked at.
    pub tasks: &'a [Task],
    /// How each subject was judged; empty for a run without judges.
    pub judging: &'a [Judging],
    /// How texts are made of several answers; none where none is.
    pub combine: Option<CombineStrategy>,
    /// Its timeline; the page needs of it the events that it lists, and the last.
    pub events: &'a [Event],
    /// The images that the page holds: those of [`crate::images::to_hold`].
    pub images: &'a Images,
    /// When the report is made.
    pub made_at: DateTime<Utc>,
}

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The page.
    #[error("failed to write the page: {0}")]
    Page(#[from] askama::Error),
    /// A table.
    #[error("failed to write a table: {0}")]
    Table(#[from] csv::Error),
    /// JSON.
    #[error("failed to write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The archive.
    #[error("failed to write the archive: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// The archive's bytes.
    #[error("failed to write the archive: {0}")]
    Bytes(#[from] std::io::Error),
}
