//! How much memory the answers take in this process that its runs hold for later stages to read, in all and for one tenant. Where it
//! is too much, large runs go back to the queue for a while: what they were answered is stored, and they lose nothing but their place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use acm2_domain::ids::TenantId;
use tokio::sync::OwnedMutexGuard;

/// The room of this process.
#[derive(Debug)]
pub(crate) struct AnswerRoom {
    all: Arc<Held>,
    bounds: Bounds,
    /// Those tenants that have a run in this process.
    tenants: Mutex<HashMap<TenantId, Weak<TenantRoom>>>,
}

/// What one tenant's runs hold of it.
#[derive(Debug)]
pub(crate) struct TenantRoom {
    held: Held,
    all: Arc<Held>,
    bounds: Bounds,
    /// Reading what earlier claims left, one run after the other: how much it is, is known afterwards.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Bytes of all.
    most: u64,
    /// A run that holds no more than this is not what the room is wanting for: all of them together hold no more than one tenant may.
    little: u64,
}

/// Bytes, and those of them that are about to go.
#[derive(Debug, Default)]
struct Held {
    all: AtomicU64,
    going: AtomicU64,
}

impl Held {
    fn staying(&self) -> u64 {
        self.all.load(Ordering::Relaxed).saturating_sub(self.going.load(Ordering::Relaxed))
    }
}

/// The turn to read what earlier claims of a run left. Until it is dropped nobody else of the tenant has it.
#[derive(Debug)]
pub(crate) struct Turn {
    _reading: OwnedMutexGuard<()>,
    /// As long as it is held the tenant has no other room.
    _room: Arc<TenantRoom>,
}

impl AnswerRoom {
    /// `most`: bytes of all runs, of which so many are worked on at a time. Half of it may be one tenant's, and an eighth of it any
    /// tenant's, whatever the others hold.
    pub(crate) fn new(most: u64, runs: usize) -> Self {
        let bounds = Bounds { most, little: most / 2 / (runs.max(1) as u64) };
        Self { all: Arc::default(), bounds, tenants: Mutex::default() }
    }

    /// That of a tenant; the same for all its runs.
    pub(crate) fn of(&self, tenant: TenantId) -> Arc<TenantRoom> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).and_then(Weak::upgrade).unwrap_or_else(|| {
            tenants.retain(|_, room| room.strong_count() > 0);
            let room = Arc::new(TenantRoom {
                held: Held::default(),
                all: Arc::clone(&self.all),
                bounds: self.bounds,
                reading: Arc::default(),
            });
            tenants.insert(tenant, Arc::downgrade(&room));
            room
        })
    }
}

impl TenantRoom {
    /// Waits for the turn to read what earlier claims of a run left.
    pub(crate) async fn turn(self: &Arc<Self>) -> Turn {
        Turn { _reading: Arc::clone(&self.reading).lock_owned().await, _room: Arc::clone(self) }
    }

    /// Whether one more run may begin to hold answers: while less is held than makes runs go, so that they do not come and go all the
    /// time; and where the tenant holds none.
    pub(crate) fn admits(&self) -> bool {
        let (held, all) = (self.held.all.load(Ordering::Relaxed), self.all.all.load(Ordering::Relaxed));
        held == 0 || !self.bounds.are_passed(held.saturating_mul(4) / 3, all.saturating_mul(4) / 3)
    }

    /// The room of a run that holds nothing yet.
    pub(crate) fn run(self: &Arc<Self>) -> RunRoom {
        RunRoom { bytes: AtomicU64::new(0), goes: AtomicBool::new(false), tenant: Arc::clone(self) }
    }
}

impl Bounds {
    /// Whether a tenant that holds so much holds too much, beside all.
    fn are_passed(self, held: u64, all: u64) -> bool {
        held > self.most / 2 || (all > self.most && held > self.most / 8)
    }
}

/// What one run holds. Dropping it gives the room back.
#[derive(Debug)]
pub(crate) struct RunRoom {
    bytes: AtomicU64,
    goes: AtomicBool,
    tenant: Arc<TenantRoom>,
}

impl RunRoom {
    /// Counts what it holds now.
    pub(crate) fn add(&self, bytes: u64) {
        let goes = self.goes.load(Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        for held in [&self.tenant.held, &*self.tenant.all] {
            held.all.fetch_add(bytes, Ordering::Relaxed);
            if goes {
                held.going.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    /// Whether the run is to go, and then what it holds no longer counts for the others. The last run of its tenant stays: something
    /// must go on.
    pub(crate) fn is_to_go(&self) -> bool {
        let TenantRoom { held, all, bounds, .. } = &*self.tenant;
        let own = self.bytes.load(Ordering::Relaxed);
        let is_last = held.staying() <= own;
        if own <= bounds.little || is_last || !bounds.are_passed(held.staying(), all.staying()) {
            return false;
        }
        if !self.goes.swap(true, Ordering::Relaxed) {
            for held in [held, &**all] {
                held.going.fetch_add(own, Ordering::Relaxed);
            }
        }
        true
    }
}

impl Drop for RunRoom {
    fn drop(&mut self) {
        let (own, goes) = (*self.bytes.get_mut(), *self.goes.get_mut());
        for held in [&self.tenant.held, &*self.tenant.all] {
            held.all.fetch_sub(own, Ordering::Relaxed);
            if goes {
                held.going.fetch_sub(own, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ALL: u64 = 1_024;

    fn run(room: &Arc<TenantRoom>, bytes: u64) -> RunRoom {
        let run = room.run();
        run.add(bytes);
        run
    }

    #[test]
    fn of_a_tenant_that_holds_more_than_half_as_many_large_runs_go_as_must_and_no_other_begins() {
        let room = AnswerRoom::new(ALL, 64);
        let tenant = room.of(TenantId::generate());
        let (large, other, little) = (run(&tenant, 300), run(&tenant, 200), run(&tenant, 8));
        assert!(!large.is_to_go() && !tenant.admits());
        other.add(10);
        assert!(!little.is_to_go() && other.is_to_go(), "a little one frees nothing");
        // One is enough, and what comes to it meanwhile goes with it.
        other.add(300);
        assert!(!large.is_to_go() && !tenant.admits());
        drop(other);
        assert!(tenant.admits());
        large.add(400);
        assert!(large.is_to_go() && !little.is_to_go());
        drop((large, little));
        let alone = run(&tenant, 600);
        assert!(!alone.is_to_go() && !tenant.admits());
        drop(alone);
        assert_eq!((room.all.staying(), room.all.going.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn where_all_is_full_each_tenant_may_have_an_eighth() {
        let room = AnswerRoom::new(ALL, 64);
        let [first, second, third] = [(); 3].map(|()| room.of(TenantId::generate()));
        let alone = run(&first, 600);
        let pair = [run(&second, 200), run(&second, 200)];
        assert!(!pair[0].is_to_go());
        let small = [run(&third, 60), run(&third, 60)];
        small[0].add(8);
        assert!(!small.iter().any(RunRoom::is_to_go) && !third.admits());
        assert!(pair[0].is_to_go() && !pair[1].is_to_go() && !alone.is_to_go());
        assert!(room.of(TenantId::generate()).admits());
        drop((alone, pair, small));
        assert_eq!((room.all.staying(), room.all.going.load(Ordering::Relaxed)), (0, 0));
        drop((first, second, third));
        let _other = room.of(TenantId::generate());
        assert_eq!(room.tenants.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_tenants_runs_read_one_after_the_other() {
        let room = AnswerRoom::new(ALL, 64);
        let tenant = TenantId::generate();
        let turn = room.of(tenant).turn().now_or_never();
        assert!(turn.is_some() && room.of(tenant).turn().now_or_never().is_none());
        assert!(room.of(TenantId::generate()).turn().now_or_never().is_some());
        drop(turn);
        assert!(room.of(tenant).turn().now_or_never().is_some());
    }
}
