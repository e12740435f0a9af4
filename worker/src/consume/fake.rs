//! A broker in a few lines for the tests of `consume`: it counts what it is told, and fails or lies when a test wants it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use acm2_broker::dispatch::{BrokerError, Claimant, Depth, Dispatch, Lease, Load, Renewal, Used};
use acm2_domain::ids::{DeliveryId, JobId, TenantId};
use acm2_domain::job::{Job, Queue, Work};
use acm2_domain::standing::Standing;
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    ready: Vec<(Instant, Job)>,
    leased: HashMap<JobId, Lease>,
    token: u64,
    /// Every call fails without an effect.
    pub(super) away: bool,
    /// So many acks fail without an effect.
    pub(super) refused_acks: usize,
    /// What renewals answer.
    pub(super) renewal: Option<Renewal>,
    pub(super) failures: usize,
    pub(super) acked: Vec<JobId>,
    pub(super) given_back: Vec<(JobId, Duration)>,
    /// What each job took that was acked or given back.
    pub(super) used: Vec<Used>,
    pub(super) restored: Vec<JobId>,
    /// How many leases each call of `renew` named.
    pub(super) renewed: Vec<usize>,
    /// How many jobs each claim asked for at most.
    pub(super) asked: Vec<usize>,
}

impl Ledger {
    fn answer<T>(&mut self, answer: impl FnOnce(&mut Self) -> T) -> Result<T, BrokerError> {
        if self.away {
            self.failures += 1;
            return Err(BrokerError("away".to_owned()));
        }
        Ok(answer(self))
    }

    fn release(&mut self, lease: &Lease) -> bool {
        let mine = self.leased.get(&lease.job.id).is_some_and(|held| held.token == lease.token);
        mine && self.leased.remove(&lease.job.id).is_some()
    }
}

#[derive(Debug)]
pub(super) struct Fake {
    ledger: Mutex<Ledger>,
    /// While true, a claim that took jobs keeps them back.
    pub(super) held_back: watch::Sender<bool>,
}

impl Fake {
    pub(super) fn with_jobs(count: usize) -> Self {
        let tenant = TenantId::generate();
        let job = || Job {
            id: JobId::generate(),
            tenant,
            work: Work::DeliverV1(DeliveryId::generate()),
            priority: 0,
            weight: None,
        };
        let ready = std::iter::repeat_with(|| (Instant::now(), job())).take(count).collect();
        Self { ledger: Mutex::new(Ledger { ready, ..Ledger::default() }), held_back: watch::Sender::new(false) }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Jobs with a worker, as the broker sees it.
    pub(super) fn leased(&self) -> usize {
        self.ledger().leased.len()
    }
}

#[async_trait]
impl Dispatch for Fake {
    async fn push(&self, jobs: &[Job], delay: Duration) -> Result<(), BrokerError> {
        let due = Instant::now() + delay;
        self.ledger().answer(|ledger| ledger.ready.extend(jobs.iter().map(|job| (due, *job))))
    }

    async fn claim(&self, _: Queue, _: Claimant, most: usize, wait: Duration) -> Result<Vec<Lease>, BrokerError> {
        let end = Instant::now() + wait;
        loop {
            let leases = self.ledger().answer(|ledger| {
                ledger.asked.push(most);
                let now = Instant::now();
                let (due, later): (Vec<_>, Vec<_>) = ledger.ready.drain(..).partition(|(due, _)| *due <= now);
                let mut due = due.into_iter();
                let leases: Vec<_> = due.by_ref().take(most).map(|(_, job)| job).collect();
                ledger.ready = due.chain(later).collect();
                leases
                    .into_iter()
                    .map(|job| {
                        ledger.token += 1;
                        let lease = Lease { job, token: ledger.token };
                        ledger.leased.insert(job.id, lease.clone());
                        lease
                    })
                    .collect::<Vec<_>>()
            })?;
            if !leases.is_empty() {
                self.held_back.subscribe().wait_for(|held| !held).await.unwrap();
                return Ok(leases);
            }
            if Instant::now() >= end {
                sleep_until(end).await;
                return Ok(leases);
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewal>, BrokerError> {
        self.ledger().answer(|ledger| {
            ledger.renewed.push(leases.len());
            vec![ledger.renewal.unwrap_or(Renewal::Kept); leases.len()]
        })
    }

    async fn restore(&self, lease: &Lease) -> Result<(), BrokerError> {
        self.ledger().answer(|ledger| {
            ledger.restored.push(lease.job.id);
            ledger.leased.insert(lease.job.id, lease.clone());
        })
    }

    async fn ack(&self, lease: &Lease, used: Used) -> Result<(), BrokerError> {
        let mut ledger = self.ledger();
        if ledger.refused_acks > 0 {
            ledger.refused_acks -= 1;
            ledger.failures += 1;
            return Err(BrokerError("refused".to_owned()));
        }
        ledger.answer(|ledger| {
            if ledger.release(lease) {
                ledger.acked.push(lease.job.id);
                ledger.used.push(used);
            }
        })
    }

    async fn give_back(&self, lease: &Lease, delay: Duration, used: Used) -> Result<(), BrokerError> {
        self.ledger().answer(|ledger| {
            if ledger.release(lease) {
                ledger.given_back.push((lease.job.id, delay));
                ledger.used.push(used);
                ledger.ready.push((Instant::now() + delay, lease.job));
            }
        })
    }

    async fn remove(&self, _: Queue, _: TenantId, job: JobId) -> Result<(), BrokerError> {
        self.ledger().answer(|ledger| ledger.ready.retain(|(_, ready)| ready.id != job))
    }

    async fn load(&self, queue: Queue, _: TenantId) -> Result<Load, BrokerError> {
        let Depth { ready, leased, .. } = self.depth(queue).await?;
        Ok(Load { waiting: ready, leased })
    }

    async fn standing(&self, _: Queue, _: TenantId, _: JobId) -> Result<Option<Standing>, BrokerError> {
        self.ledger().answer(|_| None)
    }

    async fn depth(&self, _: Queue) -> Result<Depth, BrokerError> {
        self.ledger().answer(|ledger| Depth {
            ready: ledger.ready.len() as u64,
            delayed: 0,
            leased: ledger.leased.len() as u64,
        })
    }

    async fn has_mark(&self) -> Result<bool, BrokerError> {
        Ok(true)
    }

    async fn set_mark(&self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), BrokerError> {
        self.ledger().answer(|_| ())
    }
}
