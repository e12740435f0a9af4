//! The words for where a run and a task stand. Which may follow which is said in `machine`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word that stands in databases and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(concat!("must be one of", $(" ", $word),+).to_owned()),
                }
            }
        }
    };
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum RunStatus {
    /// Waiting for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Stopped by a command; it goes on when resumed.
    Paused,
    /// Every task has an answer; nothing is missing.
    Completed,
    /// Some tasks have an answer, one of the texts that were asked for among them; `missing` lists the others.
    CompletedWithErrors,
    /// None of the texts that were asked for is there; a title alone is none, nor is a plan of a research.
    Failed,
    /// Ended by a command.
    Cancelled,
}

words!(RunStatus {
    Queued = "queued",
    Running = "running",
    Paused = "paused",
    Completed = "completed",
    CompletedWithErrors = "completed_with_errors",
    Failed = "failed",
    Cancelled = "cancelled",
});

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Completed,
        Self::CompletedWithErrors,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing will happen any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithErrors | Self::Failed | Self::Cancelled)
    }

    /// How a run ends of whose tasks so many are done: nothing missing, something missing, everything that people asked for missing.
    /// `has_answer`: whether one of those that are done is an answer (`PlannedTask::is_answer`).
    pub const fn of_counts(expected: u32, done: u32, has_answer: bool) -> Self {
        if done >= expected {
            Self::Completed
        } else if has_answer {
            Self::CompletedWithErrors
        } else {
            Self::Failed
        }
    }
}

/// A command that stands on a running run until its worker acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum Requested {
    /// Let the calls in flight finish, start no others.
    Pause,
    /// Stop at once.
    Cancel,
}

words!(Requested { Pause = "pause", Cancel = "cancel" });

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum TaskStatus {
    /// Not finished yet.
    Pending,
    /// It has an answer.
    Completed,
    /// It has none and will not get one.
    Failed,
    /// The run was cancelled before it had one.
    Cancelled,
    /// A command left it out before it had one.
    Skipped,
}

words!(TaskStatus {
    Pending = "pending",
    Completed = "completed",
    Failed = "failed",
    Cancelled = "cancelled",
    Skipped = "skipped",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completed_means_that_nothing_is_missing() {
        assert_eq!(RunStatus::of_counts(3, 3, true), RunStatus::Completed);
        assert_eq!(RunStatus::of_counts(3, 2, true), RunStatus::CompletedWithErrors);
        assert_eq!(RunStatus::of_counts(3, 0, false), RunStatus::Failed);
    }

    #[test]
    fn a_run_without_an_answer_has_failed_whatever_else_is_there() {
        assert_eq!(RunStatus::of_counts(3, 2, false), RunStatus::Failed);
    }

    #[test]
    fn every_word_reads_back() {
        for status in RunStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
