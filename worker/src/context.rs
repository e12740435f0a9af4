//! What every job of this process works with, and how its writes outlast a store that is away for a while.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use acm2_broker::Broker;
use acm2_domain::clock::SharedClock;
use acm2_domain::ids::{DeliveryId, RunId, TenantId, WorkerId};
use acm2_domain::prices::Prices;
use acm2_domain::timing::Timing;
use acm2_outbound::Outbound;
use acm2_store::control::TenantRow;
use acm2_store::runs::FenceError;
use acm2_store::{Gather, Store, StoreError};
use acm2_vault::data_key::{DataKey, WrappedDataKey};
use acm2_vault::error::OpenError;
use acm2_vault::keyring::Keyring;
use acm2_vault::places::Place;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::answer_room::AnswerRoom;
use crate::call_permits::CallPermits;
use crate::jobs::Started;
use crate::lanes::Lanes;
use crate::liveness::Liveness;
use crate::page_reader::PageReader;
use crate::progress::Progress;
use crate::receivers::Receivers;
use crate::text_room::TextRoom;

/// What every job works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) broker: Broker,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) page_reader: PageReader,
    pub(crate) prices: Arc<Prices>,
    pub(crate) clock: SharedClock,
    pub(crate) timing: Timing,
    /// This process.
    pub(crate) me: WorkerId,
    /// The tenants that runs are worked on for.
    pub(crate) accounts: Accounts,
    pub(crate) liveness: Arc<Liveness>,
    /// Calls that may be under way at once in this process.
    pub(crate) calls: CallPermits,
    /// Of these, those that want an image.
    pub(crate) image_calls: CallPermits,
    /// What the texts of documents may take.
    pub(crate) text_room: TextRoom,
    /// What answers take that later stages read.
    pub(crate) answer_room: AnswerRoom,
    /// Deliveries that may be under way at once to one receiver.
    pub(crate) receivers: Receivers,
    /// The lanes that its calls go in.
    pub(crate) lanes: Lanes,
    /// Claims of runs that nobody has claimed yet.
    pub(crate) first_claims: Gather<TenantId, RunId, Option<Started>>,
    /// Runs that have a handler in this process right now.
    pub(crate) live_runs: Live<RunId>,
    /// Runs whose new events are still to be told of.
    pub(crate) progress: Progress,
    /// Deliveries that have one.
    pub(crate) live_deliveries: Live<DeliveryId>,
    /// The process ends now, whatever is in flight.
    pub(crate) hard_stop: CancellationToken,
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Another worker has the run, or it has ended.
    #[error("the run is no longer held")]
    Lost,
    /// The process ends.
    #[error("the process ends")]
    Ending,
    /// The store refuses in a way that waiting does not mend.
    #[error(transparent)]
    Defect(StoreError),
}

impl Context {
    /// Runs a transaction, again and again while the store is away. `transaction` is given the number of the try, from 0: from
    /// the second on it must find out whether an earlier one was applied after all (PROTOCOL rule 6).
    pub(crate) async fn stored<'a, T>(
        &self,
        mut transaction: impl FnMut(u32) -> BoxFuture<'a, Result<T, FenceError>> + Send,
    ) -> Result<T, Trouble> {
        for number in 0.. {
            match transaction(number).await {
                Ok(value) => return Ok(value),
                Err(FenceError::Lost) => return Err(Trouble::Lost),
                Err(FenceError::Store(error)) if !error.is_unavailable() => return Err(Trouble::Defect(error)),
                Err(FenceError::Store(error)) if number == 0 => {
                    tracing::warn!(%error, "the store is away; waiting for it");
                }
                Err(FenceError::Store(_)) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(self.timing.store_retry) => {}
                () = self.hard_stop.cancelled() => return Err(Trouble::Ending),
            }
        }
        Err(Trouble::Ending)
    }
}

impl Context {
    /// Opens a secret of a tenant.
    pub(crate) fn open_secret(
        &self,
        tenant: &TenantRow,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<SecretString, OpenError> {
        self.data_key(tenant)?.open_at(tenant.id, place, sealed)
    }

    /// The tenant's data key, unwrapped.
    pub(crate) fn data_key(&self, tenant: &TenantRow) -> Result<Arc<DataKey>, OpenError> {
        let wrapped = WrappedDataKey {
            master_key_id: tenant.data_key.master_key_id.clone(),
            bytes: tenant.data_key.bytes.clone(),
        };
        self.keyring.data_key(tenant.id, &wrapped)
    }
}

/// What has a handler in this process.
#[derive(Debug, Clone)]
pub(crate) struct Live<T>(Arc<Mutex<HashSet<T>>>);

impl<T> Default for Live<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Copy + Eq + Hash> Live<T> {
    /// Enters one, unless it is there already. It leaves when the entry is dropped.
    pub(crate) fn enter(&self, id: T) -> Option<LiveEntry<T>> {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.insert(id).then(|| LiveEntry { live: self.clone(), id })
    }
}

/// An entry among the live ones.
#[derive(Debug)]
pub(crate) struct LiveEntry<T: Copy + Eq + Hash> {
    live: Live<T>,
    id: T,
}

impl<T: Copy + Eq + Hash> Drop for LiveEntry<T> {
    fn drop(&mut self) {
        self.live.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
