//! A run as callers see it: results, what is missing, and exactly what it cost.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Priority;
use super::document::DocumentRef;
use super::material::PresetRef;
use super::status::{Requested, RunStatus, TaskStatus};
use super::totals::{Progress, Totals};
use crate::artifact::ArtifactType;
use crate::call::{CostSource, ErrorClass, FinishReason, Usage};
use crate::content_hash::ContentHash;
use crate::ids::{ArtifactId, RunId};
use crate::money::Usd;
use crate::standing::QueuePlace;

/// Why a task has no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename = "TaskError"))]
pub struct TaskError {
    /// The class of the failure.
    pub class: ErrorClass,
    /// What the provider said, or what to do about it.
    pub message: String,
    /// The provider's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub http_status: Option<u16>,
    /// The provider's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub provider_code: Option<String>,
}

/// A file that a task made, to be downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct ArtifactRef {
    /// Its id.
    pub id: ArtifactId,
    /// What it is, by its bytes.
    pub content_type: ArtifactType,
    /// How many bytes it has.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: ContentHash,
    /// The path to download it from.
    pub path: String,
}

/// One call of a run and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Task {
    /// Unique in the run and the same at every resume, such as `generate/prompt/m0/1`.
    pub key: String,
    /// The stage that it belongs to, such as `generate`.
    pub stage: String,
    /// The document that it is about; null for a run without documents.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub document: Option<DocumentRef>,
    /// `provider/model`; `acm2` where no model is asked.
    pub model: String,
    /// Counted from 1.
    pub iteration: u32,
    /// Where it stands.
    pub status: TaskStatus,
    /// The answer. With images, what the provider said to them, such as the prompt as it has rewritten it; often nothing.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub text: Option<String>,
    /// The files that it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub artifacts: Vec<ArtifactRef>,
    /// Why the model stopped.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub finish_reason: Option<FinishReason>,
    /// Tokens, where the provider told them.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub usage: Option<Usage>,
    /// What the task cost: its answer, and others that came for it, which could not be used or which a retry took away; null where unknown, or where nothing was paid.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub cost_usd: Option<Usd>,
    /// How the cost is known.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub cost_source: Option<CostSource>,
    /// From sending the answered attempt to its last byte.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub latency_ms: Option<u64>,
    /// The model that the provider says answered.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub provider_model: Option<String>,
    /// The provider's id of the request, for its support.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub provider_request_id: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// Why there is no answer.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub error: Option<TaskError>,
    /// When it was settled.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub finished_at: Option<DateTime<Utc>>,
}

/// A task that the run ended without.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Missing {
    /// The task's key.
    pub key: String,
    /// `provider/model`.
    pub model: String,
    /// The class of the failure, where one is known.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub class: Option<ErrorClass>,
    /// Why.
    pub reason: String,
}

/// The answer to use for a document, or for the prompt alone, of a run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct FinalAnswer {
    /// The key of the task whose text it is.
    pub task_key: String,
    /// `provider/model` of the model that wrote it; `acm2` where no model was asked.
    pub model: String,
    /// The stage that it comes from: `generate` for one of the models' answers, `combine` for a text that was made of them, such
    /// as the chair's.
    pub stage: String,
}

/// Why a run ended before its tasks did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct RunProblem {
    /// Stable: `poisoned`, `deadline_exceeded`, `all_tasks_failed`.
    pub code: String,
    /// For a person.
    pub detail: String,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// A command that its worker has not acted on yet.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub requested: Option<Requested>,
    /// How urgent it is among your own queued runs.
    #[serde(default)]
    pub priority: Priority,
    /// Where it stands in the queue, while it waits for a worker: only where one run is looked at, and null where the queue does
    /// not tell. Not part of the `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub queue: Option<QueuePlace>,
    /// `provider/model` of each model, in the order asked for.
    pub models: Vec<String>,
    /// How far it is.
    pub progress: Progress,
    /// One entry per task, in the run's own order; null in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub results: Option<Vec<Task>>,
    /// The answer to use for each document, or for the prompt alone, once the run has ended: in a council, the chair's. One that
    /// judges decide is not here but in `/judging`, so that no judgement is read for this. Null in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub final_answers: Option<Vec<FinalAnswer>>,
    /// What the run ended without; null in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub missing: Option<Vec<Missing>>,
    /// Sums by model and provider; null in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub totals: Option<Totals>,
    /// What the run has cost; null where the cost of any answered call is unknown.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub cost_usd: Option<Usd>,
    /// The same for display, such as `$0.0123`.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub cost: Option<String>,
    /// The part of the cost that is known.
    pub known_cost_usd: Usd,
    /// What attempts may have cost besides that cannot be known to have reached the provider; not in `cost_usd`. Null where
    /// nobody knows how much that can be.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub in_doubt_usd: Option<Usd>,
    /// The ceiling that was asked for.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub max_cost_usd: Option<Usd>,
    /// The preset that it was started from.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub preset: Option<PresetRef>,
    /// The run whose answers it has taken over; they are shown with the tokens that they took there and a cost of 0.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub answers_of: Option<RunId>,
    /// SHA-256 of what the run does, in JSON with sorted names: two runs with the same one ask the same models the same. Null
    /// for runs of versions that did not note it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub spec_hash: Option<ContentHash>,
    /// The caller's notes.
    pub metadata: BTreeMap<String, String>,
    /// The caller's tags.
    pub tags: Vec<String>,
    /// Why it ended before its tasks did.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub problem: Option<RunProblem>,
    /// The number of its last event.
    pub last_event: u64,
    /// When it was submitted.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub finished_at: Option<DateTime<Utc>>,
    /// When it ends at the latest.
    pub deadline_at: DateTime<Utc>,
}

/// A page of runs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct RunList {
    /// The runs of this page.
    pub items: Vec<Run>,
    /// Hand this in as `cursor` for the next page; null on the last.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub next_cursor: Option<String>,
}

/// A page of the tasks of a run, in its own order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct TaskList {
    /// The tasks of this page.
    pub items: Vec<Task>,
    /// Hand this in as `cursor` for the next page; null on the last.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub next_cursor: Option<String>,
}

/// What a run would take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Estimate {
    /// LLM calls, if none has to be tried again; at most so many where judges are kept from their own family
    /// (`exclude_own_family`) and only the best answers are compared.
    pub calls: u32,
    /// A low guess of the cost: a short answer each, and no more than `high_usd`; null where a price is unknown.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub low_usd: Option<Usd>,
    /// What the answers can cost at most, if none has to be tried again: no more than `max_cost_usd`; null where a price is unknown,
    /// and where a limit of the output is unknown and there is no `max_cost_usd`.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub high_usd: Option<Usd>,
    /// Models whose price is not known.
    pub unpriced_models: Vec<String>,
    /// The day that the prices held.
    pub prices_date: String,
}
