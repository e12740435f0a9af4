//! How much memory the texts of documents may take in this process while calls carry them, in all and for one tenant. A run takes
//! room for a document before it reads it, and lets go when the last of its calls about it is over. Of these as many are under way
//! at a time as the room is enough for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use acm2_domain::ids::TenantId;
use acm2_domain::journal::{Carried, Turn};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All that there is, in KiB: 256 MiB.
const ALL: u32 = 256 * 1_024;
/// What one tenant may take of it, so that a few with slow models leave some to the others. A document that needs more gets all
/// of it.
const OF_ONE_TENANT: u32 = ALL / 4;

/// The room of this process.
#[derive(Debug)]
pub(crate) struct TextRoom {
    all: Arc<Semaphore>,
    /// Those tenants whose runs hold or wait for some.
    tenants: Mutex<HashMap<TenantId, Weak<OfTenant>>>,
}

#[derive(Debug)]
struct OfTenant {
    room: Arc<Semaphore>,
    /// The one turn to wait as long as it takes.
    patience: Arc<Semaphore>,
}

/// The right to wait for room as long as it takes.
#[derive(Debug)]
pub(crate) struct Patience {
    _turn: OwnedSemaphorePermit,
    _of_tenant: Arc<OfTenant>,
}

/// A text with its room.
#[derive(Debug)]
pub(crate) struct HeldText {
    text: String,
    /// Calls that may carry it at a time.
    turns: Arc<Semaphore>,
    _room: Room,
}

impl AsRef<str> for HeldText {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl Carried for HeldText {
    fn turn(&self) -> BoxFuture<'_, Turn> {
        // The turns are never closed.
        Arc::clone(&self.turns).acquire_owned().map(|turn| Box::new(turn) as Turn).boxed()
    }
}

/// Room that is taken.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    /// As long as it is held the tenant has no other.
    _of_tenant: Arc<OfTenant>,
}

impl Room {
    /// Puts a text into it. Beside itself each call takes twice as much, once as it is asked and once as it is sent; at least one
    /// is made.
    pub(crate) fn hold(self, text: String) -> HeldText {
        let beside = self.bytes.saturating_sub(text.len()) / (2 * text.len()).max(1);
        let turns = Arc::new(Semaphore::new(beside.clamp(1, Semaphore::MAX_PERMITS)));
        HeldText { text, turns, _room: self }
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
        let of_tenant = self.of(tenant);
        let own = Arc::clone(&of_tenant.room).acquire_many_owned(kib).await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_many_owned(kib).await.ok()?;
        Some(Room { bytes: kib as usize * 1_024, _own: own, _of_all: of_all, _of_tenant: of_tenant })
    }

    /// The right to wait on, for one of a tenant's runs at a time: whoever goes away loses its turn, and one that needs much would
    /// never come to have it where others that need little come and go.
    pub(crate) fn patience(&self, tenant: TenantId) -> Option<Patience> {
        let of_tenant = self.of(tenant);
        let turn = Arc::clone(&of_tenant.patience).try_acquire_owned().ok()?;
        Some(Patience { _turn: turn, _of_tenant: of_tenant })
    }

    fn of(&self, tenant: TenantId) -> Arc<OfTenant> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).and_then(Weak::upgrade).unwrap_or_else(|| {
            tenants.retain(|_, room| room.strong_count() > 0);
            let of_tenant = Arc::new(OfTenant {
                room: Arc::new(Semaphore::new(OF_ONE_TENANT as usize)),
                patience: Arc::new(Semaphore::new(1)),
            });
            tenants.insert(tenant, Arc::downgrade(&of_tenant));
            of_tenant
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: u64 = OF_ONE_TENANT as u64 * 1_024;

    fn take(room: &TextRoom, tenant: TenantId, bytes: u64) -> Option<Room> {
        room.take(tenant, bytes).now_or_never().flatten()
    }

    #[test]
    fn two_tenants_leave_room_to_the_others_and_a_text_of_any_size_gets_some() {
        let room = TextRoom::default();
        let (greedy, other) = (TenantId::generate(), TenantId::generate());
        let held = [take(&room, greedy, u64::MAX), take(&room, other, SHARE)];
        assert!(held.iter().all(Option::is_some));
        assert!(take(&room, greedy, 1).is_none() && take(&room, other, 1).is_none());
        let third = take(&room, TenantId::generate(), SHARE).map(|room| room.hold("text".to_owned()));
        assert_eq!(third.as_ref().map(AsRef::as_ref), Some("text"));
        let fourth = take(&room, TenantId::generate(), SHARE);
        assert!(fourth.is_some() && take(&room, TenantId::generate(), 1).is_none(), "there is no more than all");
        drop((held, third, fourth));
        assert!(take(&room, greedy, SHARE).is_some());
        assert_eq!(room.tenants.lock().unwrap().len(), 1);
    }

    #[test]
    fn one_of_a_tenant_at_a_time_may_wait_as_long_as_it_takes() {
        let room = TextRoom::default();
        let tenant = TenantId::generate();
        let first = room.patience(tenant);
        assert!(first.is_some() && room.patience(tenant).is_none());
        assert!(room.patience(TenantId::generate()).is_some());
        drop(first);
        assert!(room.patience(tenant).is_some());
    }

    #[test]
    fn no_more_calls_carry_a_text_than_there_is_room_for() {
        let room = TextRoom::default();
        let tenant = TenantId::generate();
        let text = "x".repeat(OF_ONE_TENANT as usize * 128);
        // What ten calls would take is more than there is.
        for (calls, expected) in [(1_u64, 1), (3, 3), (10, 3)] {
            let held = take(&room, tenant, text.len() as u64 * (1 + 2 * calls)).unwrap().hold(text.clone());
            let turns: Vec<Turn> = (0..expected).map(|_| held.turn().now_or_never().unwrap()).collect();
            assert!(held.turn().now_or_never().is_none(), "{calls}");
            drop(turns);
            assert!(held.turn().now_or_never().is_some());
        }
        let too_large = take(&room, tenant, u64::MAX).unwrap().hold("x".repeat(OF_ONE_TENANT as usize * 1_025));
        assert!(too_large.turn().now_or_never().is_some(), "one call is always made");
    }
}
