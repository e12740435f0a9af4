//! The fair queue: which job a worker gets next. Only hints live here; the stores are the truth, so that all of it may be
//! lost and rebuilt. `redis/` and `memory/` implement it with the same semantics and pass the same tests.

use std::time::Duration;

use acm2_domain::ids::{JobId, TenantId, WorkerId};
use acm2_domain::job::{Job, Queue};
use acm2_domain::standing::Standing;
use async_trait::async_trait;

/// The broker is away, or answered something that cannot be understood. Callers try again later; nothing is lost by it.
#[derive(Debug, thiserror::Error)]
#[error("the broker does not answer: {0}")]
pub struct BrokerError(pub String);

/// A job that a worker holds for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is to be done.
    pub job: Job,
    /// Differs at each claim, so that a late ack of an earlier claim does nothing.
    pub token: u64,
}

/// What became of a lease that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It goes on.
    Kept,
    /// Another worker has it, or it is ready again. A hint: the store's claim decides.
    Taken,
    /// The broker has never heard of it: it was emptied.
    Unknown,
}

/// Who claims, and how much it can do: the sum over all workers bounds what one tenant may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimant {
    /// The process.
    pub worker: WorkerId,
    /// How many jobs of the queue it can hold at once.
    pub permits: usize,
}

/// What a job took while a worker held it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// The time of its calls, summed over those that went side by side: what its tenant is charged, unless it was held longer.
    pub calls: Duration,
    /// How long it was held, from which the queue learns how fast it moves.
    pub held: Duration,
}

/// How many jobs stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Waiting for a worker.
    pub ready: u64,
    /// Waiting for their time.
    pub delayed: u64,
    /// With a worker.
    pub leased: u64,
}

/// What a new job of a tenant comes upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Jobs of the tenant that wait, ready or delayed.
    pub waiting: u64,
    /// Jobs of all tenants that are with a worker.
    pub leased: u64,
}

/// A fair queue over tenants.
#[async_trait]
pub trait Dispatch: Send + Sync + std::fmt::Debug {
    /// Makes jobs ready after `delay`. A job that is known already stays as it is, unless it stands in no set: then it is
    /// repaired. Wakes a waiting worker. A weight that a job carries is its tenant's from then on, while the tenant has jobs.
    async fn push(&self, jobs: &[Job], delay: Duration) -> Result<(), BrokerError>;

    /// Takes at most `most` jobs, the tenant with the least virtual time first, no tenant over its share of all permits;
    /// expired leases and due delayed jobs become ready first. A job is charged to its tenant by an estimate, which `ack` and
    /// `give_back` correct; that of a lease which ends by itself stands. Waits up to `wait` for one if there is none. May answer fewer
    /// than there are. Jobs claimed by a call that is dropped come back when their lease ends: drop it only at the end.
    async fn claim(
        &self,
        queue: Queue,
        claimant: Claimant,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Lease>, BrokerError>;

    /// Prolongs leases; one answer each, in order.
    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewal>, BrokerError>;

    /// Makes a lease hold again whatever the broker thinks of the job, because the store says that the worker still has it.
    async fn restore(&self, lease: &Lease) -> Result<(), BrokerError>;

    /// The job is done: forgets it. A token of an earlier claim does nothing.
    async fn ack(&self, lease: &Lease, used: Used) -> Result<(), BrokerError>;

    /// Gives the job back, ready after `delay`. A token of an earlier claim does nothing.
    async fn give_back(&self, lease: &Lease, delay: Duration, used: Used) -> Result<(), BrokerError>;

    /// Forgets a job that waits; one that a worker holds stays.
    async fn remove(&self, queue: Queue, tenant: TenantId, job: JobId) -> Result<(), BrokerError>;

    /// How much there is to do for a tenant, and is being done for all.
    async fn load(&self, queue: Queue, tenant: TenantId) -> Result<Load, BrokerError>;

    /// Where a job that is ready stands; `None` for one that is delayed, held or unknown.
    async fn standing(&self, queue: Queue, tenant: TenantId, job: JobId) -> Result<Option<Standing>, BrokerError>;

    /// How many jobs stand where.
    async fn depth(&self, queue: Queue) -> Result<Depth, BrokerError>;

    /// Whether the mark of [`Self::set_mark`] is there. Without it the broker was emptied, or is new: all unfinished work is to be
    /// pushed, then the mark set.
    async fn has_mark(&self) -> Result<bool, BrokerError>;

    /// Leaves a mark that goes when everything goes.
    async fn set_mark(&self) -> Result<(), BrokerError>;

    /// Whether the broker answers at all.
    async fn ping(&self) -> Result<(), BrokerError>;
}
