//! The fair queue of one process: two queues behind a lock, and whoever finds nothing parked until something changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acm2_domain::ids::{JobId, TenantId};
use acm2_domain::job::{Job, Queue};
use acm2_domain::standing::Standing;
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::queue::{FairQueue, Rules};
use crate::dispatch::{BrokerError, Claimant, Depth, Dispatch, Lease, Load, Renewal, Used};
use crate::open::BrokerOptions;

/// The fair queue in memory.
#[derive(Debug)]
pub(crate) struct MemoryDispatch {
    rules: Rules,
    runs: Shared,
    deliveries: Shared,
    mark: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<FairQueue>,
    /// Wakes one who waits; who finds more than it can take wakes the next.
    wake: Notify,
}

impl Shared {
    /// Nothing awaits while this is held.
    fn lock(&self) -> MutexGuard<'_, FairQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryDispatch {
    pub(crate) fn new(options: &BrokerOptions) -> Self {
        let rules = Rules { lease: options.lease, share_percent: usize::from(options.tenant_share_percent) };
        Self { rules, runs: Shared::default(), deliveries: Shared::default(), mark: AtomicBool::new(false) }
    }

    fn of(&self, queue: Queue) -> &Shared {
        match queue {
            Queue::Runs => &self.runs,
            Queue::Deliveries => &self.deliveries,
        }
    }

    fn holding(&self, lease: &Lease) -> &Shared {
        self.of(lease.job.work.queue())
    }
}

#[async_trait]
impl Dispatch for MemoryDispatch {
    async fn push(&self, jobs: &[Job], delay: Duration) -> Result<(), BrokerError> {
        let now = Instant::now();
        for queue in Queue::ALL {
            let shared = self.of(queue);
            let mut of_queue = jobs.iter().filter(|job| job.work.queue() == queue).peekable();
            if of_queue.peek().is_none() {
                continue;
            }
            let mut state = shared.lock();
            for job in of_queue {
                state.push(*job, delay, now);
            }
            drop(state);
            // Also for delayed jobs: whoever waits learns of the new due time.
            shared.wake.notify_one();
        }
        Ok(())
    }

    async fn claim(
        &self,
        queue: Queue,
        claimant: Claimant,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Lease>, BrokerError> {
        let deadline = Instant::now() + wait;
        let shared = self.of(queue);
        loop {
            let (leases, more, next) = {
                let mut state = shared.lock();
                let leases = state.claim(self.rules, claimant, most, rand::random(), Instant::now());
                (leases, state.has_work(), state.next())
            };
            if more {
                shared.wake.notify_one();
            }
            if !leases.is_empty() || most == 0 || Instant::now() >= deadline {
                return Ok(leases);
            }
            let until = next.map_or(deadline, |next| next.min(deadline));
            tokio::select! {
                () = shared.wake.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewal>, BrokerError> {
        let now = Instant::now();
        for queue in Queue::ALL {
            if leases.iter().any(|lease| lease.job.work.queue() == queue) {
                self.of(queue).lock().touch(now);
            }
        }
        Ok(leases.iter().map(|lease| self.holding(lease).lock().renew(self.rules, lease, now)).collect())
    }

    async fn restore(&self, lease: &Lease) -> Result<(), BrokerError> {
        self.holding(lease).lock().restore(self.rules, lease, Instant::now());
        Ok(())
    }

    async fn ack(&self, lease: &Lease, used: Used) -> Result<(), BrokerError> {
        let shared = self.holding(lease);
        shared.lock().ack(lease, used);
        // Its tenant may be under its cap now.
        shared.wake.notify_one();
        Ok(())
    }

    async fn give_back(&self, lease: &Lease, delay: Duration, used: Used) -> Result<(), BrokerError> {
        let shared = self.holding(lease);
        shared.lock().give_back(lease, delay, used, Instant::now());
        shared.wake.notify_one();
        Ok(())
    }

    async fn remove(&self, queue: Queue, tenant: TenantId, job: JobId) -> Result<(), BrokerError> {
        self.of(queue).lock().remove(tenant, job);
        Ok(())
    }

    async fn load(&self, queue: Queue, tenant: TenantId) -> Result<Load, BrokerError> {
        let state = self.of(queue).lock();
        Ok(Load { waiting: state.waiting(tenant) as u64, leased: state.depth().leased })
    }

    async fn standing(&self, queue: Queue, tenant: TenantId, job: JobId) -> Result<Option<Standing>, BrokerError> {
        Ok(self.of(queue).lock().standing(self.rules, tenant, job, Instant::now()))
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, BrokerError> {
        Ok(self.of(queue).lock().depth())
    }

    async fn has_mark(&self) -> Result<bool, BrokerError> {
        Ok(self.mark.load(Ordering::Relaxed))
    }

    async fn set_mark(&self) -> Result<(), BrokerError> {
        self.mark.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn ping(&self) -> Result<(), BrokerError> {
        Ok(())
    }
}
