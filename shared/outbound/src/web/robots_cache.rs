//! What sites' robots.txt said, for a while: several pages of a site are read within minutes. Shared by all tenants, since each
//! would be told the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::robots::Robots;

/// How long an answer counts; the RFC allows a day.
const KEPT: Duration = Duration::from_mins(10);
const MOST_SITES: usize = 1_000;

/// The answers by origin: scheme, host and port.
#[derive(Debug, Default)]
pub(crate) struct RobotsCache(Mutex<HashMap<String, (Instant, Arc<Robots>)>>);

impl RobotsCache {
    pub(super) fn find(&self, origin: &str) -> Option<Arc<Robots>> {
        let sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sites.get(origin).filter(|(since, _)| since.elapsed() < KEPT).map(|(_, robots)| Arc::clone(robots))
    }

    pub(super) fn keep(&self, origin: String, robots: Robots) -> Arc<Robots> {
        let robots = Arc::new(robots);
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sites.len() >= MOST_SITES {
            sites.retain(|_, (since, _)| since.elapsed() < KEPT);
        }
        // Full of what counts yet: what is asked for again is asked again.
        if sites.len() >= MOST_SITES {
            sites.clear();
        }
        sites.insert(origin, (Instant::now(), Arc::clone(&robots)));
        robots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_by_its_origin_and_there_are_never_too_many() {
        let cache = RobotsCache::default();
        for number in 0..MOST_SITES + 10 {
            cache.keep(format!("https://{number}.example"), Robots::Unreachable);
        }
        assert_eq!(cache.find(&format!("https://{}.example", MOST_SITES + 9)), Some(Arc::new(Robots::Unreachable)));
        assert_eq!(cache.find("https://0.example"), None);
        assert!(cache.0.lock().unwrap().len() <= MOST_SITES);
    }
}
