//! What there is to compare: rows of the stores, the provider's log, the receiver's log, and what was submitted and skipped.
//! `stores` reads it; tests plant in it what must be found.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::models::{INPUT_TOKEN, OUTPUT_TOKEN};
use super::records::{Skip, Submission};
use crate::ids::uuid_of;
use crate::place::receiver::Received;

/// Picodollars in a millionth of a dollar.
pub(super) const PICO: i64 = 1_000_000;

/// A row of `runs`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    /// The job that the run names.
    pub(crate) job_id: Uuid,
    pub(crate) status: String,
    pub(crate) metadata: String,
    pub(crate) tasks_expected: usize,
    pub(crate) tasks_completed: usize,
    pub(crate) tasks_failed: usize,
    pub(crate) spent: i64,
    pub(crate) reserved: i64,
    pub(crate) in_doubt: i64,
    pub(crate) max_cost: Option<i64>,
    pub(crate) last_event: usize,
    pub(crate) problem_code: Option<String>,
    /// The API key that it was submitted with.
    pub(crate) api_key_id: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    /// What it was asked to do, as JSON.
    pub(crate) spec: String,
    /// The claim of its latest retry; 0 where there was none.
    pub(crate) retry_claim: i64,
}

impl Run {
    pub(crate) fn has_ended(&self) -> bool {
        !["queued", "running", "paused"].contains(&self.status.as_str())
    }

    /// The submission's name.
    pub(crate) fn name(&self) -> String {
        let metadata: serde_json::Value = serde_json::from_str(&self.metadata).unwrap_or_default();
        metadata["bench"].as_str().unwrap_or_default().to_owned()
    }

    /// A wish of the submission, such as `on_in_doubt`; empty where it is not there.
    pub(crate) fn wish(&self, name: &str) -> String {
        let spec: serde_json::Value = serde_json::from_str(&self.spec).unwrap_or_default();
        spec[name].as_str().unwrap_or_default().to_owned()
    }

    /// What it is counted with in budgets.
    pub(crate) fn consumed(&self) -> i64 {
        self.spent + self.in_doubt
    }
}

/// A row of `tasks`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Task {
    pub(crate) run_id: Uuid,
    pub(crate) key: String,
    pub(crate) status: String,
    pub(crate) attempts: usize,
    pub(crate) error_class: Option<String>,
}

/// A row of `attempts`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) task_key: String,
    pub(crate) number: usize,
    pub(crate) status: String,
    pub(crate) provider: String,
    pub(crate) reserved: Option<i64>,
    pub(crate) cost: Option<i64>,
    /// The claim of the run under which it was made.
    pub(crate) claim: i64,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

/// A row of `events`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Event {
    pub(crate) run_id: Uuid,
    pub(crate) number: usize,
    pub(crate) event_type: String,
    /// What it says, as JSON.
    pub(crate) data: String,
}

impl Event {
    /// A text of what it says, such as `task_key`; empty where it is not there.
    pub(crate) fn says(&self, name: &str) -> String {
        let data: serde_json::Value = serde_json::from_str(&self.data).unwrap_or_default();
        data[name].as_str().unwrap_or_default().to_owned()
    }
}

/// A row of `deliveries`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: Uuid,
    pub(crate) endpoint_id: Option<Uuid>,
    pub(crate) run_id: Option<Uuid>,
    pub(crate) event_type: String,
    pub(crate) payload: String,
    pub(crate) status: String,
}

/// A row of `delivery_attempts`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DeliveryAttempt {
    pub(crate) delivery_id: Uuid,
}

/// A row of `webhook_endpoints`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: Uuid,
}

/// A row of `budgets`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Budget {
    pub(crate) id: Uuid,
    /// The API key that it bounds, or the tenant.
    pub(crate) subject_id: Uuid,
    pub(crate) limit: i64,
}

/// A row of `budget_periods`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BudgetPeriod {
    pub(crate) budget_id: Uuid,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) reserved: i64,
    pub(crate) spent: i64,
}

/// A row of `budget_reservations`: the latest of a run in a budget.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Reservation {
    pub(crate) run_id: Uuid,
    pub(crate) budget_id: Uuid,
    pub(crate) starts_at: DateTime<Utc>,
    /// What the run had consumed before.
    pub(crate) baseline: i64,
    /// What it is counted with since; absent until the run has ended.
    pub(crate) settled: Option<i64>,
}

/// A row of `jobs`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) subject_id: Uuid,
}

/// All of a tenant.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Books {
    pub(crate) runs: Vec<Run>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) events: Vec<Event>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) delivery_attempts: Vec<DeliveryAttempt>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) periods: Vec<BudgetPeriod>,
    pub(crate) reservations: Vec<Reservation>,
    /// The tenant itself.
    pub(crate) tenant: Uuid,
    /// Its API keys that have budgets of their own, in the order of their numbers.
    pub(crate) bounded_keys: Vec<Uuid>,
    /// The fingerprints of its provider keys, by provider.
    pub(crate) keys: Vec<(String, String)>,
}

/// A line of the provider's log.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    pub(crate) time: DateTime<Utc>,
    /// `received`, `answered` or `client_gone`.
    pub(crate) event: String,
    pub(crate) wire: String,
    pub(crate) attempt_id: Option<String>,
    pub(crate) key_fingerprint: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) cost_micro_usd: Option<i64>,
    pub(crate) usage: Option<Tokens>,
}

/// Tokens that an answer reported.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) input: i64,
    pub(crate) output: i64,
}

impl Call {
    /// The attempt of the call.
    pub(crate) fn attempt(&self) -> Option<Uuid> {
        uuid_of(self.attempt_id.as_ref()?)
    }

    /// What the provider takes for it, in picodollars, whether it said so or not; nothing where it did not answer.
    pub(crate) fn cost(&self) -> i64 {
        let Some(tokens) = self.usage.filter(|_| self.event == "answered" && self.status == Some(200)) else {
            return 0;
        };
        PICO * (tokens.input * INPUT_TOKEN + tokens.output * OUTPUT_TOKEN)
    }
}

/// All that there is.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Evidence {
    /// By tenant, in the order of the submissions' numbers.
    pub(crate) books: Vec<Books>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) submissions: Vec<Submission>,
    pub(crate) skips: Vec<Skip>,
    pub(crate) calls: Vec<Call>,
    pub(crate) received: Vec<Received>,
}
