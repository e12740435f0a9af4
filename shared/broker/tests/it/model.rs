//! What the fair queue ought to do, in the plainest way: one list of jobs, scanned for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use acm2_broker::dispatch::{Claimant, Depth, Renewal, Used};
use acm2_domain::ids::{JobId, TenantId, WorkerId};
use acm2_domain::job::Job;
use acm2_domain::standing::Standing;

use crate::home::LEASE;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Ready,
    Delayed(Duration),
    Leased(Duration, u64),
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    now: Duration,
    jobs: BTreeMap<JobId, (Job, Place)>,
    /// Tenants in the ring with their virtual times and credits, and tenants out of it with their virtual times.
    ring: BTreeMap<TenantId, (i64, i64)>,
    past: BTreeMap<TenantId, i64>,
    clock: i64,
    /// What jobs paid at their claims, and until when that would have lasted.
    paid: BTreeMap<JobId, (i64, i64)>,
    weights: BTreeMap<TenantId, i64>,
    costs: BTreeMap<TenantId, i64>,
    helds: BTreeMap<TenantId, i64>,
    mean_cost: Option<i64>,
    mean_held: Option<i64>,
    capped: BTreeSet<TenantId>,
    workers: BTreeMap<WorkerId, (usize, Duration)>,
}

impl Model {
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn push(&mut self, job: Job, delay: Duration) {
        if !self.jobs.contains_key(&job.id) {
            self.put(Job { weight: None, ..job }, delay);
        }
        if let Some(weight) = job.weight {
            self.weights.insert(job.tenant, i64::from(weight));
        }
        self.follow();
    }

    /// What is claimed, in order; the tokens are the broker's to choose.
    pub(crate) fn claim(&mut self, claimant: Claimant, most: usize, mut token_of: impl FnMut(Job) -> u64) -> Vec<Job> {
        self.workers.insert(claimant.worker, (claimant.permits, self.now));
        let cap = self.cap();
        for (job, place) in self.jobs.clone().into_values() {
            match place {
                Place::Leased(until, _) if until <= self.now => {
                    self.jobs.insert(job.id, (job, Place::Ready));
                    self.capped.remove(&job.tenant);
                }
                Place::Delayed(due) if due <= self.now => {
                    self.jobs.insert(job.id, (job, Place::Ready));
                    self.capped.remove(&job.tenant);
                }
                _ => {}
            }
        }
        self.capped = self.capped.iter().copied().filter(|tenant| self.held(*tenant) >= cap).collect();
        self.follow();
        let mut claimed = Vec::new();
        while claimed.len() < most {
            let Some((at, tenant)) = self.ring.iter().map(|(tenant, (at, _))| (*at, *tenant)).min() else { break };
            if self.held(tenant) < cap {
                let job = self.ready(tenant).min_by_key(|job| (job.priority, job.id)).unwrap();
                self.jobs.insert(job.id, (job, Place::Leased(self.now + LEASE, token_of(job))));
                claimed.push(job);
                self.clock = at;
                let amount = self.estimate(tenant);
                self.paid.insert(job.id, (amount, at + amount));
                let owed = at - self.ring[&tenant].1 + amount;
                self.place(tenant, at + 1_000 / self.weight(tenant), owed);
            }
            if self.held(tenant) >= cap && self.ready(tenant).next().is_some() {
                self.capped.insert(tenant);
            }
            self.follow();
        }
        claimed
    }

    pub(crate) fn renew(&mut self, job: JobId, token: u64) -> Renewal {
        for (_, seen) in self.workers.values_mut() {
            *seen = self.now;
        }
        match self.jobs.get_mut(&job) {
            None => Renewal::Unknown,
            Some((_, Place::Leased(until, current))) if *current == token => {
                *until = self.now + LEASE;
                Renewal::Kept
            }
            Some(_) => Renewal::Taken,
        }
    }

    pub(crate) fn restore(&mut self, job: Job, token: u64) {
        self.jobs.insert(job.id, (job, Place::Leased(self.now + LEASE, token)));
        self.paid.entry(job.id).or_insert((0, self.clock));
        self.follow();
    }

    pub(crate) fn ack(&mut self, job: Job, token: u64, used: Used) {
        if self.holds(job.id, token) {
            self.correct(job, used);
            let averaged = |before: Option<i64>, value: i64| {
                before.map_or(value, |before| before + (value - before).div_euclid(8))
            };
            self.costs.insert(job.tenant, averaged(self.costs.get(&job.tenant).copied(), cost(used)));
            let held = used.held.as_micros() as i64;
            self.helds.insert(job.tenant, averaged(self.helds.get(&job.tenant).copied(), held));
            self.mean_cost = Some(averaged(self.mean_cost, cost(used)));
            self.mean_held = Some(averaged(self.mean_held, held));
            self.jobs.remove(&job.id);
            self.capped.remove(&job.tenant);
        }
        self.follow();
        self.rest();
    }

    pub(crate) fn give_back(&mut self, job: Job, token: u64, delay: Duration, used: Used) {
        if self.holds(job.id, token) {
            self.correct(job, used);
            self.put(job, delay);
            self.capped.remove(&job.tenant);
        }
        self.follow();
        self.rest();
    }

    pub(crate) fn remove(&mut self, job: JobId) {
        if matches!(self.jobs.get(&job), Some((_, Place::Ready | Place::Delayed(_)))) {
            self.jobs.remove(&job);
            self.paid.remove(&job);
        }
        self.follow();
        self.rest();
    }

    /// Where a job stands, by counting.
    pub(crate) fn standing(&self, job: JobId) -> Option<Standing> {
        let (job, place) = *self.jobs.get(&job)?;
        if place != Place::Ready {
            return None;
        }
        let before = self.ready(job.tenant).filter(|other| (other.priority, other.id) < (job.priority, job.id)).count();
        let inside = self.ring.get(&job.tenant).map(|(at, _)| *at);
        let at = inside.or(self.past.get(&job.tenant).copied()).unwrap_or(0).max(self.clock);
        let turn = at + before as i64 * self.estimate(job.tenant);
        let rivals = self.ring.iter().filter(|(tenant, (at, _))| **tenant != job.tenant && *at <= turn).count();
        let turns = (turn - self.clock) / self.mean_cost.unwrap_or(1_000_000);
        Some(Standing {
            before: before as u64,
            rivals: rivals as u64,
            turns: turns.max(1) as u64,
            others: self.depth().ready - self.ready(job.tenant).count() as u64,
            held: self.depth().leased,
            held_of_tenant: self.held(job.tenant) as u64,
            permits: self.permits() as u64,
            cap: self.cap() as u64,
            mean_held: self.mean_held.map(duration),
            mean_held_of_tenant: self.helds.get(&job.tenant).copied().map(duration),
        })
    }

    /// Virtual time never runs back, and nobody who waits for a turn is behind it.
    pub(crate) fn check(&self, clock_before: i64) -> i64 {
        let rested = self.ring.is_empty() && self.depth().leased == 0;
        assert!(self.clock >= clock_before || rested, "{} after {clock_before}", self.clock);
        for (at, credit) in self.ring.values() {
            assert!(*at >= self.clock && *credit >= 0, "{at} and {credit} at {}", self.clock);
        }
        self.clock
    }

    /// What a tenant in the ring has been charged in all, less what it is owed.
    pub(crate) fn charged(&self, tenant: TenantId) -> Option<i64> {
        self.ring.get(&tenant).map(|(at, credit)| at - credit)
    }

    /// Of the current lease.
    pub(crate) fn token(&self, job: JobId) -> Option<u64> {
        match self.jobs.get(&job) {
            Some((_, Place::Leased(_, token))) => Some(*token),
            _ => None,
        }
    }

    fn permits(&self) -> usize {
        self.workers.values().filter(|(_, seen)| self.now <= *seen + 2 * LEASE).map(|(permits, _)| permits).sum()
    }

    fn cap(&self) -> usize {
        (self.permits() * 75 / 100).max(1)
    }

    fn weight(&self, tenant: TenantId) -> i64 {
        self.weights.get(&tenant).copied().unwrap_or(1)
    }

    fn estimate(&self, tenant: TenantId) -> i64 {
        let cost = self.costs.get(&tenant).copied().or(self.mean_cost).unwrap_or(1_000_000);
        cost / self.weight(tenant)
    }

    /// To where the tenant owes to be, or to `least` with credit for the rest.
    fn place(&mut self, tenant: TenantId, least: i64, owed: i64) {
        let at = owed.max(least);
        self.ring.insert(tenant, (at, at - owed));
    }

    fn correct(&mut self, job: Job, used: Used) {
        let Some((amount, until)) = self.paid.remove(&job.id) else { return };
        let more = cost(used) / self.weight(job.tenant) - amount;
        if let Some((at, credit)) = self.ring.get(&job.tenant).copied() {
            self.place(job.tenant, self.clock, at - credit + more);
        } else {
            let at = self.past.get(&job.tenant).copied().filter(|at| *at > self.clock).unwrap_or(until) + more;
            self.past.insert(job.tenant, at);
        }
    }

    pub(crate) fn depth(&self) -> Depth {
        let count = |which: fn(Place) -> bool| self.jobs.values().filter(|(_, place)| which(*place)).count() as u64;
        Depth {
            ready: count(|place| place == Place::Ready),
            delayed: count(|place| matches!(place, Place::Delayed(_))),
            leased: count(|place| matches!(place, Place::Leased(..))),
        }
    }

    pub(crate) fn waiting(&self, tenant: TenantId) -> u64 {
        let waits = |(job, place): &&(Job, Place)| job.tenant == tenant && !matches!(place, Place::Leased(..));
        self.jobs.values().filter(waits).count() as u64
    }

    fn put(&mut self, job: Job, delay: Duration) {
        let place = if delay.is_zero() { Place::Ready } else { Place::Delayed(self.now + delay) };
        self.jobs.insert(job.id, (job, place));
        if place == Place::Ready {
            // Who has something new is looked at again; a claim finds out that the tenant is still at its cap.
            self.capped.remove(&job.tenant);
        }
    }

    fn holds(&self, job: JobId, token: u64) -> bool {
        matches!(self.jobs.get(&job), Some((_, Place::Leased(_, current))) if *current == token)
    }

    fn held(&self, tenant: TenantId) -> usize {
        let of_it = |(job, place): &&(Job, Place)| job.tenant == tenant && matches!(place, Place::Leased(..));
        self.jobs.values().filter(of_it).count()
    }

    fn ready(&self, tenant: TenantId) -> impl Iterator<Item = Job> {
        let of_it = move |(job, place): &&(Job, Place)| job.tenant == tenant && *place == Place::Ready;
        self.jobs.values().filter(of_it).map(|(job, _)| *job)
    }

    /// The ring holds exactly the tenants with ready jobs that are not capped.
    fn follow(&mut self) {
        let with_ready: BTreeSet<TenantId> =
            self.jobs.values().filter(|(_, place)| *place == Place::Ready).map(|(job, _)| job.tenant).collect();
        self.capped.retain(|tenant| with_ready.contains(tenant));
        for tenant in &with_ready - &self.capped {
            let at = self.past.get(&tenant).copied().unwrap_or(0).max(self.clock);
            self.ring.entry(tenant).or_insert((at, 0));
        }
        let with_jobs: BTreeSet<TenantId> = self.jobs.values().map(|(job, _)| job.tenant).collect();
        self.weights.retain(|tenant, _| with_jobs.contains(tenant));
        self.costs.retain(|tenant, _| with_jobs.contains(tenant));
        self.helds.retain(|tenant, _| with_jobs.contains(tenant));
        for (tenant, (at, _)) in self.ring.clone() {
            if !with_ready.contains(&tenant) || self.capped.contains(&tenant) {
                self.ring.remove(&tenant);
                self.past.insert(tenant, at);
            }
        }
    }

    fn rest(&mut self) {
        let Depth { ready, leased, .. } = self.depth();
        if ready == 0 && leased == 0 {
            self.past.clear();
            self.clock = 0;
        }
    }
}

/// Nothing is free.
fn cost(used: Used) -> i64 {
    (used.calls.max(used.held).as_micros() as i64).max(1_000)
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(micros as u64)
}
