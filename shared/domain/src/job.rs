//! A unit of unfinished work: ids only, never prompts or keys. Written by `store`, carried by `broker`, done by `worker`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{DeliveryId, JobId, RunId, TenantId};

/// What is to be done. The words stand in databases and brokers of running systems: a new version is a new variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "subject", rename_all = "snake_case")]
pub enum Work {
    /// Work on a run until it ends.
    RunV1(RunId),
    /// Make the next attempt of a webhook delivery.
    DeliverV1(DeliveryId),
}

/// Which queue a job waits in: runs and deliveries have their own permits, so that neither starves the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Runs.
    Runs,
    /// Deliveries.
    Deliveries,
}

impl Queue {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Runs, Self::Deliveries];

    /// As it stands in the broker.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Deliveries => "deliveries",
        }
    }
}

impl Work {
    /// Where it waits.
    pub const fn queue(self) -> Queue {
        match self {
            Self::RunV1(_) => Queue::Runs,
            Self::DeliverV1(_) => Queue::Deliveries,
        }
    }

    /// The word that stands in databases.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::RunV1(_) => "run_v1",
            Self::DeliverV1(_) => "deliver_v1",
        }
    }

    /// The id of what the job is about.
    pub fn subject(self) -> Uuid {
        match self {
            Self::RunV1(run) => run.uuid(),
            Self::DeliverV1(delivery) => delivery.uuid(),
        }
    }

    /// From a database; `None` for a kind that this version does not know.
    pub fn from_parts(kind: &str, subject: Uuid) -> Option<Self> {
        match kind {
            "run_v1" => Some(Self::RunV1(subject.into())),
            "deliver_v1" => Some(Self::DeliverV1(subject.into())),
            _ => None,
        }
    }
}

/// A unit of unfinished work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// New at each submit, retry and resume; acks and deletes name it.
    pub id: JobId,
    /// Whose work it is.
    pub tenant: TenantId,
    /// What is to be done.
    #[serde(flatten)]
    pub work: Work,
    /// Within its tenant, lower goes first; 0 is usual. It never passes a job of another tenant.
    pub priority: i16,
    /// The weight of its tenant, 1 to 100, told to the queue with a push; not kept with the job. `None`: what the queue knows
    /// stays.
    #[serde(skip)]
    pub weight: Option<u8>,
}

impl Job {
    /// The job of a delivery: it has the delivery's id, so that making it twice makes one.
    pub fn of_delivery(tenant: TenantId, delivery: DeliveryId) -> Self {
        let (id, work) = (JobId::from(delivery.uuid()), Work::DeliverV1(delivery));
        Self { id, tenant, work, priority: 0, weight: None }
    }
}
