//! The jobs that this process holds: a seat for each from its claim until the broker took its outcome, their renewal, and
//! what a handler may ask about its own. The rest of `backend` and `consume.rs` call it; it must not know apalis.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acm2_broker::dispatch::{Claimant, Dispatch, Lease, Renewal, Used};
use acm2_domain::job::Job;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::line::Line;
use crate::consume::{ConsumerOptions, Outcome};
use crate::meter::Meter;

/// One lease of this process.
#[derive(Debug)]
struct Holding {
    number: u64,
    lease: Lease,
    since: Instant,
    meter: Meter,
    taken: Notify,
    /// Whether its outcome is on the way to the broker. Guards `restore`, which must not revive a job that was acked.
    settling: tokio::sync::Mutex<bool>,
    line: Arc<Line>,
}

impl Holding {
    /// Whether the broker answered.
    async fn restore(&self) -> bool {
        let settling = self.settling.lock().await;
        *settling || self.line.ask(self.line.dispatch.restore(&self.lease)).await.is_some()
    }
}

/// What a handler may ask about the job that it was given.
#[derive(Debug, Clone)]
pub struct Held {
    holding: Arc<Holding>,
    shutting_down: CancellationToken,
}

impl Held {
    /// What the job's calls are measured by: its tenant is charged for them.
    pub fn meter(&self) -> Meter {
        self.holding.meter.clone()
    }

    /// Cancelled when the process shuts down: start nothing new, finish what is in flight, then give the job back.
    pub fn shutting_down(&self) -> CancellationToken {
        self.shutting_down.clone()
    }

    /// Waits until a renewal answers that another worker has the job, or that it waits again. A hint that comes while nobody
    /// waits is kept for the next who does, and it is repeated at each renewal that finds the same. One waiter at a time.
    pub async fn taken_hint(&self) {
        self.holding.taken.notified().await;
    }

    /// Takes the lease back, because the store still says that the job is ours. If the broker does not answer, the next
    /// renewal hints again.
    pub async fn restore(&self) {
        self.holding.restore().await;
    }
}

/// All that the parts of one consumer share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) line: Arc<Line>,
    pub(crate) options: ConsumerOptions,
    /// Take nothing more; handlers see a child of it.
    pub(crate) soft: CancellationToken,
    /// Handlers that still work are dropped and their jobs given back.
    pub(crate) abort: CancellationToken,
    /// Outcomes that the broker does not take are not tried again.
    pub(crate) quit: CancellationToken,
    /// The handlers.
    pub(crate) tracker: TaskTracker,
    /// One permit for each job that is held, or is being claimed.
    pub(crate) permits: Arc<Semaphore>,
    holdings: Mutex<HashMap<u64, Arc<Holding>>>,
    next: AtomicU64,
    runtime: Handle,
}

impl Desk {
    /// Must be called inside a tokio runtime: it settles seats there, whoever drops them.
    pub(crate) fn new(dispatch: Arc<dyn Dispatch>, mut options: ConsumerOptions) -> Self {
        // What the semaphore and `acquire_many` can count.
        options.permits = options.permits.clamp(1, u32::MAX as usize);
        Self {
            line: Arc::new(Line::new(dispatch, options.queue, &options.timing)),
            soft: CancellationToken::new(),
            abort: CancellationToken::new(),
            quit: CancellationToken::new(),
            tracker: TaskTracker::new(),
            permits: Arc::new(Semaphore::new(options.permits)),
            holdings: Mutex::default(),
            next: AtomicU64::new(0),
            runtime: Handle::current(),
            options,
        }
    }

    pub(crate) fn claimant(&self) -> Claimant {
        Claimant { worker: self.options.worker, permits: self.options.permits }
    }

    /// Seats a claimed job: from here on its lease is renewed.
    pub(crate) fn seat(self: &Arc<Self>, lease: Lease, permit: OwnedSemaphorePermit) -> Seat {
        let holding = Arc::new(Holding {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            lease,
            since: Instant::now(),
            meter: Meter::default(),
            taken: Notify::new(),
            settling: tokio::sync::Mutex::new(false),
            line: Arc::clone(&self.line),
        });
        self.holdings().insert(holding.number, Arc::clone(&holding));
        Seat { desk: Arc::clone(self), taken_by: Some((holding, permit)) }
    }

    /// How many jobs are held.
    pub(crate) fn held(&self) -> usize {
        self.holdings().len()
    }

    /// Waits until every outcome has been taken by the broker, and no claim is under way.
    pub(crate) async fn settled(&self) {
        let all = u32::try_from(self.options.permits).unwrap_or(u32::MAX);
        // An error would mean that the semaphore is closed; nobody closes it.
        drop(self.permits.acquire_many(all).await);
    }

    fn holdings(&self) -> MutexGuard<'_, HashMap<u64, Arc<Holding>>> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the broker until it listens. The permit goes back only then, so that an outage cannot pile up outcomes.
    async fn settle(self: Arc<Self>, holding: Arc<Holding>, outcome: Outcome, permit: OwnedSemaphorePermit) {
        *holding.settling.lock().await = true;
        let (dispatch, lease) = (&self.line.dispatch, &holding.lease);
        let used = Used { calls: holding.meter.total(), held: holding.since.elapsed() };
        loop {
            let call = match outcome {
                Outcome::Done => dispatch.ack(lease, used),
                Outcome::GiveBack(delay) => dispatch.give_back(lease, delay, used),
            };
            if self.line.ask(call).await.is_some() {
                break;
            }
            tokio::select! {
                biased;
                () = self.quit.cancelled() => break,
                () = self.line.pause() => {}
            }
        }
        self.holdings().remove(&holding.number);
        drop(permit);
    }
}

/// A claimed job and its permit. Whoever drops it without an outcome gives the job back at once, whatever the reason: a
/// worker that ended, a handler that was aborted, a shutdown before the handler began.
#[derive(Debug)]
pub(crate) struct Seat {
    desk: Arc<Desk>,
    /// `None` once the outcome is on its way.
    taken_by: Option<(Arc<Holding>, OwnedSemaphorePermit)>,
}

impl Seat {
    /// The job; `None` only after `close`.
    pub(crate) fn job(&self) -> Option<Job> {
        self.taken_by.as_ref().map(|(holding, _)| holding.lease.job)
    }

    /// What the handler may ask.
    pub(crate) fn held(&self) -> Option<Held> {
        self.taken_by
            .as_ref()
            .map(|(holding, _)| Held { holding: Arc::clone(holding), shutting_down: self.desk.soft.child_token() })
    }

    /// The outcome; the broker is told in the background.
    pub(crate) fn close(mut self, outcome: Outcome) {
        self.vacate(outcome);
    }

    fn vacate(&mut self, outcome: Outcome) {
        if let Some((holding, permit)) = self.taken_by.take() {
            self.desk.runtime.spawn(Arc::clone(&self.desk).settle(holding, outcome, permit));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.vacate(Outcome::GiveBack(Duration::ZERO));
    }
}

/// Renews all leases of the desk in one call, again and again, until it is dropped: while draining too.
pub(crate) async fn renew(desk: Arc<Desk>) {
    let mut ticks = interval(desk.options.timing.lease_renew);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while !renew_once(&desk).await {
            // Sooner than the next tick: an outage must not use up the lease.
            desk.line.pause().await;
        }
    }
}

/// Whether the broker answered.
async fn renew_once(desk: &Desk) -> bool {
    let holdings: Vec<_> = desk.holdings().values().cloned().collect();
    if holdings.is_empty() || desk.options.is_left_to_others() {
        return true;
    }
    let leases: Vec<_> = holdings.iter().map(|holding| holding.lease.clone()).collect();
    let Some(answers) = desk.line.ask(desk.line.dispatch.renew(&leases)).await else { return false };
    let mut unknown = Vec::new();
    for (holding, answer) in holdings.iter().zip(answers) {
        match answer {
            Renewal::Kept => {}
            Renewal::Taken => holding.taken.notify_one(),
            Renewal::Unknown => unknown.push(holding),
        }
    }
    for holding in unknown {
        if !holding.restore().await {
            return false;
        }
    }
    true
}
