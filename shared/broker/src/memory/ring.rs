//! The ring: whose turn it is. Virtual time counts what a tenant was charged; the least goes first. Knows tenants only.

use std::collections::{BTreeSet, HashMap};

use acm2_domain::ids::TenantId;

/// What a job was charged at its claim.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paid {
    /// The estimate.
    pub(super) amount: i64,
    /// The virtual time that it ended at, had there been no other job.
    pub(super) until: i64,
}

/// A tenant's place in the ring.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: i64,
    /// What it was charged too much and the clock has passed: taken off what comes next. It goes when the tenant leaves.
    credit: i64,
}

/// Tenants in the order of their virtual times.
#[derive(Debug, Default)]
pub(super) struct Ring {
    turns: BTreeSet<(i64, TenantId)>,
    inside: HashMap<TenantId, Turn>,
    /// Where tenants left, while that is ahead of the clock.
    past: HashMap<TenantId, i64>,
    /// The virtual time of the last claim. It never goes back, and nobody in the ring is behind it.
    clock: i64,
}

impl Ring {
    /// A tenant goes on from where it left, but never behind the clock: being away earns no credit.
    pub(super) fn enter(&mut self, tenant: TenantId) {
        if self.inside.contains_key(&tenant) {
            return;
        }
        let at = self.past.remove(&tenant).unwrap_or(0).max(self.clock);
        self.inside.insert(tenant, Turn { at, credit: 0 });
        self.turns.insert((at, tenant));
    }

    /// The tenant has nothing to give, or may be given nothing.
    pub(super) fn leave(&mut self, tenant: TenantId) {
        if let Some(turn) = self.inside.remove(&tenant) {
            self.turns.remove(&(turn.at, tenant));
            self.past.insert(tenant, turn.at);
        }
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<TenantId> {
        self.turns.first().map(|(_, tenant)| *tenant)
    }

    /// The tenant was given a job: moves the clock to its time and charges it. Whatever its credit, it moves on by `least`, so
    /// that whoever comes anew has its turn next.
    pub(super) fn charge(&mut self, tenant: TenantId, amount: i64, least: i64) -> Paid {
        let Some(turn) = self.inside.get(&tenant).copied() else { return self.nothing_paid() };
        self.clock = turn.at;
        self.place(tenant, turn, turn.at + least, turn.at - turn.credit + amount);
        Paid { amount, until: turn.at + amount }
    }

    /// What a job that was never charged has paid.
    pub(super) fn nothing_paid(&self) -> Paid {
        Paid { amount: 0, until: self.clock }
    }

    /// The job was worth `amount` after all. Nobody gets behind the clock by it: what is left is credit.
    pub(super) fn correct(&mut self, tenant: TenantId, paid: Paid, amount: i64) {
        let more = amount - paid.amount;
        if let Some(turn) = self.inside.get(&tenant).copied() {
            self.place(tenant, turn, self.clock, turn.at - turn.credit + more);
            return;
        }
        let at = self.past.get(&tenant).copied().filter(|at| *at > self.clock).unwrap_or(paid.until) + more;
        if at > self.clock {
            self.past.insert(tenant, at);
        } else {
            self.past.remove(&tenant);
        }
    }

    /// Moves a tenant from its turn to where it owes to be, or to `least` with credit for the rest.
    fn place(&mut self, tenant: TenantId, from: Turn, least: i64, owed: i64) {
        let at = owed.max(least);
        self.turns.remove(&(from.at, tenant));
        self.turns.insert((at, tenant));
        self.inside.insert(tenant, Turn { at, credit: at - owed });
    }

    /// How far ahead of the clock a tenant is.
    pub(super) fn lead(&self, tenant: TenantId) -> i64 {
        let at = self.inside.get(&tenant).map(|turn| turn.at).or_else(|| self.past.get(&tenant).copied());
        at.map_or(0, |at| (at - self.clock).max(0))
    }

    /// How many tenants but this one are in the ring and at most so far ahead of the clock.
    pub(super) fn rivals(&self, tenant: TenantId, lead: i64) -> usize {
        let until = self.clock.saturating_add(lead);
        self.turns.iter().take_while(|(at, _)| *at <= until).filter(|(_, other)| *other != tenant).count()
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
