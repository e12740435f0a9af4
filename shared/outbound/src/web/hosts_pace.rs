//! How many requests of this process are under way at a host: few, whichever tenants they are of, so that no run's research is an
//! attack on a site.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;
use url::Url;

/// As many at a time.
const REQUESTS: usize = 2;

/// Those hosts that are asked at the moment.
#[derive(Debug, Default)]
pub(crate) struct HostsPace(Mutex<HashMap<String, Weak<Semaphore>>>);

impl HostsPace {
    /// The permits of a host. Who holds one, or waits, keeps them in the list.
    pub(super) fn of(&self, url: &Url) -> Arc<Semaphore> {
        // One dot behind it is the same host.
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).and_then(Weak::upgrade).unwrap_or_else(|| {
            hosts.retain(|_, permits| permits.strong_count() > 0);
            let permits = Arc::new(Semaphore::new(REQUESTS));
            hosts.insert(host.to_owned(), Arc::downgrade(&permits));
            permits
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_name_while_somebody_asks_it() {
        let pace = HostsPace::default();
        let of = |url: &str| pace.of(&Url::parse(url).unwrap());
        let held: Vec<_> = ["https://a.example/1", "http://A.example.:8080/"].map(of).into_iter().collect();
        assert!(Arc::ptr_eq(&held[0], &held[1]));
        assert!(!Arc::ptr_eq(&held[0], &of("https://b.example/")));
        let permits: Vec<_> = std::iter::from_fn(|| Arc::clone(&held[0]).try_acquire_owned().ok()).collect();
        assert_eq!(permits.len(), REQUESTS);
        drop(held);
        assert!(of("https://a.example/").try_acquire_owned().is_err(), "a permit keeps its host in the list");
        drop(permits);
        let _other = of("https://c.example/");
        assert_eq!(pace.0.lock().unwrap().len(), 1);
    }
}
