//! A run as it is stored.

use std::collections::BTreeMap;

use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::{ApiKeyId, JobId, RunId, WorkerId};
use acm2_domain::money::Usd;
use acm2_domain::run::machine::Standing;
use acm2_domain::run::{Requested, RunProblem, RunSpec, RunStatus};
use chrono::{DateTime, Utc};
use sea_orm::EntityTrait;

use super::run_entity::{Entity, Model};
use crate::column::{from_hash, from_json, from_word, unsigned};
use crate::{StoreError, TenantTx};

/// A run as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// The job that works on it.
    pub job: JobId,
    /// The API key that submitted it.
    pub api_key: Option<ApiKeyId>,
    /// Where it stands.
    pub status: RunStatus,
    /// A command that stands.
    pub requested: Option<Requested>,
    /// The fence: rises at every claim.
    pub claim: i64,
    /// Who claimed it last.
    pub claimed_by: Option<WorkerId>,
    /// Claims by theft since the last committed answer.
    pub poison: u32,
    /// What it does.
    pub spec: RunSpec,
    /// The caller's notes.
    pub metadata: BTreeMap<String, String>,
    /// The caller's tags.
    pub tags: Vec<String>,
    /// Tasks that it consists of.
    pub tasks_expected: u32,
    /// Tasks with an answer.
    pub tasks_completed: u32,
    /// Tasks that failed.
    pub tasks_failed: u32,
    /// The known cost of settled attempts.
    pub spent: Usd,
    /// What calls under way may cost.
    pub reserved: Usd,
    /// What attempts in doubt may have cost.
    pub in_doubt: Usd,
    /// Answered calls whose cost is unknown.
    pub unknown_costs: u32,
    /// Attempts in doubt of which nobody knows what they may have cost.
    pub unknown_doubts: u32,
    /// What it may cost at most: its own ceiling or what it has reserved in budgets.
    pub max_cost: Option<Usd>,
    /// The number of its last event.
    pub last_event: u64,
    /// Why it ended before its tasks did.
    pub problem: Option<RunProblem>,
    /// When it was submitted.
    pub created_at: DateTime<Utc>,
    /// When it was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it ends at the latest.
    pub deadline_at: DateTime<Utc>,
    /// The claim at which it was last sent back by a retry: attempts of this claim and earlier ones count towards no limit.
    pub retry_claim: i64,
    /// Tasks that commands have left out.
    pub skips: u32,
    /// The hash of what it does; `None` for runs of versions that did not note it.
    pub spec_hash: Option<ContentHash>,
}

impl RunRow {
    /// As the state machine sees it.
    pub fn standing(&self) -> Standing {
        let wanting = self.tasks_expected.saturating_sub(self.tasks_completed).saturating_sub(self.skips);
        Standing { status: self.status, requested: self.requested, can_retry: wanting > 0 }
    }
}

impl RunRow {
    /// What it has cost as ceilings and budgets count it: an attempt in doubt at its worst case.
    pub fn consumed(&self) -> Usd {
        self.spent + self.in_doubt
    }
}

impl TryFrom<Model> for RunRow {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let count = |count: i32| u32::try_from(count).unwrap_or(0);
        Ok(Self {
            id: row.id.into(),
            job: row.job_id.into(),
            api_key: row.api_key_id.map(ApiKeyId::from),
            status: from_word("runs.status", &row.status)?,
            requested: row.requested.as_deref().map(|text| from_word("runs.requested", text)).transpose()?,
            claim: row.claim,
            claimed_by: row.claimed_by.map(WorkerId::from),
            poison: count(row.poison),
            spec: from_json("runs.spec", &row.spec)?,
            metadata: from_json("runs.metadata", &row.metadata)?,
            tags: from_json("runs.tags", &row.tags)?,
            tasks_expected: count(row.tasks_expected),
            tasks_completed: count(row.tasks_completed),
            tasks_failed: count(row.tasks_failed),
            spent: Usd::from_pico(row.spent),
            reserved: Usd::from_pico(row.reserved),
            in_doubt: Usd::from_pico(row.in_doubt),
            unknown_costs: count(row.unknown_costs),
            unknown_doubts: count(row.unknown_doubts),
            max_cost: row.max_cost.map(Usd::from_pico),
            last_event: unsigned(row.last_event),
            problem: row.problem_code.map(|code| RunProblem { code, detail: row.problem_detail.unwrap_or_default() }),
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            deadline_at: row.deadline_at,
            retry_claim: row.retry_claim,
            skips: count(row.skips),
            spec_hash: row.spec_hash.map(|hash| from_hash("runs.spec_hash", &hash)).transpose()?,
        })
    }
}

/// The run that a worker is to claim, and whether this version knows all that its specification says.
pub(super) fn read_whole(row: Model) -> Result<(RunRow, bool), StoreError> {
    let stored = row.spec.clone();
    let run = RunRow::try_from(row)?;
    let is_known = run.spec.says_all_of(&stored);
    Ok((run, is_known))
}

/// The same of this run, if there is one.
pub(super) async fn find_whole(tx: &TenantTx, run: RunId) -> Result<Option<(RunRow, bool)>, StoreError> {
    Entity::find_by_id(run.uuid()).one(tx).await?.map(read_whole).transpose()
}

/// The run, if there is one.
pub async fn find(tx: &TenantTx, run: RunId) -> Result<Option<RunRow>, StoreError> {
    Entity::find_by_id(run.uuid()).one(tx).await?.map(RunRow::try_from).transpose()
}
