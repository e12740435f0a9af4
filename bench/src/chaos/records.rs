//! What the driver writes down so that it can go on after its own end: one JSON object per line, appended before the next step
//! depends on it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::place::house::Tenant;

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// It was sent; it may or may not have arrived.
    Sent,
    /// 202 for this run.
    Accepted(String),
    /// Another status.
    Refused(u16),
}

/// One line of a submission's story.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Submission {
    /// Its own name: the idempotency key, and in the run's metadata.
    pub(crate) name: String,
    /// Which tenant.
    pub(crate) tenant: usize,
    /// Which of the tenant's API keys that have budgets of their own it bears; where absent, the one that may do everything.
    #[serde(default)]
    pub(crate) api_key: Option<usize>,
    /// Whether the name was sent as idempotency key.
    pub(crate) is_idempotent: bool,
    /// Whether the run has a webhook URL of its own.
    pub(crate) has_url: bool,
    pub(crate) stage: Stage,
}

/// A tenant of the test with what it has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) tenant: Tenant,
    /// Its provider keys by provider; no other tenant's.
    pub(crate) provider_keys: Vec<(String, String)>,
    /// Whether budgets of the tenant bound all its runs.
    pub(crate) has_budget: bool,
    /// API keys that have budgets of their own.
    pub(crate) bounded_keys: Vec<BoundedKey>,
}

/// An API key that has budgets of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BoundedKey {
    /// `key_…`
    pub(crate) id: String,
    /// `acm2_…`
    pub(crate) key: String,
}

impl Customer {
    /// The API key of a submission.
    pub(crate) fn key(&self, api_key: Option<usize>) -> &str {
        api_key.map_or(&self.tenant.key, |number| &self.bounded_keys[number].key)
    }
}

/// One line of the story of a skip.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Skip {
    /// Which tenant.
    pub(crate) tenant: usize,
    /// `run_…`
    pub(crate) run: String,
    pub(crate) task_key: String,
    /// The status that was answered, and when the answer was there. Absent before, and where none came.
    pub(crate) answer: Option<(u16, DateTime<Utc>)>,
}

/// A file of lines.
#[derive(Debug)]
pub(crate) struct Lines(Mutex<File>);

impl Lines {
    /// Opens a file for more lines.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(Mutex::new(File::options().create(true).append(true).open(path)?)))
    }

    /// Adds a line in one write.
    pub(crate) fn add<T: Serialize>(&self, value: &T) -> Outcome<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)?)
    }
}

/// All lines of a file; none where it is not there. A last line that was cut off counts as not written.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Outcome<Vec<T>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
