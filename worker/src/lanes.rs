//! The lanes that this process calls in: who waits for one does so here in the order of coming, one at a time asks the broker, and
//! what a lane told is remembered, so that a broker that was emptied can be told again. `jobs/run/lane` waits here for the Journal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acm2_broker::Broker;
use acm2_broker::dispatch::BrokerError;
use acm2_broker::limits::{Known, Lane, LaneRules, Limits, Outcome, Permission, Report, Ticket};
use acm2_domain::ids::{ProviderKeyId, TenantId};
use acm2_domain::timing::Timing;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How many keys are remembered, so that not every call asks the store which one it will use.
const KEYS: usize = 10_000;

/// A key, as it was at its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyVersion {
    pub(crate) id: ProviderKeyId,
    pub(crate) version: i64,
}

/// Which key is meant: of whom, for what provider, and the one that the run names.
pub(crate) type KeyWish = (TenantId, &'static str, Option<ProviderKeyId>);

/// The lanes of this process.
#[derive(Debug)]
pub(crate) struct Lanes {
    limits: Arc<dyn Limits>,
    rules: LaneRules,
    timing: Timing,
    lanes: Mutex<HashMap<Lane, Arc<LocalLane>>>,
    /// Keys that were found lately, and when. The intent reads the row again, so that nothing rests on this.
    keys: Mutex<HashMap<KeyWish, (KeyVersion, Instant)>>,
}

/// One lane, as this process sees it.
#[derive(Debug)]
pub(crate) struct LocalLane {
    pub(crate) lane: Lane,
    limits: Arc<dyn Limits>,
    rules: LaneRules,
    retry: Duration,
    margin: Duration,
    /// Held by the one who waits at the head.
    pub(crate) head: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
    /// A call of the lane has ended.
    pub(crate) ended: Notify,
    /// Until when the head waits, where that is long.
    pub(crate) until: watch::Sender<Option<Instant>>,
    memory: Mutex<(Known, Instant)>,
}

impl Lanes {
    pub(crate) fn new(broker: &Broker, timing: &Timing, calls: usize) -> Self {
        Self {
            limits: Arc::clone(&broker.limits),
            rules: LaneRules::new(timing, calls),
            timing: timing.clone(),
            lanes: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// A lane; the same for all who ask while it is remembered.
    pub(crate) fn of(&self, tenant: TenantId, provider: &'static str, key: KeyVersion) -> Arc<LocalLane> {
        let lane = Lane { tenant, provider, key: key.id, version: key.version };
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = lanes.get(&lane) {
            return Arc::clone(found);
        }
        lanes.retain(|_, local| Arc::strong_count(local) > 1 || local.told().elapsed() < self.timing.lane_forget);
        let local = Arc::new(LocalLane {
            lane: lane.clone(),
            limits: Arc::clone(&self.limits),
            rules: self.rules,
            retry: self.timing.broker_retry,
            margin: self.timing.lane_margin,
            head: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            ended: Notify::new(),
            until: watch::Sender::new(None),
            memory: Mutex::new((Known::default(), Instant::now())),
        });
        lanes.insert(lane, Arc::clone(&local));
        local
    }

    /// The key that was found lately.
    pub(crate) fn key(&self, wish: &KeyWish) -> Option<KeyVersion> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(wish).filter(|(_, found)| found.elapsed() < self.timing.command_poll).map(|(key, _)| *key)
    }

    /// Notes which key was found.
    pub(crate) fn found(&self, wish: KeyWish, key: Option<KeyVersion>) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match key {
            Some(key) => {
                if keys.len() >= KEYS {
                    keys.retain(|_, (_, found)| found.elapsed() < self.timing.command_poll);
                }
                keys.insert(wish, (key, Instant::now()));
            }
            None => {
                keys.remove(&wish);
            }
        }
    }
}

impl LocalLane {
    /// Whether the lane is this key's, as it is now.
    pub(crate) fn is_of(&self, key: KeyVersion) -> bool {
        (self.lane.key, self.lane.version) == (key.id, key.version)
    }

    /// Whether somebody waits in the lane.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Counts one who waits, until the guard is dropped.
    pub(crate) fn waits(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Tells those behind the head until when it waits; only long waits are news.
    pub(crate) fn head_waits_until(&self, until: Option<Instant>) {
        self.until.send_if_modified(|stands| {
            let news = stands.is_some() || until.is_some();
            *stands = until;
            news
        });
    }

    /// Asks to start a call that takes `timeout` at most.
    pub(crate) async fn ask(self: &Arc<Self>, timeout: Duration) -> Result<Asked, BrokerError> {
        let lease = timeout + self.margin;
        let (permission, known) = self.limits.ask(&self.lane, &self.rules, lease, self.remembered()).await?;
        self.remember(known);
        Ok(match permission {
            Permission::Go(ticket) => Asked::Go(Pass { lane: Arc::clone(self), ticket, lease, reported: false }),
            Permission::Wait(time) => Asked::Wait(time),
            Permission::Closed(refused, _) => Asked::Closed(refused.class()),
        })
    }

    /// What is remembered, with the time that has passed since taken off.
    fn remembered(&self) -> Known {
        let (known, told) = *self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = told.elapsed();
        Known {
            parked: known.parked.saturating_sub(passed),
            closed: known
                .closed
                .filter(|(_, wait)| *wait > passed)
                .map(|(refused, wait)| (refused, wait.saturating_sub(passed))),
            ..known
        }
    }

    fn remember(&self, known: Known) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = (known, Instant::now());
    }

    fn told(&self) -> Instant {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Tells the lane what came of a call; again and again while the broker is away, for as long as the call would count.
    async fn report(&self, ticket: Ticket, report: Report, lease: Duration) {
        let end = Instant::now() + lease;
        while Instant::now() < end {
            if let Ok(known) = self.limits.done(&self.lane, &self.rules, ticket, report, self.remembered()).await {
                self.remember(known);
                break;
            }
            tokio::time::sleep(self.retry).await;
        }
        self.ended.notify_one();
    }
}

/// One who waits in a lane.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a LocalLane);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a lane answered.
#[derive(Debug)]
pub(crate) enum Asked {
    Go(Pass),
    Wait(Duration),
    Closed(acm2_domain::call::ErrorClass),
}

/// The right to make one call in a lane. Who drops it without a report made no call, or did not wait for its end.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) lane: Arc<LocalLane>,
    ticket: Ticket,
    lease: Duration,
    reported: bool,
}

impl Pass {
    /// Tells what came of the call; whoever has the answer does not wait for the broker.
    pub(crate) fn report(mut self, report: Report) {
        drop(self.send(report));
    }

    /// Tells that the call failed, and waits for a moment until the lane knows: the next call must not run into the same.
    pub(crate) async fn report_failure(mut self, report: Report) {
        let patience = self.lane.retry;
        if let Some(told) = self.send(report) {
            // It goes on being told.
            let _ = tokio::time::timeout(patience, told).await;
        }
    }

    fn send(&mut self, report: Report) -> Option<JoinHandle<()>> {
        self.reported = true;
        // Without a runtime the process ends; the call stops counting by itself.
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let (lane, ticket, lease) = (Arc::clone(&self.lane), self.ticket, self.lease);
        Some(runtime.spawn(async move { lane.report(ticket, report, lease).await }))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.reported {
            drop(self.send(Report::of(Outcome::Unknown)));
        }
    }
}
