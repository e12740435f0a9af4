//! How many calls of providers may be under way in this process, in all and for one tenant, so that no tenant's slow models hold
//! every place. The Journal takes a permit for each attempt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use acm2_domain::ids::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls for images that may be under way at once in this process. Each takes at most about 32 MiB (the body, its JSON, the image,
/// and the statement that writes it), so all of them 512 MiB; a usual image takes a tenth of that.
const IMAGES: usize = 16;
/// Of these, one tenant's.
const IMAGES_OF_ONE_TENANT: usize = IMAGES / 2;

/// The permits of this process.
#[derive(Debug)]
pub(crate) struct CallPermits {
    all: Arc<Semaphore>,
    of_one_tenant: usize,
    /// Those tenants that have a run in this process.
    tenants: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
}

/// The permits that one tenant may take.
#[derive(Debug, Clone)]
pub(crate) struct TenantPermits {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

/// The right to have one call under way.
#[derive(Debug)]
pub(crate) struct CallPermit {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl CallPermits {
    /// `of_one_tenant` of the `all` permits may be one tenant's; at least one each.
    pub(crate) fn new(all: usize, of_one_tenant: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all.clamp(1, Semaphore::MAX_PERMITS))),
            of_one_tenant: of_one_tenant.clamp(1, Semaphore::MAX_PERMITS),
            tenants: Mutex::default(),
        }
    }

    /// The permits for calls that want an image.
    pub(crate) fn of_images() -> Self {
        Self::new(IMAGES, IMAGES_OF_ONE_TENANT)
    }

    /// The permits of a tenant; the same for all its runs.
    pub(crate) fn of(&self, tenant: TenantId) -> TenantPermits {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let own = tenants.get(&tenant).and_then(Weak::upgrade).unwrap_or_else(|| {
            tenants.retain(|_, permits| permits.strong_count() > 0);
            let own = Arc::new(Semaphore::new(self.of_one_tenant));
            tenants.insert(tenant, Arc::downgrade(&own));
            own
        });
        TenantPermits { all: Arc::clone(&self.all), own }
    }
}

impl TenantPermits {
    /// Waits for a permit. The tenant's own comes first: who waits for that holds none of the others' places.
    pub(crate) async fn acquire(&self) -> Option<CallPermit> {
        let own = Arc::clone(&self.own).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(CallPermit { _own: own, _of_all: of_all })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_tenant_leaves_places_to_the_others() {
        let permits = CallPermits::new(4, 3);
        let (greedy, other) = (permits.of(TenantId::generate()), permits.of(TenantId::generate()));
        let held: Vec<_> = (0..3).map(|_| greedy.acquire().now_or_never().flatten()).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(greedy.acquire().now_or_never().is_none());
        assert!(other.acquire().now_or_never().flatten().is_some());
    }

    #[test]
    fn the_runs_of_a_tenant_share_its_permits_and_nothing_is_kept_after_them() {
        let permits = CallPermits::new(4, 1);
        let tenant = TenantId::generate();
        let (first, second) = (permits.of(tenant), permits.of(tenant));
        let held = first.acquire().now_or_never().flatten();
        assert!(held.is_some() && second.acquire().now_or_never().is_none());
        drop((first, second, held));
        let _other = permits.of(TenantId::generate());
        assert_eq!(permits.tenants.lock().unwrap().len(), 1);
    }
}
