//! How many callers wait for runs in this process, or stream the events of one: each costs a look at the store now and then; or
//! upload a file, which costs memory. Whoever is one too many is answered at once with what there is, or refused. Called by
//! `waiting`, `event_stream` and `middleware::bodies`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acm2_domain::ids::TenantId;

/// Of one tenant.
const MOST_OF_ONE: usize = 64;

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
        let mut by_tenant = lock(&self.by_tenant);
        if by_tenant.values().sum::<usize>() >= self.most {
            return None;
        }
        let count = by_tenant.entry(tenant).or_default();
        if *count >= self.most_of_one {
            return None;
        }
        *count += 1;
        Some(Place { by_tenant: Arc::clone(&self.by_tenant), tenant })
    }
}

fn lock(by_tenant: &Mutex<HashMap<TenantId, usize>>) -> MutexGuard<'_, HashMap<TenantId, usize>> {
    by_tenant.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_tenant = lock(&self.by_tenant);
        if let Some(count) = by_tenant.get_mut(&self.tenant) {
            *count -= 1;
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
        assert_eq!(theirs.len(), 100 - MOST_OF_ONE, "of all tenants no more than told");
        places.pop();
        assert!(waiters.enter(many).is_some());
        drop((places, theirs));
        assert!(lock(&waiters.by_tenant).is_empty());
    }
}
