//! The timeline of a run: append-only, numbered from 1 without gaps.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

macro_rules! event_types {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(poem_openapi::Enum))]
        pub enum EventType {
            $($(#[doc = $doc])+ #[serde(rename = $word)] #[cfg_attr(feature = "openapi", oai(rename = $word))] $variant,)+
        }

        impl EventType {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that stands in databases and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for EventType {
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

event_types! {
    /// The run was accepted.
    RunQueued = "run.queued",
    /// A worker began.
    RunStarted = "run.started",
    /// A worker took the run over from another that had died or given it back.
    RunResumed = "run.resumed",
    /// A command asks the worker to cancel.
    RunCancelRequested = "run.cancel_requested",
    /// A command asks the worker to pause.
    RunPauseRequested = "run.pause_requested",
    /// The run waits until a command resumes it.
    RunPaused = "run.paused",
    /// A command ended the pause.
    RunResumeRequested = "run.resume_requested",
    /// A command sent the ended run back for what it ended without.
    RunRetryRequested = "run.retry_requested",
    /// A stage begins: the first of its tasks, over all documents, is asked for, or settled without being asked. `generate` begins
    /// with the run. Once for each stage; a stage whose answers are taken over from another run has none.
    StageStarted = "stage.started",
    /// Every task of a stage, over all documents, is settled, with an answer or without. It comes again where a retry settles some
    /// of them anew: the last one counts. A stage in which the run was cut off has none.
    StageCompleted = "stage.completed",
    /// An attempt failed; another follows.
    AttemptFailed = "attempt.failed",
    /// It cannot be known whether an attempt reached the provider.
    AttemptInDoubt = "attempt.in_doubt",
    /// A task has its answer.
    TaskCompleted = "task.completed",
    /// A task will not get an answer.
    TaskFailed = "task.failed",
    /// A command left a task out.
    TaskSkipped = "task.skipped",
    /// The run ended and nothing is missing.
    RunCompleted = "run.completed",
    /// The run ended and something is missing.
    RunCompletedWithErrors = "run.completed_with_errors",
    /// The run ended without an answer.
    RunFailed = "run.failed",
    /// The run was ended by a command.
    RunCancelled = "run.cancelled",
}

impl EventType {
    /// Whether webhook endpoints may subscribe to it.
    pub const fn is_webhook(self) -> bool {
        matches!(
            self,
            Self::RunStarted | Self::RunCompleted | Self::RunCompletedWithErrors | Self::RunFailed | Self::RunCancelled
        )
    }
}

/// An event that has no number yet; the fence gives it one.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// What happened.
    pub event_type: EventType,
    /// Particulars; an object.
    pub data: Value,
}

impl NewEvent {
    /// An event and its particulars.
    pub fn new(event_type: EventType, data: Value) -> Self {
        Self { event_type, data }
    }

    /// An event of a stage.
    pub fn of_stage(event_type: EventType, stage: &str) -> Self {
        Self::new(event_type, json!({"stage": stage}))
    }
}

/// One line of a run's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Event {
    /// Its number in the run, from 1 without gaps.
    pub number: u64,
    /// What happened.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", oai(rename = "type"))]
    pub event_type: EventType,
    /// When.
    pub at: DateTime<Utc>,
    /// Particulars, by type.
    pub data: Value,
}
