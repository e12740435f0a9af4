//! How many of the pool's connections one tenant may hold at a time: its transactions may wait for each other, on one row, for as
//! long as a lock may take, and must leave connections to the others meanwhile. `postgres` takes a place before each connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acm2_domain::ids::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The places that tenants hold now; one that holds none and waits for none is not remembered.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    places: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Shares {
    /// Three quarters of a pool of this size; all of one so small that less would not be a quarter.
    pub(crate) fn of_pool(size: u32) -> Arc<Self> {
        let most = (size as usize * 3).div_ceil(4).max(1);
        Arc::new(Self { most, places: Mutex::default() })
    }

    /// A place of the tenant, at once where it has one left.
    ///
    /// # Errors
    /// Where none becomes free before `deadline`, the error that the pool gives for want of a connection.
    pub(crate) async fn place(self: &Arc<Self>, tenant: TenantId, deadline: Instant) -> Result<Place, sqlx::Error> {
        let places = Arc::clone(self.places().entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.most))));
        let mut place = Place { permit: None, places: Some(Arc::clone(&places)), tenant, shares: Arc::clone(self) };
        let permit = match Arc::clone(&places).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => match timeout_at(deadline, places.acquire_owned()).await {
                Ok(Ok(permit)) => permit,
                // Nobody closes the semaphore.
                Ok(Err(_)) | Err(_) => return Err(sqlx::Error::PoolTimedOut),
            },
        };
        place.permit = Some(permit);
        Ok(place)
    }

    fn places(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<Semaphore>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to hold one connection, or the wait for it; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Option<Arc<Semaphore>>,
    tenant: TenantId,
    shares: Arc<Shares>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permit = None;
        self.places = None;
        let mut places = self.shares.places();
        if places.get(&self.tenant).is_some_and(|left| Arc::strong_count(left) == 1) {
            places.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tenant_that_holds_and_awaits_nothing_is_forgotten() {
        let (shares, tenant) = (Shares::of_pool(4), TenantId::generate());
        let soon = Instant::now() + Duration::from_secs(1);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(shares.place(tenant, soon).await.unwrap());
        }
        assert!(matches!(shares.place(tenant, soon).await, Err(sqlx::Error::PoolTimedOut)));
        let waits = tokio::spawn({
            let shares = Arc::clone(&shares);
            async move { shares.place(tenant, Instant::now() + Duration::from_secs(9)).await }
        });
        tokio::task::yield_now().await;
        held.clear();
        assert_eq!(shares.places().len(), 1);
        drop(waits.await.unwrap().unwrap());
        assert!(shares.places().is_empty());
    }
}
