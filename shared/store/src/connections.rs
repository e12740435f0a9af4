//! The connections to tenants' schemas. Each keeps to the tenant that it served last while there are others for the rest: one
//! that serves another tenant than before plans each statement anew, for its search path is another. `postgres` takes one for
//! each transaction, and `shares` says how many of them a tenant may have.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acm2_domain::ids::TenantId;
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The connections of a process.
#[derive(Debug)]
pub(crate) struct Connections {
    /// Each is a pool of one, which opens its connection, looks at it and renews it.
    pools: Vec<PgPool>,
    /// One place for each that is idle; who waits is served in the order of coming.
    free: Arc<Semaphore>,
    /// Those that are idle, the longest idle first.
    idle: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    number: usize,
    /// The tenant that it served last; `None` where it could not begin then.
    served: Option<TenantId>,
}

impl Connections {
    pub(crate) fn new(pools: Vec<PgPool>) -> Arc<Self> {
        let idle = (0..pools.len()).map(|number| Idle { number, served: None }).collect();
        Arc::new(Self { free: Arc::new(Semaphore::new(pools.len())), idle: Mutex::new(idle), pools })
    }

    /// The pool of one connection: the one that served the tenant last if it is open, else the one that has been idle for longest of
    /// those that are. Where none is open, one has to be opened, and whichever could not be lately comes last.
    ///
    /// # Errors
    /// Where none becomes free before `deadline`, the error that a pool gives for want of a connection.
    pub(crate) async fn take(self: &Arc<Self>, tenant: TenantId, deadline: Instant) -> Result<Taken, sqlx::Error> {
        let waiting = timeout_at(deadline, Arc::clone(&self.free).acquire_owned());
        let Ok(Ok(permit)) = waiting.await else { return Err(sqlx::Error::PoolTimedOut) };
        let mut idle = self.idle();
        let own = idle.iter().rposition(|connection| connection.served == Some(tenant));
        // Not `num_idle`: a connection that was just given back is on its way into its pool.
        let is_open = |at: &usize| self.pools[idle[*at].number].size() > 0;
        let at = own.filter(is_open).or_else(|| idle.iter().position(|slot| self.is_ready(slot))).or(own).unwrap_or(0);
        // There is one for each permit.
        let Some(Idle { number, .. }) = idle.remove(at) else { return Err(sqlx::Error::PoolTimedOut) };
        Ok(Taken { number, served: None, connections: Arc::clone(self), _permit: permit })
    }

    /// Whether one that is idle can be used without opening it.
    pub(crate) fn has_ready(&self) -> bool {
        self.idle().iter().any(|slot| self.is_ready(slot))
    }

    fn is_ready(&self, slot: &Idle) -> bool {
        self.pools[slot.number].num_idle() > 0
    }

    /// All of them, for the start and the end of the process.
    pub(crate) fn pools(&self) -> &[PgPool] {
        &self.pools
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use one of them; dropping it gives it back. What uses it must be dropped first.
#[derive(Debug)]
pub(crate) struct Taken {
    number: usize,
    served: Option<TenantId>,
    connections: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
}

impl Taken {
    pub(crate) fn pool(&self) -> &PgPool {
        &self.connections.pools[self.number]
    }

    /// It began a transaction of the tenant, and so it is kept for it.
    pub(crate) fn note_served(&mut self, tenant: TenantId) {
        self.served = Some(tenant);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.connections.idle().push_back(Idle { number: self.number, served: self.served });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;

    /// None of them connects anywhere.
    fn connections(count: usize) -> Arc<Connections> {
        let pool =
            |_| PgPoolOptions::new().max_connections(1).connect_lazy_with(PgConnectOptions::new_without_pgpass());
        Connections::new((0..count).map(pool).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn each_keeps_to_its_tenant_until_another_has_none() {
        let connections = connections(3);
        let [a, b, c, d] = [(); 4].map(|()| TenantId::generate());
        let soon = Instant::now() + Duration::from_secs(1);
        let mut numbers = Vec::new();
        for tenant in [a, b, c, b, a, c, d, c, b] {
            let mut taken = connections.take(tenant, soon).await.unwrap();
            taken.note_served(tenant);
            numbers.push(taken.number);
        }
        let [of_a, of_b, of_c, again_b, again_a, again_c, of_d, and_c, and_b] = numbers[..] else { unreachable!() };
        assert_eq!((again_a, again_b, again_c, and_c), (of_a, of_b, of_c, of_c));
        // The longest idle of the three was b's, so that b then takes the longest idle of the others.
        assert_eq!((of_d, and_b), (of_b, of_a));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_sticks_to_one_that_cannot_begin() {
        let connections = connections(2);
        let tenant = TenantId::generate();
        let soon = Instant::now() + Duration::from_secs(1);
        let broken = connections.take(tenant, soon).await.unwrap().number;
        let mut other = connections.take(tenant, soon).await.unwrap();
        assert_ne!(other.number, broken);
        other.note_served(tenant);
        drop(other);
        for _ in 0..3 {
            let mut taken = connections.take(tenant, soon).await.unwrap();
            assert_ne!(taken.number, broken);
            taken.note_served(tenant);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_used_once_at_a_time_and_comes_back() {
        let connections = connections(2);
        let tenant = TenantId::generate();
        let soon = Instant::now() + Duration::from_secs(1);
        let (one, two) = (connections.take(tenant, soon).await.unwrap(), connections.take(tenant, soon).await.unwrap());
        assert_ne!(one.number, two.number);
        assert!(matches!(connections.take(tenant, soon).await, Err(sqlx::Error::PoolTimedOut)));
        // Who gives up waiting takes none with it.
        let number = two.number;
        drop(two);
        assert_eq!(connections.take(TenantId::generate(), soon).await.unwrap().number, number);
        drop(one);
        assert_eq!(connections.idle().len(), 2);
    }
}
