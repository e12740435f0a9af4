//! How many callers wait for runs in this process, or stream the events of one: each costs a look at the store now and then; or
//! upload a file or fetch much, which costs memory. Whoever is one too many is answered at once with what there is, or refused. Called
//! by `waiting`, `event_stream`, `export_stream`, `middleware::bodies` and `middleware::large_answers`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acm2_domain::ids::TenantId;

/// Of one tenant.
const MOST_OF_ONE: usize = 64;
/// This part of all is for tenants that have no place yet: a few that have much cannot keep everybody else out.
const FOR_NEWCOMERS: usize = 8;

/// Those who wait.
#[derive(Debug)]
pub struct Waiters {
    most: usize,
    most_of_one: usize,
    by_tenant: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// A place among those who wait; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    by_tenant: Arc<Mutex<HashMap<TenantId, usize>>>,
    tenant: TenantId,
    many: usize,
}

impl Waiters {
    /// Of all tenants at most `most`.
    pub fn new(most: usize) -> Self {
        Self::with_share(most, MOST_OF_ONE)
    }

    /// The same, of one tenant at most `most_of_one`.
    pub fn with_share(most: usize, most_of_one: usize) -> Self {
        Self { most, most_of_one, by_tenant: Arc::default() }
    }

    /// A place, if there is one.
    pub fn enter(&self, tenant: TenantId) -> Option<Place> {
        self.enter_with(tenant, 1)
    }

    /// A place that counts as so many, such as its bytes. A tenant that has none gets one of any size, if all together have room;
    /// one that has some leaves a part to those who have none.
    pub fn enter_with(&self, tenant: TenantId, many: usize) -> Option<Place> {
        let mut by_tenant = lock(&self.by_tenant);
        let [all, own] = [by_tenant.values().sum::<usize>(), by_tenant.get(&tenant).copied().unwrap_or(0)];
        let [most, most_of_one] = match own {
            0 => [self.most, usize::MAX],
            _ => [self.most - self.most / FOR_NEWCOMERS, self.most_of_one],
        };
        if all.saturating_add(many) > most || own.saturating_add(many) > most_of_one {
            return None;
        }
        by_tenant.insert(tenant, own.saturating_add(many));
        Some(Place { by_tenant: Arc::clone(&self.by_tenant), tenant, many })
    }
}

fn lock(by_tenant: &Mutex<HashMap<TenantId, usize>>) -> MutexGuard<'_, HashMap<TenantId, usize>> {
    by_tenant.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_tenant = lock(&self.by_tenant);
        if let Some(count) = by_tenant.get_mut(&self.tenant) {
            *count = count.saturating_sub(self.many);
            if *count == 0 {
                by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_leaves_places_for_others_and_gets_its_own_back() {
        let (waiters, many, other) = (Waiters::new(100), TenantId::generate(), TenantId::generate());
        let mut places: Vec<_> = (0..MOST_OF_ONE).map(|_| waiters.enter(many).unwrap()).collect();
        assert!(waiters.enter(many).is_none());
        let theirs: Vec<_> = std::iter::from_fn(|| waiters.enter(other)).collect();
        assert_eq!(theirs.len() + MOST_OF_ONE, 100 - 100 / FOR_NEWCOMERS, "a few are kept for those who have none");
        let newcomers: Vec<_> = std::iter::from_fn(|| waiters.enter(TenantId::generate())).collect();
        assert_eq!(newcomers.len(), 100 / FOR_NEWCOMERS, "of all tenants no more than told");
        drop((newcomers, theirs));
        places.pop();
        assert!(waiters.enter(many).is_some());
        drop(places);
        assert!(lock(&waiters.by_tenant).is_empty());
    }

    #[test]
    fn what_is_large_counts_as_much_and_the_first_of_a_tenant_may_be_larger_than_its_share() {
        let (waiters, many, other) = (Waiters::with_share(100, 30), TenantId::generate(), TenantId::generate());
        let first = waiters.enter_with(many, 60).unwrap();
        assert!(waiters.enter_with(many, 1).is_none(), "more than its share with the first");
        assert!(waiters.enter_with(other, 41).is_none(), "more than there is");
        let theirs = [waiters.enter_with(other, 20).unwrap(), waiters.enter_with(other, 8).unwrap()];
        assert!(waiters.enter_with(other, 1).is_none());
        drop(first);
        let own: Vec<_> = std::iter::from_fn(|| waiters.enter_with(many, 10)).collect();
        assert_eq!(own.len(), 3);
        drop((own, theirs));
        assert!(lock(&waiters.by_tenant).is_empty());
    }
}
