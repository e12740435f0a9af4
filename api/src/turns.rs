//! Turns at work that takes much of this process, such as reading a file or making a report: a few at a time, and one of each tenant.
//! Who waits for their own tenant's turn holds none of the others', so that nobody's crowd stands in front of everyone. Called by
//! `extraction` and `outcome`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use acm2_domain::ids::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Turns at one kind of work.
#[derive(Debug)]
pub(crate) struct Turns {
    of_all: Semaphore,
    /// As many of one tenant have a turn or wait.
    most_of_one: usize,
    /// As many of all tenants.
    most: usize,
    /// Those who have a turn or wait: one of each tenant at a time.
    lines: Mutex<BTreeMap<TenantId, Arc<Semaphore>>>,
}

/// A turn; it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _of_all: SemaphorePermit<'static>,
}

impl Turns {
    /// So many at a time. Of one tenant at most `most_of_one` have a turn or wait, of all together at most `most`.
    pub(crate) const fn new(at_a_time: usize, most_of_one: usize, most: usize) -> Self {
        Self { of_all: Semaphore::const_new(at_a_time), most_of_one, most, lines: Mutex::new(BTreeMap::new()) }
    }

    /// Waits for a turn. None at once where too many wait.
    pub(crate) async fn take(&'static self, tenant: TenantId) -> Option<Turn> {
        let own = self.line_of(tenant)?.acquire_owned().await.ok()?;
        let of_all = self.of_all.acquire().await.ok()?;
        Some(Turn { _own: own, _of_all: of_all })
    }

    /// The same for one who has waited for their tenant's turn elsewhere.
    #[cfg(feature = "worker")]
    pub(crate) async fn take_beside_the_line(&'static self) -> Option<SemaphorePermit<'static>> {
        self.of_all.acquire().await.ok()
    }

    /// A place in the line in which those of a tenant wait for each other; it is given back when this is dropped.
    fn line_of(&self, tenant: TenantId) -> Option<Arc<Semaphore>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own is not one that stands in line. Lines in which nobody stands go.
        let standing = |line: &Arc<Semaphore>| Arc::strong_count(line) - 1;
        lines.retain(|_, line| standing(line) > 0);
        if lines.values().map(standing).sum::<usize>() >= self.most {
            return None;
        }
        let line = lines.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(1)));
        (standing(line) < self.most_of_one).then(|| Arc::clone(line))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn turns(at_a_time: usize, most_of_one: usize, most: usize) -> &'static Turns {
        Box::leak(Box::new(Turns::new(at_a_time, most_of_one, most)))
    }

    #[tokio::test]
    async fn a_tenant_has_one_turn_and_its_crowd_takes_none_of_the_others() {
        let turns = turns(2, 4, 64);
        let [many, other, third] = [(); 3].map(|()| TenantId::generate());
        let first = turns.take(many).await.unwrap();
        let mut crowd: Vec<_> = (0..3).map(|_| Box::pin(turns.take(many))).collect();
        assert!(crowd.iter_mut().all(|waits| waits.now_or_never().is_none()), "one of a tenant at a time");
        let theirs = turns.take(other).now_or_never().flatten().expect("the other turn is free");
        let mut waits = Box::pin(turns.take(third));
        assert!((&mut waits).now_or_never().is_none(), "two at a time");
        drop(first);
        // In the order of coming, of the third tenant before the crowd.
        assert!((&mut waits).now_or_never().flatten().is_some());
        drop((theirs, waits));
        assert!((&mut crowd[0]).now_or_never().flatten().is_some());
    }

    #[test]
    fn a_line_is_short_and_one_in_which_nobody_stands_is_forgotten() {
        let (turns, many, other) = (turns(1, 4, 6), TenantId::generate(), TenantId::generate());
        let mut places: Vec<_> = std::iter::from_fn(|| turns.line_of(many)).collect();
        assert_eq!(places.len(), 4);
        let theirs: Vec<_> = std::iter::from_fn(|| turns.line_of(other)).collect();
        assert_eq!(theirs.len(), 2, "of all together no more than told");
        places.pop();
        assert!(turns.line_of(many).is_some());
        drop((places, theirs));
        drop(turns.line_of(TenantId::generate()));
        assert_eq!(turns.lines.lock().unwrap().len(), 1);
    }
}
