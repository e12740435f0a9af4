//! What the fair queue ought to do, in the plainest way: one list of jobs, scanned for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use acm2_broker::dispatch::{Claimant, Depth, Renewal};
use acm2_domain::ids::{JobId, TenantId, WorkerId};
use acm2_domain::job::Job;

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
    /// Tenants in the ring, and tenants out of it, with their virtual times.
    ring: BTreeMap<TenantId, u64>,
    past: BTreeMap<TenantId, u64>,
    clock: u64,
    capped: BTreeSet<TenantId>,
    workers: BTreeMap<WorkerId, (usize, Duration)>,
}

impl Model {
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn push(&mut self, job: Job, delay: Duration) {
        if !self.jobs.contains_key(&job.id) {
            self.put(job, delay);
        }
        self.follow();
    }

    /// What is claimed, in order; the tokens are the broker's to choose.
    pub(crate) fn claim(&mut self, claimant: Claimant, most: usize, mut token_of: impl FnMut(Job) -> u64) -> Vec<Job> {
        self.workers.insert(claimant.worker, (claimant.permits, self.now));
        let alive = self.workers.values().filter(|(_, seen)| self.now <= *seen + 2 * LEASE);
        let cap = (alive.map(|(permits, _)| permits).sum::<usize>() * 75 / 100).max(1);
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
            let Some((at, tenant)) = self.ring.iter().map(|(tenant, at)| (*at, *tenant)).min() else { break };
            if self.held(tenant) < cap {
                let job = self.ready(tenant).min_by_key(|job| (job.priority, job.id)).unwrap();
                self.jobs.insert(job.id, (job, Place::Leased(self.now + LEASE, token_of(job))));
                claimed.push(job);
                self.clock = at;
                self.ring.insert(tenant, at + 1);
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
        self.follow();
    }

    pub(crate) fn ack(&mut self, job: Job, token: u64) {
        if self.holds(job.id, token) {
            self.jobs.remove(&job.id);
            self.capped.remove(&job.tenant);
        }
        self.follow();
        self.rest();
    }

    pub(crate) fn give_back(&mut self, job: Job, token: u64, delay: Duration) {
        if self.holds(job.id, token) {
            self.put(job, delay);
            self.capped.remove(&job.tenant);
        }
        self.follow();
        self.rest();
    }

    pub(crate) fn remove(&mut self, job: JobId) {
        if matches!(self.jobs.get(&job), Some((_, Place::Ready | Place::Delayed(_)))) {
            self.jobs.remove(&job);
        }
        self.follow();
        self.rest();
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
            self.ring.entry(tenant).or_insert(at);
        }
        for (tenant, at) in self.ring.clone() {
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
