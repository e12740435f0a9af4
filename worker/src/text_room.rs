//! How much memory the texts of documents may take in this process while calls carry them, in all and for one tenant. A run takes
//! room for a document before it reads it, and lets go when the last of its calls about it is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use acm2_domain::ids::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All that there is, in KiB: 256 MiB.
const ALL: u32 = 256 * 1_024;
/// What one tenant may take of it. A document that needs more gets all of it.
const OF_ONE_TENANT: u32 = ALL / 2;

/// The room of this process.
#[derive(Debug)]
pub(crate) struct TextRoom {
    all: Arc<Semaphore>,
    /// Those tenants whose runs hold or wait for some.
    tenants: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
}

/// A text with its room.
#[derive(Debug)]
pub(crate) struct HeldText {
    text: String,
    _room: Room,
}

impl AsRef<str> for HeldText {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Room that is taken.
#[derive(Debug)]
pub(crate) struct Room {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Room {
    /// Puts a text into it.
    pub(crate) fn hold(self, text: String) -> HeldText {
        HeldText { text, _room: self }
    }
}

impl Default for TextRoom {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL as usize)), tenants: Mutex::default() }
    }
}

impl TextRoom {
    /// Waits for room for so many bytes. The tenant's own comes first: who waits for that holds none of the others'.
    pub(crate) async fn take(&self, tenant: TenantId, bytes: u64) -> Option<Room> {
        let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX).clamp(1, OF_ONE_TENANT);
        let own = self.of(tenant).acquire_many_owned(kib).await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_many_owned(kib).await.ok()?;
        Some(Room { _own: own, _of_all: of_all })
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).and_then(Weak::upgrade).unwrap_or_else(|| {
            tenants.retain(|_, room| room.strong_count() > 0);
            let own = Arc::new(Semaphore::new(OF_ONE_TENANT as usize));
            tenants.insert(tenant, Arc::downgrade(&own));
            own
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const HALF: u64 = OF_ONE_TENANT as u64 * 1_024;

    #[test]
    fn one_tenant_leaves_room_to_the_others_and_a_text_of_any_size_gets_some() {
        let room = TextRoom::default();
        let (greedy, other) = (TenantId::generate(), TenantId::generate());
        let held = room.take(greedy, u64::MAX).now_or_never().flatten();
        assert!(held.is_some());
        assert!(room.take(greedy, 1).now_or_never().is_none());
        let others = room.take(other, HALF).now_or_never().flatten().map(|room| room.hold("text".to_owned()));
        assert_eq!(others.as_ref().map(AsRef::as_ref), Some("text"));
        assert!(room.take(TenantId::generate(), 1).now_or_never().is_none());
        drop((held, others));
        assert!(room.take(greedy, HALF).now_or_never().flatten().is_some());
        assert_eq!(room.tenants.lock().unwrap().len(), 1);
    }
}
