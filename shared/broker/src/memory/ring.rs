//! The ring: whose turn it is. Virtual time counts what a tenant was given; the least goes first. Knows tenants only.

use std::collections::{BTreeSet, HashMap};

use acm2_domain::ids::TenantId;

/// Tenants in the order of their virtual times.
#[derive(Debug, Default)]
pub(super) struct Ring {
    turns: BTreeSet<(u64, TenantId)>,
    inside: HashMap<TenantId, u64>,
    /// Where tenants left, while that is ahead of the clock.
    past: HashMap<TenantId, u64>,
    /// The virtual time of the last claim.
    clock: u64,
}

impl Ring {
    /// A tenant goes on from where it left, but never behind the clock: being away earns no credit. Answers whether it
    /// was outside.
    pub(super) fn enter(&mut self, tenant: TenantId) -> bool {
        if self.inside.contains_key(&tenant) {
            return false;
        }
        let at = self.past.remove(&tenant).unwrap_or(0).max(self.clock);
        self.inside.insert(tenant, at);
        self.turns.insert((at, tenant));
        true
    }

    /// The tenant has nothing to give, or may be given nothing.
    pub(super) fn leave(&mut self, tenant: TenantId) {
        if let Some(at) = self.inside.remove(&tenant) {
            self.turns.remove(&(at, tenant));
            self.past.insert(tenant, at);
        }
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<TenantId> {
        self.turns.first().map(|(_, tenant)| *tenant)
    }

    /// The tenant was given a job: moves the clock to its time and charges it one, divided by its weight, which is one.
    pub(super) fn charge(&mut self, tenant: TenantId) {
        if let Some(at) = self.inside.get_mut(&tenant) {
            self.turns.remove(&(*at, tenant));
            self.clock = *at;
            *at += 1;
            self.turns.insert((*at, tenant));
        }
    }

    /// Forgets what the clock has passed.
    pub(super) fn forget_past(&mut self) {
        let clock = self.clock;
        self.past.retain(|_, at| *at > clock);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// All tenants start equal again.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
