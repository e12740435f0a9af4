//! The rows of tenants that this process works for, kept for a moment: a tenant with many runs is not looked up for each. A run
//! keeps its tenant's row for as long as it is worked on, so that nothing changes at once anyway. `jobs/run` asks it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acm2_domain::ids::TenantId;
use acm2_store::control::TenantRow;
use acm2_store::{Store, StoreError};
use tokio::time::Instant;

/// How many are kept.
const MOST: usize = 10_000;

/// The tenants that were looked up lately.
#[derive(Debug)]
pub(crate) struct Accounts {
    kept_for: Duration,
    found: Mutex<HashMap<TenantId, (Arc<TenantRow>, Instant)>>,
}

impl Accounts {
    pub(crate) fn new(kept_for: Duration) -> Self {
        Self { kept_for, found: Mutex::default() }
    }

    /// The tenant, as it stood within the last moments; `None` where there is none.
    pub(crate) async fn find(&self, store: &Store, id: TenantId) -> Result<Option<Arc<TenantRow>>, StoreError> {
        if let Some(kept) = self.kept(id) {
            return Ok(Some(kept));
        }
        let Some(row) = store.tenants().find(id).await?.map(Arc::new) else { return Ok(None) };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MOST {
            found.retain(|_, (_, at)| at.elapsed() < self.kept_for);
        }
        // Where so many are new, looking up costs less than keeping.
        if found.len() < MOST {
            found.insert(id, (Arc::clone(&row), Instant::now()));
        }
        Ok(Some(row))
    }

    fn kept(&self, id: TenantId) -> Option<Arc<TenantRow>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(&id).filter(|(_, at)| at.elapsed() < self.kept_for).map(|(row, _)| Arc::clone(row))
    }
}
