//! What the queue knows of each tenant that has jobs, and of all: weights, and how long jobs take. The queue calls it.

use std::collections::HashMap;
use std::time::Duration;

use acm2_domain::ids::TenantId;

use crate::charge::{self, averaged, signed};
use crate::dispatch::Used;

#[derive(Debug, Clone, Copy)]
struct Account {
    weight: u64,
    /// A moving average of what its jobs cost.
    mean_cost: Option<u64>,
    /// The same of how long they are held, in microseconds.
    mean_held: Option<u64>,
}

const NEW: Account = Account { weight: 1, mean_cost: None, mean_held: None };

/// The accounts of tenants, and the averages over all.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    of: HashMap<TenantId, Account>,
    mean_cost: Option<u64>,
    /// In microseconds.
    mean_held: Option<u64>,
}

impl Accounts {
    pub(super) fn set_weight(&mut self, tenant: TenantId, weight: u8) {
        self.of.entry(tenant).or_insert(NEW).weight = u64::from(weight.max(1));
    }

    /// A cost, divided by the tenant's weight.
    pub(super) fn weighed(&self, tenant: TenantId, cost: u64) -> i64 {
        signed(cost / self.of.get(&tenant).unwrap_or(&NEW).weight)
    }

    /// What a job of the tenant is charged before anybody knows: the average of its jobs, else of all.
    pub(super) fn estimate(&self, tenant: TenantId) -> i64 {
        let own = self.of.get(&tenant).and_then(|account| account.mean_cost);
        self.weighed(tenant, own.unwrap_or_else(|| self.mean_cost()))
    }

    /// A job is done and took this.
    pub(super) fn learn(&mut self, tenant: TenantId, used: Used) {
        let (cost, held) = (charge::cost(used), charge::micros(used.held));
        let account = self.of.entry(tenant).or_insert(NEW);
        account.mean_cost = Some(averaged(account.mean_cost, cost));
        account.mean_held = Some(averaged(account.mean_held, held));
        self.mean_cost = Some(averaged(self.mean_cost, cost));
        self.mean_held = Some(averaged(self.mean_held, held));
    }

    /// What a job of anybody costs.
    pub(super) fn mean_cost(&self) -> u64 {
        self.mean_cost.unwrap_or(charge::FIRST)
    }

    /// How long a job is held.
    pub(super) fn mean_held(&self) -> Option<Duration> {
        self.mean_held.map(Duration::from_micros)
    }

    /// How long a job of the tenant is held.
    pub(super) fn mean_held_of(&self, tenant: TenantId) -> Option<Duration> {
        self.of.get(&tenant)?.mean_held.map(Duration::from_micros)
    }

    pub(super) fn close(&mut self, tenant: TenantId) {
        self.of.remove(&tenant);
    }
}
