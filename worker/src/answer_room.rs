//! How much memory the answers take in this process that its runs hold for later stages to read, in all and for one tenant. Where it
//! is too much, large runs go back to the queue for a while: what they were answered is stored, and they lose nothing but their place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use acm2_domain::ids::{RunId, TenantId};
use tokio::sync::OwnedMutexGuard;

/// The room of this process.
#[derive(Debug)]
pub(crate) struct AnswerRoom {
    books: Arc<Mutex<Books>>,
    bounds: Bounds,
    /// Those tenants that have a run in this process.
    tenants: Mutex<HashMap<TenantId, Weak<TenantRoom>>>,
}

/// One tenant's part of it.
#[derive(Debug)]
pub(crate) struct TenantRoom {
    id: TenantId,
    books: Arc<Mutex<Books>>,
    bounds: Bounds,
    /// Reading what earlier claims left, one run after the other.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Bytes of all.
    most: u64,
    /// A run that holds no more than this is not what the room is wanting for: all of them together hold no more than one tenant may.
    little: u64,
}

/// Who holds how much.
#[derive(Debug, Default)]
struct Books {
    all: Sum,
    tenants: HashMap<TenantId, Tenancy>,
    /// The number of the next run.
    next: u64,
}

/// The runs of a tenant.
#[derive(Debug, Default)]
struct Tenancy {
    runs: HashMap<u64, Holding>,
    /// The run that came back in vain and what it brings, which the others leave it, until it comes in or no longer comes.
    awaited: Option<(RunId, u64, Instant)>,
    /// When the next one that finds no room comes again.
    next_turn: Option<Instant>,
}

/// What one run holds.
#[derive(Debug, Default, Clone, Copy)]
struct Holding {
    bytes: u64,
    /// It is about to go: its calls that are under way are awaited.
    goes: bool,
}

/// Bytes, and those of them that stay.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    held: u64,
    stay: u64,
}

impl Sum {
    fn of(runs: &HashMap<u64, Holding>) -> Self {
        let held = runs.values().map(|run| run.bytes).sum();
        Self { held, stay: runs.values().filter(|run| !run.goes).map(|run| run.bytes).sum() }
    }
}

impl Bounds {
    /// Whether a tenant that holds so much holds too much, beside all.
    fn are_passed(self, held: u64, all: u64) -> bool {
        held > self.most / 2 || (all > self.most && held > self.most / 8)
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
        Self { books: Arc::default(), bounds, tenants: Mutex::default() }
    }

    /// That of a tenant; the same for all its runs.
    pub(crate) fn of(&self, tenant: TenantId) -> Arc<TenantRoom> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).and_then(Weak::upgrade).unwrap_or_else(|| {
            tenants.retain(|_, room| room.strong_count() > 0);
            let room = Arc::new(TenantRoom {
                id: tenant,
                books: Arc::clone(&self.books),
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

    /// Whether a run that holds nothing yet may begin: while no more is held than three fourths of the bounds, and where the tenant
    /// has no large run.
    pub(crate) fn admits(&self) -> bool {
        let books = self.books();
        let Some(Tenancy { runs, awaited, .. }) = books.tenants.get(&self.id) else { return true };
        let is_awaited = awaited.is_some_and(|(_, _, until)| Instant::now() < until);
        let more = |held: u64| held.saturating_mul(4) / 3;
        let are_passed = self.bounds.are_passed(more(Sum::of(runs).held), more(books.all.held));
        !self.has_large(runs) || !(is_awaited || are_passed)
    }

    /// Whether a run may come back that brings so many bytes: where there is room for them beside what is held, where they are few, and
    /// where the tenant has no large run. If not, the others leave it that room for so long.
    pub(crate) fn admits_again(&self, run: RunId, bytes: u64, patience: Duration) -> bool {
        let mut books = self.books();
        let all = books.all.held;
        let Some(Tenancy { runs, awaited, .. }) = books.tenants.get_mut(&self.id) else { return true };
        if bytes <= self.bounds.little {
            return true;
        }
        let now = Instant::now();
        let other = awaited.filter(|(awaited, _, until)| *awaited != run && now < *until);
        let with_it = |held: u64| held.saturating_add(bytes).saturating_add(other.map_or(0, |(_, bytes, _)| bytes));
        let is_let_in = !self.has_large(runs) || !self.bounds.are_passed(with_it(Sum::of(runs).held), with_it(all));
        if other.is_none() {
            *awaited = (!is_let_in).then(|| (run, bytes, now + patience));
        }
        is_let_in
    }

    /// After how long one that found no room comes again: one after the other, so that a long queue of such runs is not turned over all
    /// the time; between so long and sixty times that.
    pub(crate) fn next_turn(&self, least: Duration) -> Duration {
        let mut books = self.books();
        let Some(tenancy) = books.tenants.get_mut(&self.id) else { return least };
        let now = Instant::now();
        let turn = tenancy.next_turn.map_or(now + least, |turn| turn.clamp(now + least, now + 60 * least));
        tenancy.next_turn = Some(turn + least / 100);
        turn - now
    }

    fn has_large(&self, runs: &HashMap<u64, Holding>) -> bool {
        runs.values().any(|run| run.bytes > self.bounds.little)
    }

    /// The room of a run that holds nothing yet.
    pub(crate) fn run(self: &Arc<Self>) -> RunRoom {
        let mut books = self.books();
        books.next += 1;
        let number = books.next;
        books.tenants.entry(self.id).or_default().runs.insert(number, Holding::default());
        RunRoom { number, tenant: Arc::clone(self) }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one run holds. Dropping it gives the room back.
#[derive(Debug)]
pub(crate) struct RunRoom {
    number: u64,
    tenant: Arc<TenantRoom>,
}

impl RunRoom {
    /// Counts what it holds now.
    pub(crate) fn add(&self, bytes: u64) {
        let mut books = self.tenant.books();
        let Books { all, tenants, .. } = &mut *books;
        let tenancy = tenants.get_mut(&self.tenant.id);
        let Some(run) = tenancy.and_then(|tenancy| tenancy.runs.get_mut(&self.number)) else { return };
        run.bytes += bytes;
        all.held += bytes;
        if !run.goes {
            all.stay += bytes;
        }
    }

    /// Whether the run is to go, and then what it holds no longer counts for the others. The last large run of its tenant stays:
    /// something must go on.
    pub(crate) fn is_to_go(&self) -> bool {
        let TenantRoom { id, bounds, .. } = &*self.tenant;
        let mut books = self.tenant.books();
        let Books { all, tenants, .. } = &mut *books;
        let Some(Tenancy { runs, .. }) = tenants.get_mut(id) else { return false };
        let stay = Sum::of(runs).stay;
        let stays_large =
            |(number, run): (&u64, &Holding)| *number != self.number && !run.goes && run.bytes > bounds.little;
        let is_last = !runs.iter().any(stays_large);
        let Some(run) = runs.get_mut(&self.number) else { return false };
        if run.goes {
            return true;
        }
        if run.bytes <= bounds.little || is_last || !bounds.are_passed(stay, all.stay) {
            return false;
        }
        run.goes = true;
        all.stay -= run.bytes;
        true
    }
}

impl Drop for RunRoom {
    fn drop(&mut self) {
        let mut books = self.tenant.books();
        let Books { all, tenants, .. } = &mut *books;
        let Some(Tenancy { runs, .. }) = tenants.get_mut(&self.tenant.id) else { return };
        if let Some(run) = runs.remove(&self.number) {
            all.held -= run.bytes;
            if !run.goes {
                all.stay -= run.bytes;
            }
        }
        if runs.is_empty() {
            tenants.remove(&self.tenant.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ALL: u64 = 1_024;
    const LONG: Duration = Duration::from_mins(1);

    fn run(room: &Arc<TenantRoom>, bytes: u64) -> RunRoom {
        let run = room.run();
        run.add(bytes);
        run
    }

    fn is_empty(room: &AnswerRoom) -> bool {
        let books = room.books.lock().unwrap();
        books.all == Sum::default() && books.tenants.is_empty()
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
        assert!(!large.is_to_go() && other.is_to_go() && !tenant.admits());
        drop(other);
        assert!(tenant.admits());
        let [back, another] = [(); 2].map(|()| RunId::generate());
        assert!(!tenant.admits_again(back, 205, LONG), "one that comes back must have room for all that it brings");
        assert!(!tenant.admits() && !tenant.admits_again(another, 9, LONG), "which the others leave it");
        assert!(tenant.admits_again(another, 8, LONG), "but for one that brings little");
        assert!(tenant.admits_again(back, 204, LONG) && tenant.admits() && tenant.admits_again(another, 9, LONG));
        assert!(!tenant.admits_again(back, 205, Duration::ZERO) && tenant.admits(), "it is no longer waited for");
        // Beside little ones it is the last that could go.
        large.add(400);
        assert!(!large.is_to_go() && !tenant.admits());
        drop(large);
        assert!(tenant.admits() && tenant.admits_again(back, 700, LONG));
        drop(little);
        assert!(is_empty(&room));
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
        assert!(is_empty(&room));
        drop((first, second, third));
        let _other = room.of(TenantId::generate());
        assert_eq!(room.tenants.lock().unwrap().len(), 1);
    }

    #[test]
    fn those_who_find_no_room_come_again_one_after_the_other() {
        let room = AnswerRoom::new(ALL, 64);
        let tenant = room.of(TenantId::generate());
        assert_eq!(tenant.next_turn(LONG), LONG);
        let _large = run(&tenant, 600);
        let turns: Vec<Duration> = (0..10_000).map(|_| tenant.next_turn(LONG)).collect();
        assert_eq!(turns[0], LONG);
        assert!(turns[100] > LONG + LONG * 9 / 10 && turns[100] <= 2 * LONG, "{:?}", turns[100]);
        assert!(turns.iter().all(|turn| (LONG..=60 * LONG).contains(turn)));
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
