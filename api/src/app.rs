//! The parts of a process, built in one place (`open`) and handed to everyone: routes, admin commands, the embedded worker.

use std::ops::Deref;
use std::sync::Arc;

use acm2_broker::Broker;
use acm2_domain::clock::SyncedClock;
use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::{TenantId, WorkerId};
use acm2_domain::prices::Prices;
use acm2_domain::timing::Timing;
use acm2_outbound::Outbound;
use acm2_runtime::config::Config;
use acm2_runtime::shutdown::Shutdown;
use acm2_store::Store;
use acm2_store::control::{StoredDataKey, TenantRow};
use acm2_vault::data_key::{DataKey, WrappedDataKey};
use acm2_vault::keyring::Keyring;
use acm2_vault::verify_cache::VerifyCache;

use crate::middleware::Metrics;
use crate::plain_runs::PlainRuns;
use crate::problem::Failure;
use crate::timelines::Timelines;
use crate::waiters::Waiters;

/// The parts of a process; cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// What `App` holds.
#[derive(Debug)]
pub struct Parts {
    /// What the operator configured.
    pub config: Arc<Config>,
    /// Everything that is stored.
    pub store: Store,
    /// The master keys.
    pub keyring: Arc<Keyring>,
    /// The queue and the signals.
    pub broker: Broker,
    /// The only way out of the house.
    pub outbound: Arc<Outbound>,
    /// What tokens cost.
    pub prices: Arc<Prices>,
    /// The time, kept on the database's.
    pub clock: Arc<SyncedClock>,
    /// Every duration.
    pub timing: Timing,
    /// Metrics of this process.
    pub metrics: Arc<Metrics>,
    /// API keys that were checked before.
    pub verified: VerifyCache,
    /// This process.
    pub me: WorkerId,
    /// Runs that are being submitted.
    pub plain_runs: PlainRuns,
    /// Those who wait for a run.
    pub waiters: Waiters,
    /// Those who stream events.
    pub streams: Waiters,
    /// The runs whose events are streamed.
    pub timelines: Timelines,
    /// How this process is told to end.
    pub shutdown: Shutdown,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// From its parts; `open` makes them.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The tenant's data key, unwrapped.
    ///
    /// # Errors
    /// `Unavailable` where this process does not hold the master key: another one may.
    pub fn data_key(&self, tenant: &TenantRow) -> Result<Arc<DataKey>, Error> {
        self.keyring.data_key(tenant.id, &wrapped(&tenant.data_key)).map_err(|error| {
            tracing::error!(tenant.id = %tenant.id, %error, "a tenant's data key does not open");
            Error::new(
                Kind::Unavailable,
                "data_key_unavailable",
                "the keys of this tenant cannot be opened at the moment",
            )
        })
    }

    /// The tenant and its data key.
    pub async fn tenant_and_key(&self, tenant: TenantId) -> Result<(TenantRow, Arc<DataKey>), Failure> {
        let row = self.store.tenants().get(tenant).await?;
        let key = self.data_key(&row)?;
        Ok((row, key))
    }
}

/// As the vault takes it.
pub fn wrapped(stored: &StoredDataKey) -> WrappedDataKey {
    WrappedDataKey { master_key_id: stored.master_key_id.clone(), bytes: stored.bytes.clone() }
}

/// As the store takes it.
pub fn stored(wrapped: WrappedDataKey) -> StoredDataKey {
    StoredDataKey { master_key_id: wrapped.master_key_id, bytes: wrapped.bytes }
}

/// The failure of a handler that was mounted without an `App`.
pub(crate) fn missing() -> Failure {
    Failure::Domain(Error::new(Kind::Internal, "internal", "the routes were built without an app"))
}
