//! What sites' robots.txt said, for a while: several pages of a site are read within minutes. Shared by all tenants that reach a site
//! in the same way, since each would be told the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::robots::Robots;

/// How long an answer counts; the RFC allows a day.
const KEPT: Duration = Duration::from_mins(10);
const MOST_SITES: usize = 1_000;

/// A site as one client reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SiteKey {
    /// Scheme, host and port.
    pub(super) origin: String,
    /// Whether by the client that may go to private addresses: behind one name another host may answer it, and what an inside says
    /// is nothing to those who may not go there.
    pub(super) is_exempt: bool,
}

/// What a site lets robots do.
#[derive(Debug)]
pub(super) struct Site {
    /// What may be read.
    pub(super) robots: Robots,
    /// When the next page may be asked for, where the site wants pauses.
    next_page: Mutex<Instant>,
}

impl Site {
    pub(super) fn new(robots: Robots) -> Arc<Self> {
        Arc::new(Self { robots, next_page: Mutex::new(Instant::now()) })
    }

    /// When a page may be asked for: now, or after the pause that the site wants behind the last one. None where that is later than
    /// `latest`.
    pub(super) fn take_turn(&self, latest: Instant) -> Option<Instant> {
        let mut next = self.next_page.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Instant::now().max(*next);
        if turn > latest {
            return None;
        }
        *next = turn + self.robots.pause();
        Some(turn)
    }
}

/// The sites.
#[derive(Debug, Default)]
pub(crate) struct RobotsCache(Mutex<HashMap<SiteKey, (Instant, Arc<Site>)>>);

impl RobotsCache {
    pub(super) fn find(&self, key: &SiteKey) -> Option<Arc<Site>> {
        let sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sites.get(key).filter(|(since, _)| since.elapsed() < KEPT).map(|(_, site)| Arc::clone(site))
    }

    pub(super) fn keep(&self, key: SiteKey, robots: Robots) -> Arc<Site> {
        let site = Site::new(robots);
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sites.len() >= MOST_SITES {
            sites.retain(|_, (since, _)| since.elapsed() < KEPT);
        }
        // Full of what counts yet: what is asked for again is asked again.
        if sites.len() >= MOST_SITES {
            sites.clear();
        }
        sites.insert(key, (Instant::now(), Arc::clone(&site)));
        site
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(origin: &str, is_exempt: bool) -> SiteKey {
        SiteKey { origin: origin.to_owned(), is_exempt }
    }

    #[test]
    fn an_answer_is_kept_by_its_origin_and_there_are_never_too_many() {
        let cache = RobotsCache::default();
        for number in 0..MOST_SITES + 10 {
            cache.keep(key(&format!("https://{number}.example"), false), Robots::Unreachable);
        }
        let last = cache.find(&key(&format!("https://{}.example", MOST_SITES + 9), false)).unwrap();
        assert_eq!(last.robots, Robots::Unreachable);
        assert!(cache.find(&key("https://0.example", false)).is_none());
        assert!(cache.0.lock().unwrap().len() <= MOST_SITES);
    }

    #[test]
    fn what_an_inside_says_is_kept_from_those_who_may_not_go_there() {
        let cache = RobotsCache::default();
        cache.keep(key("https://wiki.example", true), Robots::Unreachable);
        assert!(cache.find(&key("https://wiki.example", false)).is_none());
        assert!(cache.find(&key("https://wiki.example", true)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn pages_of_a_site_that_wants_pauses_come_one_after_the_other() {
        let site = Site::new(Robots::parse(b"User-agent: *\nCrawl-delay: 2"));
        let (now, pause) = (Instant::now(), Duration::from_secs(2));
        let latest = now + pause * 2;
        let turns: Vec<_> = (0..4).map(|_| site.take_turn(latest)).collect();
        assert_eq!(turns, [Some(now), Some(now + pause), Some(now + pause * 2), None]);
        let hurried = Site::new(Robots::absent());
        assert_eq!([0, 1].map(|_| hurried.take_turn(now)), [Some(now); 2]);
    }
}
