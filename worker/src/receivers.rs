//! How many deliveries may be under way to one receiver in this process, so that one that hangs takes no place from the others;
//! who must wait is told when its turn is likely to come. A receiver is a host of a tenant: its endpoints there share the places.
//! `jobs::deliver` asks before it claims.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acm2_domain::ids::TenantId;
use tokio::time::Instant;
use url::Url;

/// What an attempt is taken to last before one has been seen.
const GUESS: Duration = Duration::from_secs(1);
/// Nobody comes back sooner.
const SHORTEST: Duration = Duration::from_millis(100);

/// A tenant and one of its hosts; what is no URL is a host of its own.
type Name = (TenantId, String);

/// The receivers that this process sends to.
#[derive(Debug, Clone)]
pub(crate) struct Receivers {
    /// Of one receiver.
    most: u32,
    /// Nobody is told to wait longer.
    longest: Duration,
    known: Arc<Mutex<HashMap<Name, Receiver>>>,
}

#[derive(Debug)]
struct Receiver {
    under_way: u32,
    /// How long an attempt lasts: the recent ones count most.
    usual: Duration,
    /// When the next one who comes in vain may come again.
    next_turn: Instant,
}

/// What one who wants to send is told.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It may.
    Now(Place),
    /// Others are at it; come again after this time.
    In(Duration),
}

/// A place at a receiver, left when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    receivers: Receivers,
    name: Name,
    since: Instant,
}

impl Receivers {
    /// `places`: those of the process; a quarter of them may be one receiver's, one at least. `attempt`: how long an attempt
    /// may take.
    pub(crate) fn new(places: usize, attempt: Duration) -> Self {
        let most = u32::try_from(places / 4).unwrap_or(u32::MAX).max(1);
        Self { most, longest: attempt * 4, known: Arc::default() }
    }

    /// Takes a place at the receiver that a URL names, if there is one.
    pub(crate) fn enter(&self, tenant: TenantId, url: &str) -> Turn {
        self.enter_at(tenant, url, Instant::now())
    }

    fn enter_at(&self, tenant: TenantId, url: &str, now: Instant) -> Turn {
        let host = Url::parse(url).map(|url| format!("{:?}", (url.host_str(), url.port_or_known_default())));
        let name = (tenant, host.unwrap_or_else(|_| url.to_owned()));
        let mut known = self.lock();
        if !known.contains_key(&name) {
            known.retain(|_, receiver| receiver.under_way > 0 || receiver.next_turn > now);
        }
        let receiver =
            known.entry(name.clone()).or_insert_with(|| Receiver { under_way: 0, usual: GUESS, next_turn: now });
        if receiver.under_way < self.most {
            receiver.under_way += 1;
            return Turn::Now(Place { receivers: self.clone(), name, since: now });
        }
        // Spread as the places are likely to become free, so that few come in vain.
        receiver.next_turn = (receiver.next_turn.max(now) + receiver.usual / self.most).min(now + self.longest);
        Turn::In((receiver.next_turn - now).max(SHORTEST))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Receiver>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(receiver) = self.receivers.lock().get_mut(&self.name) {
            receiver.under_way = receiver.under_way.saturating_sub(1);
            receiver.usual = (receiver.usual + self.since.elapsed()) / 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: Duration = Duration::from_secs(15);

    fn delay(turn: &Turn) -> Duration {
        match turn {
            Turn::Now(_) => Duration::ZERO,
            Turn::In(delay) => *delay,
        }
    }

    #[test]
    fn one_receiver_has_a_quarter_of_the_places_and_others_have_theirs() {
        let (receivers, tenant) = (Receivers::new(8, ATTEMPT), TenantId::generate());
        let enter = |url| receivers.enter(tenant, url);
        let (first, second) = (enter("https://a.test/x"), enter("https://a.test:443/y"));
        assert!(matches!((&first, &second), (Turn::Now(_), Turn::Now(_))));
        assert!(matches!(enter("https://A.test/z"), Turn::In(_)));
        assert!(matches!(enter("https://b.test/"), Turn::Now(_)));
        assert!(matches!(enter("https://a.test:444/"), Turn::Now(_)));
        assert!(matches!(receivers.enter(TenantId::generate(), "https://a.test/"), Turn::Now(_)));
        drop(second);
        assert!(matches!(enter("https://a.test/"), Turn::Now(_)));
    }

    #[test]
    fn those_who_wait_come_one_after_another_as_places_become_free() {
        let (receivers, tenant, now) = (Receivers::new(8, ATTEMPT), TenantId::generate(), Instant::now());
        let enter = |at| receivers.enter_at(tenant, "https://a.test/", at);
        for _ in 0..12 {
            drop(enter(now.checked_sub(Duration::from_secs(4)).unwrap()));
        }
        let _places = (enter(now), enter(now));
        let delays: Vec<_> = (0..3).map(|_| delay(&enter(now)).as_secs_f64().round()).collect();
        assert_eq!(delays, [2.0, 4.0, 6.0], "two places, four seconds each");
        let last = (0..1_000).map(|_| delay(&enter(now))).max();
        assert_eq!(last, Some(ATTEMPT * 4), "nobody waits for ever");
    }

    #[test]
    fn what_nobody_sends_to_is_forgotten() {
        let (receivers, tenant, now) = (Receivers::new(1, ATTEMPT), TenantId::generate(), Instant::now());
        let place = receivers.enter_at(tenant, "https://a.test/", now);
        drop((receivers.enter_at(tenant, "https://a.test/", now), place));
        let _other = receivers.enter_at(tenant, "no URL", now + ATTEMPT);
        assert_eq!(receivers.lock().len(), 1);
    }
}
