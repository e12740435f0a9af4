//! One queue in memory: where each job stands, and who may be given one. Pure but for the time, which is a parameter; the
//! rules are those of `redis/*.lua`, step by step.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use acm2_domain::ids::{JobId, TenantId, WorkerId};
use acm2_domain::job::Job;
use acm2_domain::standing::Standing;
use tokio::time::Instant;

use super::accounts::Accounts;
use super::ring::{Paid, Ring};
use crate::charge;
use crate::dispatch::{Claimant, Depth, Lease, Renewal, Used};

/// How many ended leases, and how many due jobs, one claim makes ready.
const PAGE: usize = 100;

#[derive(Debug, Clone, Copy)]
enum Place {
    Ready,
    Delayed { due: Instant },
    Leased { until: Instant, token: u64 },
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    job: Job,
    place: Place,
    /// What its last claim was charged, until that is corrected.
    paid: Option<Paid>,
}

/// One queue.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    entries: HashMap<JobId, Entry>,
    /// By priority, then by id, which is the order of time (UUIDv7).
    ready: HashMap<TenantId, BTreeSet<(i16, JobId)>>,
    waiting: usize,
    delayed: BTreeSet<(Instant, JobId)>,
    leases: BTreeSet<(Instant, JobId)>,
    held: HashMap<TenantId, usize>,
    late: HashMap<TenantId, usize>,
    ring: Ring,
    accounts: Accounts,
    /// Tenants with ready jobs that left the ring because they hold as much as they may.
    capped: HashSet<TenantId>,
    /// Permits and the last sign of life.
    workers: HashMap<WorkerId, (usize, Instant)>,
}

/// The options that matter to a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) lease: Duration,
    pub(super) share_percent: usize,
}

impl FairQueue {
    pub(super) fn push(&mut self, job: Job, delay: Duration, now: Instant) {
        if let Some(weight) = job.weight {
            self.accounts.set_weight(job.tenant, weight);
        }
        if !self.entries.contains_key(&job.id) {
            self.put(Job { weight: None, ..job }, delay, now);
        }
    }

    pub(super) fn claim(
        &mut self,
        rules: Rules,
        claimant: Claimant,
        most: usize,
        token: u64,
        now: Instant,
    ) -> Vec<Lease> {
        self.workers.insert(claimant.worker, (claimant.permits, now));
        let cap = self.cap(rules, now);
        self.gather(now);
        self.readmit(cap);
        let mut found = Vec::new();
        while found.len() < most {
            let Some(tenant) = self.ring.first() else { break };
            if !self.stand(tenant, cap) {
                continue;
            }
            let Some((_, id)) = self.ready.get_mut(&tenant).and_then(BTreeSet::pop_first) else { continue };
            self.waiting -= 1;
            if self.ready.get(&tenant).is_some_and(BTreeSet::is_empty) {
                self.ready.remove(&tenant);
            }
            if let Some(entry) = self.entries.get_mut(&id) {
                found.push(Lease { job: entry.job, token });
                let least = self.accounts.weighed(tenant, charge::LEAST);
                entry.paid = Some(self.ring.charge(tenant, self.accounts.estimate(tenant), least));
                self.make_leased(id, tenant, now + rules.lease, token);
            }
            self.stand(tenant, cap);
        }
        self.ring.forget_past();
        found
    }

    /// How long until a lease ends or a delayed job is due.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.leases.first(), self.delayed.first()].into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// Whether somebody may be given a job.
    pub(super) fn has_work(&self) -> bool {
        !self.ring.is_empty()
    }

    /// The queue's workers live: a full one does not claim, but its permits count.
    pub(super) fn touch(&mut self, now: Instant) {
        for (_, seen) in self.workers.values_mut() {
            *seen = now;
        }
    }

    pub(super) fn renew(&mut self, rules: Rules, lease: &Lease, now: Instant) -> Renewal {
        match self.entries.get_mut(&lease.job.id) {
            None => Renewal::Unknown,
            Some(Entry { place: Place::Leased { until, token }, .. }) if *token == lease.token => {
                self.leases.remove(&(*until, lease.job.id));
                *until = now + rules.lease;
                self.leases.insert((*until, lease.job.id));
                Renewal::Kept
            }
            Some(_) => Renewal::Taken,
        }
    }

    pub(super) fn restore(&mut self, rules: Rules, lease: &Lease, now: Instant) {
        let Job { id, tenant, .. } = lease.job;
        let known = self.entries.get(&id).copied();
        match known.map(|entry| entry.place) {
            Some(Place::Ready) => self.end_ready(lease.job),
            Some(Place::Delayed { due }) => self.end_delayed(id, tenant, due),
            // The count of what the tenant holds goes on, and so does its place in the ring.
            Some(Place::Leased { until, .. }) => {
                self.leases.remove(&(until, id));
                lower(&mut self.held, tenant);
            }
            None => {}
        }
        let paid = known.and_then(|entry| entry.paid).unwrap_or_else(|| self.ring.nothing_paid());
        self.entries.insert(id, Entry { job: lease.job, place: Place::Ready, paid: Some(paid) });
        self.make_leased(id, tenant, now + rules.lease, lease.token);
    }

    pub(super) fn ack(&mut self, lease: &Lease, used: Used) {
        if self.holds(lease) {
            self.correct(lease, used);
            self.accounts.learn(lease.job.tenant, used);
            self.end_leased(lease);
            self.entries.remove(&lease.job.id);
            self.close(lease.job.tenant);
            self.settle();
        }
    }

    pub(super) fn give_back(&mut self, lease: &Lease, delay: Duration, used: Used, now: Instant) {
        if self.holds(lease) {
            self.correct(lease, used);
            self.end_leased(lease);
            self.put(lease.job, delay, now);
            self.settle();
        }
    }

    pub(super) fn remove(&mut self, tenant: TenantId, id: JobId) {
        let Some(Entry { job, place, .. }) = self.entries.get(&id).copied() else { return };
        if job.tenant != tenant {
            return;
        }
        match place {
            Place::Ready => self.end_ready(job),
            Place::Delayed { due } => self.end_delayed(id, tenant, due),
            Place::Leased { .. } => return,
        }
        self.entries.remove(&id);
        self.close(tenant);
        self.settle();
    }

    pub(super) fn waiting(&self, tenant: TenantId) -> usize {
        self.ready.get(&tenant).map_or(0, BTreeSet::len) + self.late.get(&tenant).copied().unwrap_or(0)
    }

    /// Counts the tenant's jobs before this one: the only thing here whose time grows with the queue.
    pub(super) fn standing(&self, rules: Rules, tenant: TenantId, id: JobId, now: Instant) -> Option<Standing> {
        let ready = self.ready.get(&tenant)?;
        let key = (self.entries.get(&id)?.job.priority, id);
        let before = ready.contains(&key).then(|| ready.range(..key).count())?;
        let lead = self.ring.lead(tenant).saturating_add(self.accounts.estimate(tenant).saturating_mul(before as i64));
        Some(Standing {
            before: before as u64,
            rivals: self.ring.rivals(tenant, lead) as u64,
            turns: (lead / charge::signed(self.accounts.mean_cost())).max(1).unsigned_abs(),
            others: (self.waiting - ready.len()) as u64,
            held: self.leases.len() as u64,
            held_of_tenant: self.held.get(&tenant).copied().unwrap_or(0) as u64,
            permits: self.permits(rules, now) as u64,
            cap: self.cap(rules, now) as u64,
            mean_held: self.accounts.mean_held(),
            mean_held_of_tenant: self.accounts.mean_held_of(tenant),
        })
    }

    pub(super) fn depth(&self) -> Depth {
        Depth { ready: self.waiting as u64, delayed: self.delayed.len() as u64, leased: self.leases.len() as u64 }
    }

    /// Of all workers that live.
    fn permits(&self, rules: Rules, now: Instant) -> usize {
        let lives = |seen: Instant| now.saturating_duration_since(seen) <= 2 * rules.lease;
        self.workers.values().filter(|(_, seen)| lives(*seen)).map(|(permits, _)| *permits).sum()
    }

    fn cap(&self, rules: Rules, now: Instant) -> usize {
        (self.permits(rules, now).saturating_mul(rules.share_percent) / 100).max(1)
    }

    /// Makes ready what is due: ended leases and delayed jobs.
    fn gather(&mut self, now: Instant) {
        let due = |set: &BTreeSet<(Instant, JobId)>| -> Vec<JobId> {
            set.iter().take_while(|(at, _)| *at <= now).take(PAGE).map(|(_, id)| *id).collect()
        };
        for id in due(&self.leases).into_iter().chain(due(&self.delayed)) {
            let Some(Entry { job, place, paid }) = self.entries.get(&id).copied() else { continue };
            match place {
                Place::Leased { token, .. } => {
                    self.end_leased(&Lease { job, token });
                }
                Place::Delayed { due } => self.end_delayed(id, job.tenant, due),
                Place::Ready => continue,
            }
            self.make_ready(job, paid);
        }
    }

    /// The cap may have grown since they left.
    fn readmit(&mut self, cap: usize) {
        let under = |tenant: &&TenantId| self.held.get(tenant).copied().unwrap_or(0) < cap;
        let tenants: Vec<TenantId> = self.capped.iter().filter(under).copied().collect();
        for tenant in tenants {
            self.enter(tenant);
        }
    }

    /// Takes a tenant that may be given nothing out of the ring; answers whether it stays.
    fn stand(&mut self, tenant: TenantId, cap: usize) -> bool {
        if !self.ready.contains_key(&tenant) {
            self.ring.leave(tenant);
            return false;
        }
        if self.held.get(&tenant).copied().unwrap_or(0) >= cap {
            self.ring.leave(tenant);
            self.capped.insert(tenant);
            return false;
        }
        true
    }

    fn enter(&mut self, tenant: TenantId) {
        self.capped.remove(&tenant);
        self.ring.enter(tenant);
    }

    fn put(&mut self, job: Job, delay: Duration, now: Instant) {
        if delay.is_zero() {
            self.make_ready(job, None);
        } else {
            let due = now + delay;
            self.entries.insert(job.id, Entry { job, place: Place::Delayed { due }, paid: None });
            self.delayed.insert((due, job.id));
            *self.late.entry(job.tenant).or_default() += 1;
        }
    }

    fn make_ready(&mut self, job: Job, paid: Option<Paid>) {
        self.entries.insert(job.id, Entry { job, place: Place::Ready, paid });
        self.ready.entry(job.tenant).or_default().insert((job.priority, job.id));
        self.waiting += 1;
        self.enter(job.tenant);
    }

    fn end_ready(&mut self, job: Job) {
        let Some(jobs) = self.ready.get_mut(&job.tenant) else { return };
        if jobs.remove(&(job.priority, job.id)) {
            self.waiting -= 1;
        }
        if jobs.is_empty() {
            self.ready.remove(&job.tenant);
            self.capped.remove(&job.tenant);
            self.ring.leave(job.tenant);
        }
    }

    fn end_delayed(&mut self, id: JobId, tenant: TenantId, due: Instant) {
        self.delayed.remove(&(due, id));
        lower(&mut self.late, tenant);
    }

    fn make_leased(&mut self, id: JobId, tenant: TenantId, until: Instant, token: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.place = Place::Leased { until, token };
            self.leases.insert((until, id));
            *self.held.entry(tenant).or_default() += 1;
        }
    }

    /// Whether the lease is the current one.
    fn holds(&self, lease: &Lease) -> bool {
        let place = self.entries.get(&lease.job.id).map(|entry| entry.place);
        matches!(place, Some(Place::Leased { token, .. }) if token == lease.token)
    }

    /// Ends the current lease of a job; the entry is then the caller's to place.
    fn end_leased(&mut self, lease: &Lease) {
        let Some(Entry { job, place: Place::Leased { until, .. }, .. }) = self.entries.get(&lease.job.id) else {
            return;
        };
        let tenant = job.tenant;
        self.leases.remove(&(*until, lease.job.id));
        lower(&mut self.held, tenant);
        if self.ready.contains_key(&tenant) {
            self.enter(tenant);
        }
    }

    /// Charges what the job really took instead of the estimate.
    fn correct(&mut self, lease: &Lease, used: Used) {
        let tenant = lease.job.tenant;
        if let Some(paid) = self.entries.get_mut(&lease.job.id).and_then(|entry| entry.paid.take()) {
            self.ring.correct(tenant, paid, self.accounts.weighed(tenant, charge::cost(used)));
        }
    }

    /// Forgets the account of a tenant that has no job here any more.
    fn close(&mut self, tenant: TenantId) {
        if self.waiting(tenant) == 0 && !self.held.contains_key(&tenant) {
            self.accounts.close(tenant);
        }
    }

    /// When nobody waits and nobody holds anything, all tenants start equal, and nothing of the past is kept.
    fn settle(&mut self) {
        if self.leases.is_empty() && self.ring.is_empty() {
            self.ring.reset();
        }
    }
}

fn lower(counts: &mut HashMap<TenantId, usize>, tenant: TenantId) {
    if let Some(count) = counts.get_mut(&tenant) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&tenant);
        }
    }
}
